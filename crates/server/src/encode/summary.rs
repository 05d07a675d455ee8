//! One line of `ps`.

use api::ApiVersion;
use api::container::{HostSummary, NetworkSummary, Port, Summary};
use engine::model::{ContainerState, ContainerSummary, PortKey};
use jiff::Timestamp;

use super::{container, host, status};

/// Encodes an entry of `GET /containers/json`; `now` is what ages are counted from.
#[must_use]
pub fn summary(summary: &ContainerSummary, version: ApiVersion, now: Timestamp) -> Summary {
    let spec = &summary.spec;
    let size =
        |part: fn((u64, u64)) -> u64| summary.size.map_or(0, |size| i64::try_from(part(size)).unwrap_or(i64::MAX));
    let never_ran = matches!(&summary.state, ContainerState::Exited(exit) if exit.started_at.is_none());
    let networks =
        summary.networks.iter().map(|(name, settings)| (name.clone(), container::endpoint(settings, version)));
    Summary {
        id: spec.id.to_string(),
        names: std::iter::once(&summary.name).chain(&summary.given_names).map(|name| format!("/{name}")).collect(),
        image: summary.image.clone(),
        image_id: spec.image.map(|image| image.to_string()).unwrap_or_default(),
        command: command(&spec.path, &spec.args),
        created: spec.created.as_second(),
        ports: summary.ports.iter().flat_map(ports).collect(),
        size_rw: size(|(own, _)| own),
        size_root_fs: size(|(_, all)| all),
        labels: spec.config.labels.clone(),
        state: if never_ran { "created" } else { summary.state.word() }.to_owned(),
        status: status::status(&summary.state, summary.health.as_deref(), now),
        host_config: HostSummary {
            network_mode: host::network_mode(&spec.host.network_mode, version),
            annotations: if version < ApiVersion(46) { Default::default() } else { spec.host.annotations.clone() },
        },
        network_settings: NetworkSummary { networks: networks.collect() },
        mounts: container::mount_points(spec, &[]),
    }
}

/// Words with spaces are quoted, as Docker does: with single quotes, or a trailing one escaped.
fn command(path: &str, args: &[String]) -> String {
    let quoted = args.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() });
    std::iter::once(path.to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn ports((port, bindings): (&PortKey, &Vec<(String, u16)>)) -> Vec<Port> {
    let kind = port.protocol.to_string();
    if bindings.is_empty() {
        return vec![Port { private_port: port.port, kind, ..Port::default() }];
    }
    let encode = |(ip, public): &(String, u16)| Port {
        ip: ip.clone(),
        private_port: port.port,
        public_port: *public,
        kind: kind.clone(),
    };
    bindings.iter().map(encode).collect()
}
