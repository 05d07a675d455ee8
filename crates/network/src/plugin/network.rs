//! What is said to a plugin that makes networks (`NetworkDriver.*`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Plugin, PluginError};
use crate::{MacAddress, PortBinding, PortRequest, Protocol};

/// Options of a network, an endpoint or a sandbox, as libnetwork names them.
pub(crate) type Options = Map<String, Value>;

const PORT_MAP: &str = "com.docker.network.portmap";
const EXPOSED: &str = "com.docker.network.endpoint.exposedports";

/// One subnet of a network that is made.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PoolData {
    pub(crate) address_space: String,
    pub(crate) pool: String,
    /// With the prefix length of the pool; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) gateway: String,
    /// With the prefix length, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) aux_addresses: BTreeMap<String, String>,
}

/// The addresses of an endpoint, given to the plugin or by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) ipv4: Option<IpNet>,
    pub(crate) ipv6: Option<IpNet>,
    pub(crate) mac: Option<MacAddress>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireInterface {
    address: String,
    #[serde(rename = "AddressIPv6")]
    address_ipv6: String,
    mac_address: String,
}

/// What has to be done in the container for an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The device on the host that is to be moved into the container, and how its name begins there.
    pub(crate) device: Option<(String, String)>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) routes: Vec<StaticRoute>,
}

