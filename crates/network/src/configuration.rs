//! Configuration-only networks: settings under a name, for other networks to be made from (`--config-only`,
//! `--config-from`). Nothing is made for them but a record.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::definition::Definition;
use crate::records::{load_sorted, remove_user, write_user};
use crate::{Error, Network, NetworkInfo, NetworkRequest, info, paths, random};

/// The configurations of a daemon (`network/config/<id>.json`), oldest first.
pub(crate) fn load(directory: &Path) -> Result<Vec<Arc<Definition>>, Error> {
    std::fs::create_dir_all(directory).map_err(|source| Error::Record { path: directory.to_owned(), source })?;
    let found = load_sorted(directory, |network: &Definition| network.created.clone())?;
    Ok(found.into_iter().map(Arc::new).collect())
}

impl Network {
    /// Writes a configuration down; called while `changing` is held.
    pub(crate) fn create_configuration(&self, request: NetworkRequest) -> Result<NetworkInfo, Error> {
        if request.internal || request.attachable {
            return Err(Error::ConfigurationOperator);
        }
        if !request.config_from.is_empty() {
            return Err(Error::ConfigurationChain);
        }
        self.check_free(&request)?;
        let families = (request.ipv4.unwrap_or(true), request.ipv6.unwrap_or(false));
        let configuration = Definition::new(random::network_id()?, request, families, Vec::new(), None);
        write_user(&paths::configuration_record(&self.config, &configuration.id), &configuration)?;
        let info = info::configuration(&configuration);
        self.configurations.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(configuration));
        Ok(info)
    }

    /// Removes a configuration that no network was made from; called while `changing` is held.
    pub(crate) fn remove_configuration(&self, found: NetworkInfo) -> Result<NetworkInfo, Error> {
        self.check_unused(&found)?;
        remove_user(&paths::configuration_record(&self.config, &found.id))?;
        self.configurations.write().unwrap_or_else(PoisonError::into_inner).retain(|other| other.id != found.id);
        Ok(found)
    }

    /// Whether no network was made from it.
    pub(crate) fn check_unused(&self, found: &NetworkInfo) -> Result<(), Error> {
        let used = self.bridges().users.iter().any(|user| user.record.definition.config_from == found.name);
        if used || self.drivers.all().iter().any(|other| other.definition.config_from == found.name) {
            return Err(Error::ConfigurationInUse(found.name.clone()));
        }
        Ok(())
    }

    /// The request with the settings of the configuration that it names.
    pub(crate) fn configured(&self, request: NetworkRequest) -> Result<NetworkRequest, Error> {
        if request.config_from.is_empty() {
            return Ok(request);
        }
        let known = self.configurations();
        let wanted = known.iter().find(|other| other.name == request.config_from);
        let wanted = wanted.or_else(|| known.iter().find(|other| other.id.as_str() == request.config_from));
        let wanted = wanted.ok_or_else(|| Error::UnknownConfiguration(request.config_from.clone()))?;
        if !request.options.is_empty() {
            return Err(Error::ConfigurationOptions);
        }
        let own_ipam = !request.pools.is_empty() || request.ipam_options.as_ref().is_some_and(|own| !own.is_empty());
        if own_ipam || request.ipv6 == Some(true) || request.ipv4 == Some(false) || !request.labels.is_empty() {
            return Err(Error::ConfigurationGiven);
        }
        Ok(NetworkRequest {
            config_from: wanted.name.clone(),
            ipv4: Some(wanted.ipv4),
            ipv6: Some(wanted.ipv6),
            ipam_options: wanted.ipam_options.clone(),
            pools: wanted.pools.clone(),
            options: wanted.options.clone(),
            labels: wanted.labels.clone(),
            ..request
        })
    }

    /// Whether another network has the name, where that matters.
    pub(crate) fn check_free(&self, request: &NetworkRequest) -> Result<(), Error> {
        let taken = self.bridges().users.iter().any(|user| user.record.definition.name == request.name)
            || self.configurations().iter().any(|other| other.name == request.name)
            || self.drivers.all().iter().any(|other| other.definition.name == request.name);
        if request.unique && taken { Err(Error::NameInUse(request.name.clone())) } else { Ok(()) }
    }

    pub(crate) fn configurations(&self) -> Vec<Arc<Definition>> {
        self.configurations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
