//! Links on the default bridge: lines in `hosts`, and variables in the environment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use network::{EndpointRecord, LinkPermit, LinkRecord};
use types::ContainerId;

use crate::attachments::{self, Link};
use crate::container::{Container, Status};
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, HostConfig, NetworkMode, PortKey, Protocol};
use crate::name_files;

/// A linked container that runs.
pub(crate) struct Linked {
    /// Its name in the linking container.
    pub alias: String,
    /// Its own name.
    pub name: String,
    /// What it is.
    pub spec: Arc<ContainerSpec>,
    /// Where it is.
    pub link: LinkRecord,
}

impl Engine {
    /// Finds the containers that a request links to; on a user's network links are the network's business.
    ///
    /// # Errors
    /// `InvalidParameter` for one that is not there or has no network of its own.
    pub(crate) fn resolve_links(&self, host: &HostConfig) -> Result<Vec<Link>, Error> {
        if !matches!(host.network_mode, NetworkMode::Bridge) {
            return Ok(Vec::new());
        }
        let mut links: Vec<Link> = Vec::new();
        for text in &host.links {
            let (name, alias) = attachments::link_words(text);
            let mut other = self.containers.find(name).map_err(|_| Invalid::LinkTarget(name.to_owned()))?;
            while let NetworkMode::Container(next) = &other.spec.host.network_mode {
                other = self.containers.find(next).map_err(|_| Invalid::LinkTarget(next.clone()))?;
            }
            if matches!(other.spec.host.network_mode, NetworkMode::Host) {
                return Err(Invalid::LinkToHost.into());
            }
            let link = Link { target: other.spec.id.clone(), alias: alias.to_owned() };
            match links.iter().find(|known| known.alias == link.alias) {
                Some(known) if *known == link => {}
                Some(_) => return Err(Invalid::LinkAlias(link.alias).into()),
                None => links.push(link),
            }
        }
        Ok(links)
    }

    /// The linked containers, which must run.
    ///
    /// # Errors
    /// `InvalidParameter` in Docker's words when one does not run or is not on the default bridge.
    pub(crate) fn linked(&self, status: &Status) -> Result<Vec<Linked>, Error> {
        let linked = status.links.iter().map(|link| self.linked_by(status, link));
        Ok(linked.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// What one link leads to; `None` when it was removed, which took the link along.
    fn linked_by(&self, status: &Status, Link { target, alias }: &Link) -> Result<Option<Linked>, Invalid> {
        let Some(other) = self.containers.by_id(target) else { return Ok(None) };
        let other_status = other.status();
        let name = other_status.name.clone();
        if !attachments::of(&other.spec, &other_status).contains_key("bridge") {
            return Err(Invalid::LinkElsewhere(name));
        }
        if !other_status.state.is_running() {
            return Err(Invalid::LinkStopped { name, parent: status.name.clone(), alias: alias.clone() });
        }
        let endpoint = other_status.endpoints.into_iter().find(|endpoint| endpoint.network_name == "bridge");
        let Some(link) = endpoint.and_then(|endpoint| endpoint.link) else {
            return Err(Invalid::LinkElsewhere(name));
        };
        Ok(Some(Linked { alias: alias.clone(), name, spec: Arc::clone(&other.spec), link }))
    }

    /// The variables that tell a process of its container's links, as far as those run.
    pub(crate) fn link_environment(&self, status: &Status) -> Vec<String> {
        if status.links.is_empty() {
            return Vec::new();
        }
        let linked = self.linked(status).unwrap_or_default();
        linked.iter().flat_map(|linked| linked.environment(&status.name)).collect()
    }

    /// Whoever links to a container that has just started finds its new address in `hosts`.
    pub(crate) fn refresh_links(&self, container: &Container) {
        let parents = self.links.parents(&container.spec.id);
        if parents.is_empty() {
            return;
        }
        let status = container.status();
        let bridge = status.endpoints.iter().find(|endpoint| endpoint.network_name == "bridge");
        let Some(link) = bridge.and_then(|endpoint| endpoint.link.as_ref()) else { return };
        for parent in parents.iter().filter_map(|id| self.containers.by_id(id)) {
            let parent_status = parent.status();
            if !parent_status.state.is_running() {
                continue;
            }
            self.reopen_links(&parent);
            let path = self.paths.hosts(&parent.spec.id);
            for known in parent_status.links.iter().filter(|known| known.target == container.spec.id) {
                let moved = link.ips().try_for_each(|own| name_files::move_name(&path, &known.alias, own));
                if let Err(error) = moved {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(container = parent.spec.id.as_str(), error, "a link's address was not updated");
                }
            }
        }
    }

    /// Lets a container reach the ports of those that it links to, where containers may not talk to each other.
    pub(crate) fn open_links(&self, endpoints: &[EndpointRecord], linked: &[Linked]) -> Result<(), Error> {
        let Some(own) = endpoints.iter().find(|endpoint| endpoint.network_name == "bridge") else { return Ok(()) };
        let permits: Vec<LinkPermit> = linked.iter().flat_map(Linked::permits).collect();
        Ok(self.network.permit_links(own, &permits)?)
    }

    /// As [`Self::open_links`], for a container that runs, to those that run as well: logged on failure.
    pub(crate) fn reopen_links(&self, container: &Container) {
        let status = container.status();
        if status.links.is_empty() || !status.state.is_running() {
            return;
        }
        // Where the other one does not run, its start opens the link.
        let linked: Vec<Linked> =
            status.links.iter().filter_map(|link| self.linked_by(&status, link).ok().flatten()).collect();
        if let Err(error) = self.open_links(&status.endpoints, &linked) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(container = container.spec.id.as_str(), error, "links are not open");
        }
    }

    /// `/name:/parent/alias` of every link, as `inspect` shows them.
    pub(crate) fn shown_links(&self, status: &Status) -> Vec<String> {
        let shown = |link: &Link| {
            let other = self.containers.by_id(&link.target)?;
            Some(format!("/{}:/{}/{}", other.name(), status.name, link.alias))
        };
        status.links.iter().filter_map(shown).collect()
    }

    /// For every container that others link to, the names that they gave it: `parent/alias`.
    pub(crate) fn given_names(&self) -> BTreeMap<ContainerId, Vec<String>> {
        let mut names: BTreeMap<ContainerId, Vec<String>> = BTreeMap::new();
        for (target, parents) in self.links.all() {
            for parent in parents.iter().filter_map(|id| self.containers.by_id(id)) {
                let status = parent.status();
                let given = status.links.iter().filter(|link| link.target == target);
                let given = given.map(|link| format!("{}/{}", status.name, link.alias));
                names.entry(target.clone()).or_default().extend(given);
            }
        }
        names
    }

    /// Takes the link `/parent/alias` away.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub async fn remove_link(&self, name: &str) -> Result<(), Error> {
        let bare = name.trim_start_matches('/');
        let (parent, alias) = bare.split_once('/').ok_or_else(|| Invalid::NotALink(name.to_owned()))?;
        let parent = self.containers.find(parent)?;
        let alias = alias.to_owned();
        parent.ask(|reply| crate::container::Command::Unlink(alias, reply)).await
    }
}

