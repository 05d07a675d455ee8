//! Capabilities, system call filters and the other security options.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::seccomp::{self, Arch, DockerProfile, Host};
use runtime::spec::defaults;

use crate::error::{Error, Invalid};
use crate::model::{HostConfig, NamespaceMode};

/// Every capability the kernel knows (capabilities(7)), without the prefix.
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Whether a limit has such a name: Docker's, and the address space, which the kernel knows too.
fn is_limit(name: &str) -> bool {
    name == "as" || types::ULIMITS.contains(&name)
}

/// Compiled filters by the settings they depend on: compiling takes a millisecond, starts are more frequent.
#[derive(Default)]
pub(crate) struct Filters {
    /// The daemon's own: a profile's text or `unconfined`; `None` is the built-in one.
    default: Option<String>,
    compiled: Mutex<BTreeMap<FilterKey, Option<Arc<[u8]>>>>,
}

/// A user's profile, or the default, and the capabilities.
type FilterKey = (Option<String>, Vec<String>);

enum Seccomp {
    Default,
    Unconfined,
    Profile(String),
}

// === impl Filters ===

impl Filters {
    /// No filter yet; `default` is the daemon's `seccomp-profile`.
    pub(crate) fn new(default: Option<String>) -> Self {
        Self { default, compiled: Mutex::default() }
    }

    /// The filter of a container; `None` when it is unconfined.
    ///
    /// # Errors
    /// [`Invalid::Seccomp`] for a profile that does not parse or compile.
    pub(crate) fn for_container(&self, host: &HostConfig, capabilities: &[String]) -> Result<Option<Arc<[u8]>>, Error> {
        let profile = match seccomp_option(host, self.default.as_deref()) {
            Seccomp::Unconfined => return Ok(None),
            Seccomp::Default => None,
            Seccomp::Profile(text) => Some(text),
        };
        let key = (profile, capabilities.to_vec());
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = compiled.get(&key) {
            return Ok(filter.clone());
        }
        let filter: Option<Arc<[u8]>> = compile(key.0.as_deref(), capabilities)?.map(Arc::from);
        compiled.insert(key, filter.clone());
        Ok(filter)
    }
}

/// `None`: the profile asks for no filter.
fn compile(profile: Option<&str>, capabilities: &[String]) -> Result<Option<Vec<u8>>, Error> {
    let host = Host { arch: Arch::NATIVE, kernel: kernel(), capabilities };
    let invalid = |error: seccomp::Error| Error::from(Invalid::Seccomp(error.to_string()));
    let profile = match profile {
        None => Some(seccomp::default_profile(host)),
        Some(text) => DockerProfile::parse(text).and_then(|profile| profile.resolve(host)).map_err(invalid)?,
    };
    profile.map(|profile| seccomp::compile(&profile).map_err(invalid)).transpose()
}

pub(super) fn kernel() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

fn seccomp_option(host: &HostConfig, default: Option<&str>) -> Seccomp {
    let given = host
        .security_opt
        .iter()
        .rev()
        .find_map(|option| option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:")));
    match given {
        Some("unconfined") => Seccomp::Unconfined,
        Some("builtin") => Seccomp::Default,
        Some(text) => Seccomp::Profile(text.to_owned()),
        None if host.privileged || default == Some("unconfined") => Seccomp::Unconfined,
        None => default.map_or(Seccomp::Default, |profile| Seccomp::Profile(profile.to_owned())),
    }
}

/// Whether `no-new-privileges` is asked for, by the container or, without a word from it, by the daemon. Checks all security options on the way.
///
/// # Errors
/// [`Invalid::SecurityOpt`].
pub(super) fn no_new_privileges(host: &HostConfig, default: bool) -> Result<bool, Error> {
    let mut found = default;
    for option in &host.security_opt {
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => found = true,
            ("no-new-privileges", "false") => found = false,
            ("writable-cgroups", "true" | "false") => {}
            // No label or AppArmor support here, as in a Docker on a kernel without them: reported, not applied.
            ("seccomp" | "label" | "apparmor", value) if !value.is_empty() => {}
            ("disable", "") => {}
            _ => return Err(Invalid::SecurityOpt(option.clone()).into()),
        }
    }
    Ok(found)
}

