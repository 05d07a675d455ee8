//! From the daemon's settings to the engine's.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use engine::EngineConfig;
use network::{DefaultBridge, NetworkConfig};

use super::options::Options;
use super::{remap, sockets};

/// The engine's configuration.
///
/// # Errors
/// For settings that contradict each other.
pub(super) fn engine_config(options: &Options) -> anyhow::Result<EngineConfig> {
    let network = NetworkConfig {
        default: options.network.addresses.clone(),
        mtu: options.network.mtu,
        ip_forward: options.network.ip_forward,
        iptables: options.network.iptables,
        ip6tables: options.network.ip6tables,
        masquerade: options.network.masquerade,
        userland_proxy: options.network.userland_proxy,
        allow_direct_routing: options.network.allow_direct_routing,
        publish_policy: options.network.publish_policy,
        accept_mark: options.network.accept_mark,
        icc: options.network.icc,
        default_bind_ip: options.network.bind_ip,
        address_pools: options.address_pools.clone(),
        default_options: options.default_network_options.clone(),
        ..NetworkConfig::new(&options.data_root, &options.exec_root, bridge(options)?)
    };
    check_log(options)?;
    Ok(EngineConfig {
        driver: options.driver,
        init: options.init,
        log_driver: (options.log_driver.clone(), options.log_options.clone()),
        userns_remap: options.userns_remap.as_ref().map(remap::resolve).transpose()?,
        container: options.container.clone(),
        cdi_spec_dirs: options.cdi_spec_dirs.clone(),
        proxies: options.proxies.clone(),
        experimental: options.experimental,
        generic_resources: options.generic_resources.clone(),
        warnings: sockets::warnings(options),
        live: options.live.clone(),
        ..EngineConfig::new(&options.data_root, &options.exec_root, monitor_program()?, network)
    })
}

/// The log driver of containers that name none.
///
/// # Errors
/// For options it does not have.
pub(super) fn check_log(options: &Options) -> anyhow::Result<()> {
    engine::check_log_defaults(&options.log_driver, &options.log_options).context("failed to set log opts")
}

/// The device behind the default network.
///
/// # Errors
/// For settings that contradict each other.
pub(super) fn bridge(options: &Options) -> anyhow::Result<DefaultBridge> {
    if options.network.addresses.bip.is_some() && options.bridge.is_some() {
        bail!("you specified -b & --bip, mutually exclusive options. Please specify only one");
    }
    match (&options.bridge, &options.bridge_name) {
        (Some(name), _) if name == "none" => Ok(DefaultBridge::Disabled),
        (Some(name), None) => Ok(DefaultBridge::Existing { name: name.clone() }),
        (Some(_), Some(_)) => bail!("conflicting options: --bridge and --bridge-name"),
        (None, name) => {
            let name = name.clone().unwrap_or_else(|| network::default_bridge_name(&options.data_root));
            Ok(DefaultBridge::Owned { name })
        }
    }
}

/// The small program beside this one, or this one, which answers to that name as well.
fn monitor_program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    let beside = this.with_file_name(monitor::client::PROGRAM);
    Ok(if beside.is_file() { beside } else { this })
}