/// Who links to whom; asked at every start, so that nobody looks through all containers there.
#[derive(Default)]
pub(crate) struct LinkTable(std::sync::Mutex<HashMap<ContainerId, Vec<ContainerId>>>);

impl LinkTable {
    /// Notes the links of a container.
    pub(crate) fn note(&self, parent: &ContainerId, links: &[Link]) {
        if links.is_empty() {
            return;
        }
        let mut table = self.lock();
        for link in links {
            let parents = table.entry(link.target.clone()).or_default();
            if !parents.contains(parent) {
                parents.push(parent.clone());
            }
        }
    }

    /// Forgets a container that is removed.
    pub(crate) fn forget(&self, container: &ContainerId) {
        let mut table = self.lock();
        if table.is_empty() {
            return;
        }
        table.remove(container);
        table.retain(|_, parents| {
            parents.retain(|parent| parent != container);
            !parents.is_empty()
        });
    }

    fn parents(&self, target: &ContainerId) -> Vec<ContainerId> {
        self.lock().get(target).cloned().unwrap_or_default()
    }

    fn all(&self) -> HashMap<ContainerId, Vec<ContainerId>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerId, Vec<ContainerId>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl Linked ===

impl Linked {
    /// The names of its line in `hosts`: alias, host name, and its own name unless that is the alias.
    pub(crate) fn names(&self) -> String {
        let own = if self.alias == self.name { String::new() } else { format!(" {}", self.name) };
        format!("{} {}{own}", self.alias, self.spec.config.hostname)
    }

    /// Its exposed ports, at each of its addresses.
    fn permits(&self) -> Vec<LinkPermit> {
        let exposed = &self.spec.config.exposed_ports;
        let permit = |to| exposed.iter().map(move |key| LinkPermit { to, protocol: key.protocol, port: key.port });
        self.link.ips().flat_map(permit).collect()
    }

    /// Docker's variables: where it is, its ports, its name, its own environment.
    fn environment(&self, parent: &str) -> Vec<String> {
        let prefix = self.alias.to_uppercase().replace('-', "_");
        let address = self.link.ips().next().map(|own| own.to_string()).unwrap_or_default();
        let mut ports: Vec<PortKey> = self.spec.config.exposed_ports.iter().copied().collect();
        // The lowest number, and TCP before the others, is that of `<ALIAS>_PORT`.
        ports.sort_by_key(|key| (key.port, key.protocol != Protocol::Tcp));
        let mut variables = Vec::new();
        if let Some(PortKey { port, protocol }) = ports.first() {
            variables.push(format!("{prefix}_PORT={protocol}://{address}:{port}"));
        }
        for PortKey { port, protocol } in &ports {
            let name = format!("{prefix}_PORT_{port}_{}", protocol.to_string().to_uppercase());
            variables.push(format!("{name}={protocol}://{address}:{port}"));
            variables.push(format!("{name}_ADDR={address}"));
            variables.push(format!("{name}_PORT={port}"));
            variables.push(format!("{name}_PROTO={protocol}"));
        }
        variables.push(format!("{prefix}_NAME=/{parent}/{}", self.alias));
        let own = self.spec.config.env.iter().filter_map(|entry| entry.split_once('='));
        // What every container has says nothing about this one.
        let own = own.filter(|(name, _)| !matches!(*name, "HOME" | "PATH" | "HOSTNAME" | "TERM"));
        variables.extend(own.map(|(name, value)| format!("{prefix}_ENV_{name}={value}")));
        variables
    }
}
