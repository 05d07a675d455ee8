//! Flags of `seccomp(2)` by name.

use super::Error;
use crate::spec::Seccomp;

/// `SECCOMP_FILTER_FLAG_*` (linux/seccomp.h).
const FLAGS: [(&str, u32); 4] = [
    // The runtime loads the filter in a single thread: there is nobody to synchronise with.
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2),
    // Only means something to a notification listener, which is refused elsewhere.
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0),
];

const SPEC_ALLOW: u32 = 1 << 2;

/// Bits for [`super::load`]. A profile that names no flags gets `SPEC_ALLOW`, as with the other OCI runtimes:
/// without it older kernels slow the whole container down.
pub fn load_flags(profile: &Seccomp) -> Result<u32, Error> {
    if profile.flags.is_empty() {
        return Ok(SPEC_ALLOW);
    }
    profile.flags.iter().try_fold(0, |bits, name| {
        let known = FLAGS.iter().find(|(flag, _)| flag == name);
        known.map(|(_, bit)| bits | bit).ok_or_else(|| Error::UnknownFlag(name.clone()))
    })
}