/// A route inside the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StaticRoute {
    pub(crate) destination: IpNet,
    /// `None` for who is behind the device itself.
    pub(crate) next_hop: Option<IpAddr>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireJoined {
    interface_name: Option<WireName>,
    gateway: String,
    #[serde(rename = "GatewayIPv6")]
    gateway_ipv6: String,
    static_routes: Option<Vec<WireRoute>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireName {
    src_name: String,
    dst_prefix: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireRoute {
    destination: String,
    /// 0 by a next hop, 1 for who is behind the device.
    route_type: i64,
    next_hop: String,
}

/// An answer without content.
#[derive(Deserialize)]
struct Empty {}

impl Plugin {
    /// Whether the plugin can also say that a network needs no gateway. Its networks must be of one host.
    pub(crate) fn network_capabilities(&self) -> Result<bool, PluginError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        #[derive(Default)]
        struct Capabilities {
            scope: String,
            gw_alloc_checker: bool,
        }
        let found: Capabilities = self.call("GetCapabilities", &())?;
        match found.scope.as_str() {
            "local" => Ok(found.gw_alloc_checker),
            "global" => Err(PluginError::Unsuitable(format!(
                "plugin {} makes networks of a whole cluster, which this engine is not part of",
                self.name()
            ))),
            _ => Err(self.bad("scope (local or global)", &found.scope)),
        }
    }

    /// Which families of a network need no gateway, IPv4 first.
    pub(crate) fn skips_gateways(&self, options: &Options) -> Result<(bool, bool), PluginError> {
        #[derive(Deserialize)]
        struct Skipped {
            #[serde(default, rename = "SkipIPv4")]
            ipv4: bool,
            #[serde(default, rename = "SkipIPv6")]
            ipv6: bool,
        }
        let skipped: Skipped = self.call("GwAllocCheck", &json!({ "Options": options }))?;
        Ok((skipped.ipv4, skipped.ipv6))
    }

    pub(crate) fn create_network(
        &self,
        network: &str,
        options: &Options,
        ipv4: &[PoolData],
        ipv6: &[PoolData],
    ) -> Result<(), PluginError> {
        let body = json!({ "NetworkID": network, "Options": options, "IPv4Data": ipv4, "IPv6Data": ipv6 });
        self.call::<Empty>("CreateNetwork", &body).map(drop)
    }

    pub(crate) fn delete_network(&self, network: &str) -> Result<(), PluginError> {
        self.call::<Empty>("DeleteNetwork", &json!({ "NetworkID": network })).map(drop)
    }

    /// Makes an endpoint; returns what the plugin chose of what was left open.
    pub(crate) fn create_endpoint(
        &self,
        network: &str,
        endpoint: &str,
        wanted: &Interface,
        options: &Options,
    ) -> Result<Interface, PluginError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(default, rename = "Interface")]
            interface: Option<WireInterface>,
        }
        let text = |net: Option<IpNet>| net.map(|net| net.to_string()).unwrap_or_default();
        let interface = WireInterface {
            address: text(wanted.ipv4),
            address_ipv6: text(wanted.ipv6),
            mac_address: wanted.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        };
        let body = json!({ "NetworkID": network, "EndpointID": endpoint, "Interface": interface, "Options": options });
        let created: Created = self.call("CreateEndpoint", &body)?;
        let chosen = created.interface.unwrap_or_default();
        self.read_interface(wanted, &chosen).inspect_err(|_| self.undo(self.delete_endpoint(network, endpoint)))
    }

    /// The plugin may choose what was not given to it, and nothing else.
    fn read_interface(&self, wanted: &Interface, chosen: &WireInterface) -> Result<Interface, PluginError> {
        let net = |what, given: Option<IpNet>, text: &str| match (given, text) {
            (given, "") => Ok(given),
            (Some(given), text) if text == given.to_string() => Ok(Some(given)),
            (None, text) => text.parse().map(Some).map_err(|_| self.bad(what, text)),
            (Some(_), text) => Err(self.bad("change of an address that it was given, to", text)),
        };
        let mac = match (wanted.mac, chosen.mac_address.as_str()) {
            (given, "") => given,
            (Some(given), text) if text.eq_ignore_ascii_case(&given.to_string()) => Some(given),
            (None, text) => Some(text.parse().map_err(|_| self.bad("MAC address", text))?),
            (Some(_), text) => return Err(self.bad("change of a MAC address that it was given, to", text)),
        };
        Ok(Interface {
            ipv4: net("address", wanted.ipv4, &chosen.address)?,
            ipv6: net("IPv6 address", wanted.ipv6, &chosen.address_ipv6)?,
            mac,
        })
    }

    pub(crate) fn delete_endpoint(&self, network: &str, endpoint: &str) -> Result<(), PluginError> {
        self.call::<Empty>("DeleteEndpoint", &json!({ "NetworkID": network, "EndpointID": endpoint })).map(drop)
    }

    /// The ports that the plugin says it has published for an endpoint.
    pub(crate) fn published(&self, network: &str, endpoint: &str) -> Result<Vec<PortBinding>, PluginError> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default, rename = "Value")]
            value: Option<Options>,
        }
        let body = json!({ "NetworkID": network, "EndpointID": endpoint });
        let info: Info = match self.call("EndpointOperInfo", &body) {
            Err(error) if error.is_unknown_message() => return Ok(Vec::new()),
            info => info?,
        };
        let ports = info.value.as_ref().and_then(|value| value.get(PORT_MAP)?.as_array());
        Ok(ports.into_iter().flatten().filter_map(read_port).collect())
    }

    /// Puts an endpoint into a container.
    pub(crate) fn join(
        &self,
        network: &str,
        endpoint: &str,
        sandbox: &str,
        options: &Options,
    ) -> Result<Joined, PluginError> {
        let body = json!({ "NetworkID": network, "EndpointID": endpoint, "SandboxKey": sandbox, "Options": options });
        let joined: WireJoined = self.call("Join", &body)?;
        self.read_joined(joined).inspect_err(|_| self.undo(self.leave(network, endpoint)))
    }

    fn read_joined(&self, joined: WireJoined) -> Result<Joined, PluginError> {
        let mut gateways = Vec::new();
        for (what, text) in [("gateway", &joined.gateway), ("IPv6 gateway", &joined.gateway_ipv6)] {
            if !text.is_empty() {
                gateways.push(text.parse().map_err(|_| self.bad(what, text))?);
            }
        }
        let mut routes = Vec::new();
        for route in joined.static_routes.unwrap_or_default() {
            let destination =
                route.destination.parse().map_err(|_| self.bad("destination of a route", &route.destination))?;
            let next_hop = match (route.route_type, route.next_hop.as_str()) {
                (1, _) => None,
                (0, text) => Some(text.parse().map_err(|_| self.bad("next hop of a route", text))?),
                (kind, _) => return Err(self.bad("type of a route", &kind.to_string())),
            };
            routes.push(StaticRoute { destination, next_hop });
        }
        let device = joined.interface_name.filter(|name| !name.src_name.is_empty());
        Ok(Joined { device: device.map(|name| (name.src_name, name.dst_prefix)), gateways, routes })
    }

    pub(crate) fn leave(&self, network: &str, endpoint: &str) -> Result<(), PluginError> {
        self.call::<Empty>("Leave", &json!({ "NetworkID": network, "EndpointID": endpoint })).map(drop)
    }

    /// Publishes ports; a plugin need not know how.
    pub(crate) fn publish(&self, network: &str, endpoint: &str, options: &Options) -> Result<(), PluginError> {
        let body = json!({ "NetworkID": network, "EndpointID": endpoint, "Options": options });
        self.optional("ProgramExternalConnectivity", &body)
    }

    pub(crate) fn unpublish(&self, network: &str, endpoint: &str) -> Result<(), PluginError> {
        self.optional("RevokeExternalConnectivity", &json!({ "NetworkID": network, "EndpointID": endpoint }))
    }

    fn optional(&self, method: &str, body: &Value) -> Result<(), PluginError> {
        match self.call::<Empty>(method, body) {
            Err(error) if error.is_unknown_message() => Ok(()),
            done => done.map(drop),
        }
    }

    /// Logs what could not be taken back.
    pub(crate) fn undo(&self, done: Result<(), PluginError>) {
        if let Err(error) = done {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(plugin = self.name(), error, "a plugin did not take something back");
        }
    }

    fn bad(&self, what: &'static str, value: &str) -> PluginError {
        PluginError::BadValue { name: self.name().to_owned(), what, value: value.to_owned() }
    }
}

