//! `/info`, `/version`, `/auth`.

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// `Platform` of `SystemVersion`.
    pub struct PlatformName {
        pub name: String,
    }

    /// One of the parts the engine is made of.
    pub struct ComponentVersion {
        pub name: String,
        pub version: String,
        #[serde(skip_serializing_if = "is_default")]
        pub details: BTreeMap<String, String>,
    }

    /// `SystemVersion`.
    pub struct Version {
        pub platform: PlatformName,
        #[serde(skip_serializing_if = "is_default")]
        pub components: Vec<ComponentVersion>,
        pub version: String,
        pub api_version: String,
        #[serde(rename = "MinAPIVersion", skip_serializing_if = "is_default")]
        pub min_api_version: String,
        pub git_commit: String,
        pub go_version: String,
        pub os: String,
        pub arch: String,
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_version: String,
        #[serde(skip_serializing_if = "is_default")]
        pub experimental: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub build_time: String,
    }

    /// `PluginsInfo`.
    pub struct Plugins {
        pub volume: Vec<String>,
        pub network: Vec<String>,
        pub authorization: Option<Vec<String>>,
        pub log: Vec<String>,
    }

    /// `IndexInfo`: one registry.
    pub struct Index {
        pub name: String,
        pub mirrors: Vec<String>,
        pub secure: bool,
        pub official: bool,
    }

    /// `RegistryServiceConfig`.
    pub struct RegistryConfig {
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        pub index_configs: BTreeMap<String, Index>,
        pub mirrors: Vec<String>,
    }

    /// One of `DefaultAddressPools`.
    pub struct AddressPool {
        pub base: String,
        pub size: u8,
    }

    /// `GenericResource`: one of the two.
    pub struct GenericResource {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub named_resource_spec: Option<NamedResource>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub discrete_resource_spec: Option<DiscreteResource>,
    }

    /// `NamedResourceSpec`.
    pub struct NamedResource {
        pub kind: String,
        pub value: String,
    }

    /// `DiscreteResourceSpec`.
    pub struct DiscreteResource {
        pub kind: String,
        pub value: i64,
    }

    /// `Runtime`.
    pub struct Runtime {
        #[serde(rename = "path", skip_serializing_if = "is_default")]
        pub path: String,
        #[serde(rename = "runtimeArgs", skip_serializing_if = "is_default")]
        pub runtime_args: Vec<String>,
        /// From API 1.44 on.
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: BTreeMap<String, String>,
    }

    /// `SwarmInfo` of an engine outside of a swarm.
    pub struct Swarm {
        #[serde(rename = "NodeID")]
        pub node_id: String,
        pub node_addr: String,
        pub local_node_state: String,
        pub control_available: bool,
        pub error: String,
        pub remote_managers: Option<Vec<String>>,
    }

    /// `Commit`.
    pub struct Commit {
        #[serde(rename = "ID")]
        pub id: String,
        /// Up to API 1.48.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expected: Option<String>,
    }

    /// `FirewallInfo`.
    pub struct Firewall {
        pub driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub info: Vec<(String, String)>,
    }

    /// `DeviceInfo`.
    pub struct Device {
        pub source: String,
        #[serde(rename = "ID")]
        pub id: String,
    }

    /// `SystemInfo`.
    pub struct Info {
        #[serde(rename = "ID")]
        pub id: String,
        pub containers: i64,
        pub containers_running: i64,
        pub containers_paused: i64,
        pub containers_stopped: i64,
        pub images: i64,
        pub driver: String,
        pub driver_status: Vec<(String, String)>,
        pub plugins: Plugins,
        pub memory_limit: bool,
        pub swap_limit: bool,
        pub cpu_cfs_period: bool,
        pub cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        pub pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Up to API 1.49.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge_nf_iptables: Option<bool>,
        /// Up to API 1.49.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge_nf_ip6tables: Option<bool>,
        pub debug: bool,
        pub n_fd: i64,
        pub oom_kill_disable: bool,
        pub n_goroutines: i64,
        pub system_time: String,
        pub logging_driver: String,
        pub cgroup_driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub cgroup_version: String,
        pub n_events_listener: i64,
        pub kernel_version: String,
        pub operating_system: String,
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        #[serde(rename = "OSType")]
        pub os_type: String,
        pub architecture: String,
        pub index_server_address: String,
        pub registry_config: RegistryConfig,
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        pub mem_total: i64,
        pub generic_resources: Option<Vec<GenericResource>>,
        pub docker_root_dir: String,
        pub http_proxy: String,
        pub https_proxy: String,
        pub no_proxy: String,
        pub name: String,
        pub labels: Vec<String>,
        pub experimental_build: bool,
        pub server_version: String,
        pub runtimes: BTreeMap<String, Runtime>,
        pub default_runtime: String,
        pub swarm: Swarm,
        pub live_restore_enabled: bool,
        pub isolation: String,
        pub init_binary: String,
        pub containerd_commit: Commit,
        pub runc_commit: Commit,
        pub init_commit: Commit,
        pub security_options: Vec<String>,
        /// From API 1.49 on.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub firewall_backend: Option<Firewall>,
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        /// From API 1.50 on.
        #[serde(skip_serializing_if = "is_default")]
        pub discovered_devices: Vec<Device>,
        #[serde(skip_serializing_if = "is_default")]
        pub default_address_pools: Vec<AddressPool>,
        pub warnings: Option<Vec<String>>,
    }

    /// `AuthConfig`, base64-encoded in the header `X-Registry-Auth`.
    pub struct AuthConfig {
        #[serde(rename = "username")]
        pub username: String,
        #[serde(rename = "password")]
        pub password: String,
        #[serde(rename = "auth")]
        pub auth: String,
        #[serde(rename = "serveraddress")]
        pub server_address: String,
        #[serde(rename = "identitytoken")]
        pub identity_token: String,
        #[serde(rename = "registrytoken")]
        pub registry_token: String,
    }
}
