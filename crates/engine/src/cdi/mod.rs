//! CDI, the Container Device Interface: files that say what a named device (`vendor.com/class=name`) means for a
//! container. Source: the CDI specification, versions 0.3 to 1.0.
//!
//! [`registry`] reads the files, [`request`] turns device requests into names, [`apply`] edits the OCI specification.

mod apply;
mod name;
mod registry;
mod request;
mod spec;

pub(crate) use apply::apply;
pub(crate) use registry::devices;
pub(crate) use request::resolve;
pub(crate) use spec::Edits;