/// The ports of a container in libnetwork's words, beside the options of the endpoint.
pub(crate) fn port_options(
    options: &BTreeMap<String, String>,
    exposed: &[(Protocol, u16)],
    ports: &[PortRequest],
) -> Options {
    let mut all: Options = options.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let bindings: Vec<Value> = ports.iter().map(port).collect();
    let mut offered: Vec<(u8, u16)> = exposed.iter().map(|(protocol, port)| (protocol.number(), *port)).collect();
    offered.extend(ports.iter().map(|port| (port.protocol.number(), port.container_port)));
    offered.sort_unstable();
    offered.dedup();
    let exposed: Vec<Value> =
        offered.iter().map(|(protocol, port)| json!({ "Proto": protocol, "Port": port })).collect();
    all.insert(PORT_MAP.to_owned(), bindings.into());
    all.insert(EXPOSED.to_owned(), exposed.into());
    all
}

fn port(wanted: &PortRequest) -> Value {
    use crate::HostPort;
    let (first, last) = match wanted.host_port {
        HostPort::Random => (0, 0),
        HostPort::Fixed(port) => (port, port),
        HostPort::Range(first, last) => (first, last),
    };
    json!({
        "Proto": wanted.protocol.number(),
        "IP": "",
        "Port": wanted.container_port,
        "HostIP": wanted.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        "HostPort": first,
        "HostPortEnd": last,
    })
}

fn read_port(value: &Value) -> Option<PortBinding> {
    let number = |key: &str| value.get(key)?.as_u64();
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = protocol.into_iter().find(|known| number("Proto") == Some(known.number().into()))?;
    Some(PortBinding {
        container_port: number("Port")?.try_into().ok()?,
        protocol,
        host_ip: value.get("HostIP")?.as_str()?.parse().ok()?,
        host_port: number("HostPort")?.try_into().ok()?,
    })
}
