//! Randomness from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// 32 random bytes (getrandom(2)).
pub(crate) fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        // Fails only before the kernel's pool is ready or on EINTR; waiting is right in both cases.
        if let Ok(count) = getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            filled += count;
        }
    }
    bytes
}
