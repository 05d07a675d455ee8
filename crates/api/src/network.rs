//! `/networks`, and what containers say about networks.

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// `EndpointIPAMConfig`.
    pub struct EndpointIpamConfig {
        #[serde(rename = "IPv4Address", skip_serializing_if = "is_default")]
        pub ipv4_address: String,
        #[serde(rename = "IPv6Address", skip_serializing_if = "is_default")]
        pub ipv6_address: String,
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "is_default")]
        pub link_local_ips: Vec<String>,
    }

    /// `EndpointSettings`.
    pub struct EndpointSettings {
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpamConfig>,
        pub links: Option<Vec<String>>,
        pub aliases: Option<Vec<String>>,
        /// From API 1.44 on in requests; always in answers.
        pub mac_address: String,
        pub driver_opts: Option<BTreeMap<String, String>>,
        pub gw_priority: i64,
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// `NetworkingConfig` of a create request.
    pub struct NetworkingConfig {
        pub endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
    }

    /// `IPAMConfig`.
    pub struct IpamConfig {
        #[serde(skip_serializing_if = "is_default")]
        pub subnet: String,
        #[serde(rename = "IPRange", skip_serializing_if = "is_default")]
        pub ip_range: String,
        #[serde(skip_serializing_if = "is_default")]
        pub gateway: String,
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "is_default")]
        pub auxiliary_addresses: BTreeMap<String, String>,
    }

    /// `IPAM`.
    pub struct Ipam {
        pub driver: String,
        pub options: Option<BTreeMap<String, String>>,
        pub config: Option<Vec<IpamConfig>>,
    }

    /// `ConfigReference`.
    pub struct ConfigReference {
        pub network: String,
    }

    /// `NetworkContainer`.
    pub struct EndpointResource {
        pub name: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub mac_address: String,
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// `Network`: an entry of `GET /networks` and the answer of `GET /networks/{id}`.
    pub struct Network {
        pub name: String,
        pub id: String,
        pub created: String,
        pub scope: String,
        pub driver: String,
        /// From API 1.48 on.
        #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
        pub enable_ipv4: Option<bool>,
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_from: ConfigReference,
        pub config_only: bool,
        pub containers: BTreeMap<String, EndpointResource>,
        pub options: BTreeMap<String, String>,
        pub labels: BTreeMap<String, String>,
    }

    /// Body of `POST /networks/create`.
    pub struct CreateRequest {
        pub name: String,
        /// Whether a second network of that name is refused; unless said, it is from API 1.44 on.
        pub check_duplicate: Option<bool>,
        pub driver: String,
        pub scope: String,
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: Option<bool>,
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: Option<bool>,
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_only: bool,
        pub config_from: Option<ConfigReference>,
        pub options: Option<BTreeMap<String, String>>,
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// Answer of `POST /networks/create`.
    pub struct CreateResponse {
        pub id: String,
        pub warning: String,
    }

    /// Body of `POST /networks/{id}/connect`.
    pub struct ConnectRequest {
        pub container: String,
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// Body of `POST /networks/{id}/disconnect`.
    pub struct DisconnectRequest {
        pub container: String,
        pub force: bool,
    }
}