/// `writable-cgroups=true`: the container may divide its own control group.
pub(super) fn writable_cgroups(host: &HostConfig) -> bool {
    let last = host.security_opt.iter().rev().find_map(|option| option.strip_prefix("writable-cgroups="));
    last == Some("true")
}

/// Checks at create what a start would refuse: names of capabilities, security options, kinds of limits.
///
/// # Errors
/// [`Invalid`].
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    no_new_privileges(host, false)?;
    names("CapAdd", &host.cap_add)?;
    names("CapDrop", &host.cap_drop)?;
    if writable_cgroups(host) && host.cgroupns_mode == NamespaceMode::Host {
        return Err(Invalid::Conflict("writable-cgroups and the cgroup namespace of the host").into());
    }
    match host.resources.ulimits.iter().find(|limit| !is_limit(&limit.name)) {
        Some(limit) => Err(Invalid::Ulimit(limit.name.clone()).into()),
        None => Ok(()),
    }
}

/// The capabilities of a container's processes.
///
/// # Errors
/// [`Invalid::Capability`].
pub(super) fn capabilities(host: &HostConfig) -> Result<Vec<String>, Error> {
    let add = names("CapAdd", &host.cap_add)?;
    let drop = names("CapDrop", &host.cap_drop)?;
    if host.privileged {
        return Ok(all_capabilities());
    }
    let (add_all, drop_all) =
        (host.cap_add.iter().any(|name| is_all(name)), host.cap_drop.iter().any(|name| is_all(name)));
    let base = |name: &String| add_all || (!drop_all && defaults::CAPABILITIES.contains(&name.as_str()));
    let mut wanted = all_capabilities();
    wanted.retain(|name| (base(name) && !drop.contains(name)) || add.contains(name));
    Ok(wanted)
}

/// Every capability, as `CAP_…`.
pub(super) fn all_capabilities() -> Vec<String> {
    ALL.iter().map(|name| format!("CAP_{name}")).collect()
}

fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("all")
}

fn names(member: &'static str, list: &[String]) -> Result<Vec<String>, Error> {
    let listed = list.iter().filter(|name| !is_all(name)).map(|given| {
        let upper = given.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let name = format!("CAP_{bare}");
        if ALL.contains(&bare) { Ok(name) } else { Err(Invalid::Capability(member, name).into()) }
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(add: &[&str], drop: &[&str]) -> Result<Vec<String>, Error> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        capabilities(&HostConfig { cap_add: list(add), cap_drop: list(drop), ..HostConfig::default() })
    }

    #[test]
    fn capabilities_add_and_drop() {
        assert_eq!(with(&[], &[]).map(|caps| caps.len()).ok(), Some(14));
        assert_eq!(with(&[], &["ALL"]).ok(), Some(Vec::new()));
        assert_eq!(with(&["net_admin"], &["all"]).ok(), Some(vec!["CAP_NET_ADMIN".to_owned()]));
        assert_eq!(with(&["ALL"], &["CAP_SYS_ADMIN"]).map(|caps| caps.len()).ok(), Some(40));
        let refused = |add: &[&str], drop: &[&str]| with(add, drop).map_err(|error| error.to_string());
        assert_eq!(refused(&["NOPE"], &[]), Err("invalid CapAdd: unknown capability: \"CAP_NOPE\"".to_owned()));
        assert_eq!(refused(&[], &["cap_x"]), Err("invalid CapDrop: unknown capability: \"CAP_X\"".to_owned()));
    }

    #[test]
    fn filters_are_compiled_once() {
        let (filters, caps) = (Filters::default(), with(&[], &[]).expect("valid"));
        let first = filters.for_container(&HostConfig::default(), &caps).expect("compiles").expect("confined");
        let second = filters.for_container(&HostConfig::default(), &caps).expect("compiles").expect("confined");
        assert!(Arc::ptr_eq(&first, &second));
        let privileged = HostConfig { privileged: true, ..HostConfig::default() };
        assert!(filters.for_container(&privileged, &caps).expect("fine").is_none());
    }
}
