//! Random bytes.

use types::{EndpointId, NetworkId, SandboxId};

use crate::Error;

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

fn bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    // Up to 256 bytes come whole once the kernel's generator is seeded.
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()))
        .map_err(|error| Error::Random(error.into()))?;
    Ok(bytes)
}
