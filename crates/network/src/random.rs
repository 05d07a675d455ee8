//! Random bytes.

use std::path::Path;

use types::{EndpointId, NetworkId, SandboxId};

use crate::definition::Subnet;
use crate::{Error, plan};

pub(crate) fn endpoint_id() -> Result<EndpointId, Error> {
    bytes().map(EndpointId::from_bytes)
}

pub(crate) fn network_id() -> Result<NetworkId, Error> {
    bytes().map(NetworkId::from_bytes)
}

pub(crate) fn sandbox_id() -> Result<SandboxId, Error> {
    bytes().map(SandboxId::from_bytes)
}

/// A locally administered unicast address with Docker's prefix.
pub(crate) fn mac() -> Result<[u8; 6], Error> {
    let [a, b, c, d, ..] = bytes()?;
    Ok([0x02, 0x42, a, b, c, d])
}

/// A local IPv6 subnet that nobody else is likely to have.
pub(crate) fn local_subnet() -> Result<Subnet, Error> {
    let [a, b, c, d, e, f, g, ..] = bytes()?;
    Ok(plan::local_subnet([a, b, c, d, e, f, g]))
}

/// Eight digits that differ from path to path (FNV-1a).
pub(crate) fn digest(path: &Path) -> String {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    format!("{:08x}", path.as_os_str().as_encoded_bytes().iter().fold(0x811c_9dc5, step))
}

fn bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    // Up to 256 bytes come whole once the kernel's generator is seeded.
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()))
        .map_err(|error| Error::Random(error.into()))?;
    Ok(bytes)
}
