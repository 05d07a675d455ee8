//! System call filters: from config.json's rules to a classic BPF program, and Docker's default profile.
//!
//! The compiler follows libseccomp's meaning, which is what profiles are written against:
//! - a rule without conditions beats rules with conditions on the same call, whatever their order;
//! - conditions on different arguments must all hold; several on the same argument make alternatives of the rule;
//! - names that an architecture does not have are skipped;
//! - a system call of an architecture that the filter does not list kills the thread.
//!
//! And the OCI runtimes': calls newer than every call the profile knows fail with ENOSYS instead of the
//! default action, so that programs fall back to older calls.

mod arch;
mod default_calls;
mod default_profile;
mod docker_profile;
mod emit;
mod error;
mod flags;
#[cfg(test)]
mod oracle;
mod rules;
#[cfg(test)]
mod simulate;
mod tables;

use crate::spec::Seccomp;

pub use arch::Arch;
pub use default_profile::default_profile;
pub use docker_profile::{DockerProfile, Host};
pub use error::Error;
pub use flags::load_flags;

/// Compiles a filter into an array of `struct sock_filter`, as bytes, for [`load`].
pub fn compile(profile: &Seccomp) -> Result<Vec<u8>, Error> {
    compile_for(profile, Arch::NATIVE)
}

/// The same for another native architecture.
pub fn compile_for(profile: &Seccomp, native: Arch) -> Result<Vec<u8>, Error> {
    if !profile.listener_path.is_empty() || !profile.listener_metadata.is_empty() {
        return Err(Error::ListenerUnsupported);
    }
    let filter = rules::Filter::new(profile, native)?;
    emit::program(&filter)
}

/// Installs a compiled filter in the calling thread; `flags` are those of [`load_flags`].
pub fn load(program: &[u8], flags: u32) -> std::io::Result<()> {
    sys::seccomp::load_filter(program, flags)
}
