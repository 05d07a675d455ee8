//! Networks, as clients see them.

use network::{LinkRecord, NetworkInfo};
use types::{ContainerId, EndpointId};

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, InvalidFilter, any, check_keys, truth};

const KEYS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// A container on a network, while it runs.
#[derive(Clone, Debug)]
pub struct NetworkMember {
    /// The container.
    pub container: ContainerId,
    /// Its name without the slash.
    pub name: String,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Link and address; `None` on `host` and `none`.
    pub link: Option<LinkRecord>,
}

impl Engine {
    /// Lists networks.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<NetworkInfo>, Error> {
        check_keys(&filters, &KEYS)?;
        let values = |key: &str| filters.get(key).map_or(&[][..], Vec::as_slice);
        let dangling = values("dangling").first().map(|value| truth("dangling", value)).transpose()?;
        if let Some(value) = values("type").iter().find(|value| !matches!(value.as_str(), "builtin" | "custom")) {
            return Err(InvalidFilter::Value { key: "type", value: value.clone() }.into());
        }
        let mut networks = self.network.networks();
        networks.retain(|network| {
            any(values("driver"), |wanted| wanted == network.driver.as_str())
                && any(values("id"), |wanted| network.id.as_str().starts_with(wanted.as_str()))
                && any(values("name"), |wanted| network.name.contains(wanted.as_str()))
                && any(values("scope"), |wanted| wanted == "local")
                // The three networks of an engine are built in and carry no labels.
                && any(values("type"), |wanted| wanted == "builtin")
                && values("label").is_empty()
                && dangling != Some(true)
        });
        Ok(networks)
    }

    /// One network and who is on it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network_inspect(&self, name: &str) -> Result<(NetworkInfo, Vec<NetworkMember>), Error> {
        let network = self.network.network(name)?;
        let containers = self.containers.snapshot();
        let members = containers.iter().filter_map(|container| {
            let status = container.status();
            let endpoint = status.endpoint.filter(|endpoint| endpoint.network_id == network.id)?;
            Some(NetworkMember {
                container: container.spec.id.clone(),
                name: status.name,
                endpoint: endpoint.endpoint_id,
                link: endpoint.link,
            })
        });
        let members = members.collect();
        Ok((network, members))
    }
}
