//! What is said to a plugin that gives out addresses (`IpamDriver.*`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::json;

use super::{Plugin, PluginError};
use crate::MacAddress;

const GATEWAY: &str = "com.docker.network.gateway";
const KIND: &str = "RequestAddressType";
const MAC: &str = "com.docker.network.endpoint.macaddress";

/// A pool that the plugin has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenPool {
    pub(crate) id: String,
    pub(crate) subnet: IpNet,
    /// The gateway that the plugin wants for it.
    pub(crate) gateway: Option<IpAddr>,
}

/// What a plugin needs.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct IpamCapabilities {
    /// It wants to know the hardware address that an address is for.
    #[serde(rename = "RequiresMACAddress")]
    pub(crate) requires_mac: bool,
    /// It forgets its pools when it ends, and must be told of them again.
    pub(crate) requires_request_replay: bool,
}

#[derive(Deserialize)]
struct Empty {}

impl Plugin {
    /// A plugin that cannot say needs nothing.
    pub(crate) fn ipam_capabilities(&self) -> IpamCapabilities {
        self.call("GetCapabilities", &()).unwrap_or_default()
    }

    /// The name of the address space of one host.
    pub(crate) fn address_space(&self) -> Result<String, PluginError> {
        #[derive(Deserialize)]
        struct Spaces {
            #[serde(default, rename = "LocalDefaultAddressSpace")]
            local: String,
        }
        self.call("GetDefaultAddressSpaces", &()).map(|spaces: Spaces| spaces.local)
    }

    pub(crate) fn request_pool(
        &self,
        space: &str,
        subnet: Option<IpNet>,
        range: Option<IpNet>,
        options: Option<&BTreeMap<String, String>>,
        ipv6: bool,
    ) -> Result<GivenPool, PluginError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Given {
            #[serde(rename = "PoolID")]
            pool_id: String,
            pool: String,
            #[serde(default)]
            data: Option<BTreeMap<String, String>>,
        }
        let text = |net: Option<IpNet>| net.map(|net| net.to_string()).unwrap_or_default();
        let body = json!({
            "AddressSpace": space, "Pool": text(subnet), "SubPool": text(range), "Options": options, "V6": ipv6,
        });
        let given: Given = self.call("RequestPool", &body)?;
        let read = || {
            let subnet: IpNet = given.pool.parse().map_err(|_| self.bad_pool(&given.pool))?;
            let gateway = given.data.as_ref().and_then(|data| data.get(GATEWAY));
            let gateway = gateway.map(|text| address(text).ok_or_else(|| self.bad_pool(text))).transpose()?;
            Ok(GivenPool { id: given.pool_id.clone(), subnet: subnet.trunc(), gateway })
        };
        read().inspect_err(|_: &PluginError| self.undo(self.release_pool(&given.pool_id)))
    }

    pub(crate) fn release_pool(&self, pool: &str) -> Result<(), PluginError> {
        self.call::<Empty>("ReleasePool", &json!({ "PoolID": pool })).map(drop)
    }

    /// Takes the gateway's address.
    pub(crate) fn request_gateway(&self, pool: &str, wanted: Option<IpAddr>) -> Result<IpNet, PluginError> {
        self.request(pool, wanted, &BTreeMap::from([(KIND, GATEWAY.to_owned())]))
    }

    /// Takes an address, for a container's hardware address where the plugin needs to know it.
    pub(crate) fn request_address(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        mac: Option<MacAddress>,
    ) -> Result<IpNet, PluginError> {
        self.request(pool, wanted, &mac.map(|mac| (MAC, mac.to_string())).into_iter().collect())
    }

    fn request(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        options: &BTreeMap<&str, String>,
    ) -> Result<IpNet, PluginError> {
        #[derive(Deserialize)]
        struct Given {
            #[serde(default, rename = "Address")]
            address: String,
        }
        let wanted = wanted.map(|address| address.to_string()).unwrap_or_default();
        let body = json!({ "PoolID": pool, "Address": wanted, "Options": options });
        let given: Given = self.call("RequestAddress", &body)?;
        given.address.parse().map_err(|_| self.bad_pool(&given.address))
    }

    pub(crate) fn release_address(&self, pool: &str, address: IpAddr) -> Result<(), PluginError> {
        self.call::<Empty>("ReleaseAddress", &json!({ "PoolID": pool, "Address": address.to_string() })).map(drop)
    }

    fn bad_pool(&self, value: &str) -> PluginError {
        PluginError::BadValue { name: self.name().to_owned(), what: "address", value: value.to_owned() }
    }
}

/// With or without a prefix length.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}
