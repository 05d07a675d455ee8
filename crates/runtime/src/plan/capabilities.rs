//! Capabilities by name, and the five sets of a process.

use crate::error::Error;
use crate::spec::Capabilities;

/// Names in the kernel's order: the index is the number (capabilities(7)).
pub(crate) const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The five sets, as bit masks. Names that no kernel knows are left out, as runc does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapabilityPlan {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

// === impl CapabilityPlan ===

impl CapabilityPlan {
    /// Reads the sets of a configuration.
    pub fn new(capabilities: &Capabilities) -> Result<Self, Error> {
        Ok(Self {
            bounding: mask(&capabilities.bounding)?,
            effective: mask(&capabilities.effective)?,
            permitted: mask(&capabilities.permitted)?,
            inheritable: mask(&capabilities.inheritable)?,
            ambient: mask(&capabilities.ambient)?,
        })
    }

    /// The same sets within what the machine can give at all.
    #[must_use]
    pub fn within(self, available: u64) -> Self {
        let permitted = self.permitted & available;
        let inheritable = self.inheritable & available;
        Self {
            bounding: self.bounding & available,
            effective: self.effective & permitted,
            permitted,
            inheritable,
            ambient: self.ambient & permitted & inheritable,
        }
    }
}

fn mask(names: &[String]) -> Result<u64, Error> {
    let mut mask = 0;
    for name in names {
        let upper = name.to_ascii_uppercase();
        match NAMES.iter().position(|known| *known == upper) {
            Some(number) => mask |= 1 << number,
            None if upper.starts_with("CAP_") => {}
            None => return Err(Error::invalid("process.capabilities", format!("unknown capability {name:?}"))),
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sets_stay_within_each_other() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let plan = CapabilityPlan::new(&Capabilities {
            bounding: list(&["CAP_CHOWN", "cap_kill", "CAP_FROM_THE_FUTURE"]),
            effective: list(&["CAP_CHOWN", "CAP_KILL"]),
            permitted: list(&["CAP_CHOWN"]),
            ambient: list(&["CAP_CHOWN"]),
            ..Capabilities::default()
        })
        .unwrap();
        assert_eq!(plan.bounding, 1 | 1 << 5);
        let within = plan.within(!0);
        assert_eq!((within.effective, within.ambient), (1, 0));
        assert_eq!(plan.within(1 << 5).bounding, 1 << 5);
        assert!(CapabilityPlan::new(&Capabilities { bounding: list(&["CHOWN"]), ..Capabilities::default() }).is_err());
    }
}
