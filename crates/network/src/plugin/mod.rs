//! What is said to plugins: [`network`] drivers, and [`ipam`] drivers that give out addresses.
//!
//! How they are found and asked is the room `plugin`. Source: libnetwork's pages about remote drivers and remote IPAM.

pub(crate) mod ipam;
pub(crate) mod network;

use std::ops::Deref;

pub(crate) use ::plugin::Directories;
pub use ::plugin::PluginError;

/// What a plugin can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Network,
    Ipam,
}

/// The plugins of this machine, as networks want them.
#[derive(Debug)]
pub(crate) struct Plugins(::plugin::Plugins);

/// A plugin that was greeted and implements what it is wanted for.
#[derive(Clone, Debug)]
pub(crate) struct Plugin(::plugin::Plugin);

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Network => "NetworkDriver",
            Self::Ipam => "IpamDriver",
        }
    }
}

impl Plugins {
    pub(crate) fn new(directories: Directories) -> Self {
        Self(::plugin::Plugins::new(directories))
    }

    /// Finds and greets a plugin.
    pub(crate) fn find(&self, name: &str, role: Role) -> Result<Plugin, PluginError> {
        self.0.find(name, role.as_str()).map(Plugin)
    }
}

impl Deref for Plugin {
    type Target = ::plugin::Plugin;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[cfg(test)]
mod tests;
