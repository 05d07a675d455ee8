//! What a prune would remove, decided on what there is at one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use network::NetworkInfo;
use store::Volume;
use types::{ContainerId, NetworkId};

use super::{Choice, Removals, Thing, ThingKind, VolumeChoice};
use crate::container::{Container, Status};
use crate::engine::Engine;
use crate::filters::PruneFilter;
use crate::model::ContainerSpec;

/// A container as a prune looks at it.
struct Candidate {
    spec: Arc<ContainerSpec>,
    status: Status,
}

impl Engine {
    /// Kind after kind, as if what was planned before were gone.
    pub(super) fn plan_prune(&self, choice: &Choice) -> Removals {
        let mut plan = Removals::default();
        let mut gone: HashSet<ContainerId> = HashSet::new();
        if let Some(filter) = &choice.containers {
            let containers = self.containers.snapshot();
            let mut part = containers_to_remove(&candidates(&containers), filter);
            for thing in &mut part.things {
                if let Ok(id) = thing.id.parse() {
                    // Unknown sizes count as nothing.
                    thing.bytes = Some(self.store.layer_size(&id).unwrap_or(0));
                    gone.insert(id);
                }
            }
            plan.append(part);
        }
        if let Some(filter) = &choice.networks {
            plan.append(networks_to_remove(self.network.networks(), &self.networks_in_use(), filter));
        }
        if let Some(choice) = &choice.volumes {
            let users = |name: &str| {
                let users = self.volume_references.containers_of(name).into_iter().filter(|user| !gone.contains(user));
                users.map(|user| self.name_of(&user)).collect()
            };
            let mut part = volumes_to_remove(self.store.volumes(), &users, choice);
            for thing in &mut part.things {
                thing.bytes = Some(self.store.volume_size(&thing.id).unwrap_or(0));
            }
            plan.append(part);
        }
        if let Some(choice) = &choice.images {
            plan.append(self.images_to_remove(choice, &gone));
        }
        plan
    }

    /// The names of the containers on each network.
    fn networks_in_use(&self) -> HashMap<NetworkId, Vec<String>> {
        let mut used: HashMap<NetworkId, Vec<String>> = HashMap::new();
        for container in self.containers.snapshot() {
            let status = container.status();
            for endpoint in status.endpoints {
                used.entry(endpoint.network_id).or_default().push(status.name.clone());
            }
        }
        used
    }

    /// A container's name, or the beginning of its id while it has none.
    pub(super) fn name_of(&self, id: &ContainerId) -> String {
        self.containers.by_id(id).map_or_else(|| id.short().to_owned(), |container| container.name())
    }
}

fn candidates(containers: &[Arc<Container>]) -> Vec<Candidate> {
    containers
        .iter()
        .map(|container| Candidate { spec: Arc::clone(&container.spec), status: container.status() })
        .collect()
}

fn containers_to_remove(containers: &[Candidate], filter: &PruneFilter) -> Removals {
    let mut plan = Removals::default();
    for Candidate { spec, status } in containers {
        if status.removed || !filter.matches_map(Some(spec.created), &spec.config.labels) {
            continue;
        }
        let thing = container(&spec.id, &status.name);
        match status.check_removable() {
            Ok(()) => plan.things.push(thing),
            Err(_) => plan.kept.push(thing.kept(format!("it is {}", status.state.word()))),
        }
    }
    plan
}

fn networks_to_remove(
    networks: Vec<NetworkInfo>,
    used: &HashMap<NetworkId, Vec<String>>,
    filter: &PruneFilter,
) -> Removals {
    let mut plan = Removals::default();
    for network in networks {
        let meant = filter.matches_map(network.created.parse().ok(), &network.labels);
        if network.predefined || network.config_only || !meant {
            continue;
        }
        let thing = self::network(&network);
        match used.get(&network.id) {
            Some(containers) => plan.kept.push(thing.kept(format!("used by {}", containers.join(", ")))),
            None => plan.things.push(thing),
        }
    }
    plan
}

fn volumes_to_remove(
    volumes: Vec<Volume>,
    users: &dyn Fn(&str) -> Vec<String>,
    VolumeChoice { filter, all }: &VolumeChoice,
) -> Removals {
    let mut plan = Removals::default();
    for volume in volumes {
        // What a driver option names is somebody else's, as in Docker.
        let own = volume.options.is_empty();
        if !own || !(*all || volume.anonymous) || !filter.matches_map(None, &volume.labels) {
            continue;
        }
        let thing = self::volume(&volume.name);
        let users = users(&volume.name);
        if users.is_empty() {
            plan.things.push(thing);
        } else {
            plan.kept.push(thing.kept(format!("used by {}", users.join(", "))));
        }
    }
    plan
}

/// A container, its bytes still unknown.
pub(super) fn container(id: &ContainerId, name: &str) -> Thing {
    Thing { kind: ThingKind::Container, id: id.to_string(), names: vec![name.to_owned()], bytes: None }
}

/// Networks take no space that could be told.
pub(super) fn network(network: &NetworkInfo) -> Thing {
    let names = vec![network.name.clone()];
    Thing { kind: ThingKind::Network, id: network.id.to_string(), names, bytes: None }
}

/// A volume, its bytes still unknown.
pub(super) fn volume(name: &str) -> Thing {
    Thing { kind: ThingKind::Volume, id: name.to_owned(), names: vec![name.to_owned()], bytes: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::filters::Filters;

    fn filter(text: &str) -> PruneFilter {
        let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        PruneFilter::parse(&pair.into_iter().collect::<Filters>(), &["until"], Timestamp::now()).expect("valid")
    }

    fn volume(name: &str, anonymous: bool, option: bool) -> Volume {
        let options = if option { BTreeMap::from([("type".to_owned(), "tmpfs".to_owned())]) } else { BTreeMap::new() };
        Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            mountpoint: format!("/v/{name}").into(),
            created_at: String::new(),
            labels: BTreeMap::from([("of".to_owned(), name.to_owned())]),
            options,
            anonymous,
        }
    }

    #[test]
    fn volumes_go_that_nobody_uses() {
        let users = |name: &str| if name.starts_with("used") { vec!["web".to_owned()] } else { Vec::new() };
        let plan = |all, text| {
            let volumes = vec![
                volume("a", true, false),
                volume("b", false, false),
                volume("c", true, true),
                volume("used", true, false),
            ];
            volumes_to_remove(volumes, &users, &VolumeChoice { filter: filter(text), all })
        };
        let names = |plan: &Removals| plan.things.iter().map(|thing| thing.id.clone()).collect::<Vec<_>>();
        assert_eq!(names(&plan(false, "")), ["a"]);
        assert_eq!(names(&plan(true, "")), ["a", "b"]);
        assert_eq!(names(&plan(true, "label=of=b")), ["b"]);
        let kept = plan(false, "").kept;
        assert_eq!((kept.len(), kept[0].thing.id.as_str(), kept[0].reason.as_str()), (1, "used", "used by web"));
    }
}
