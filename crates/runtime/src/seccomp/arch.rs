//! Architectures: names, audit numbers, system call numbers.

use super::Error;
use super::tables::{aarch64, arm, x32, x86, x86_64};

/// An architecture (an ABI, to be exact) whose system calls are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// 32-bit x86.
    X86,
    /// x86-64 with 32-bit pointers.
    X32,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
}

/// Names of libseccomp that are no architecture of ours: a listed one is refused only when it is the only one,
/// since it can never be met on this machine.
const FOREIGN: [&str; 17] = [
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
];

impl Arch {
    /// What this program runs on.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Self = Self::X86_64;
    /// What this program runs on.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Self = Self::Aarch64;

    /// By `SCMP_ARCH_…` name; `None` for one that this machine can never meet.
    pub(super) fn named(name: &str) -> Result<Option<Self>, Error> {
        Ok(Some(match name {
            "SCMP_ARCH_X86_64" => Self::X86_64,
            "SCMP_ARCH_X86" => Self::X86,
            "SCMP_ARCH_X32" => Self::X32,
            "SCMP_ARCH_AARCH64" => Self::Aarch64,
            "SCMP_ARCH_ARM" => Self::Arm,
            other if FOREIGN.contains(&other) => return Ok(None),
            other => return Err(Error::UnknownArchitecture(other.to_owned())),
        }))
    }

    /// `SCMP_ARCH_…` name.
    pub fn scmp_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// Name in the filters of Docker's profiles.
    pub(super) fn docker_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// `AUDIT_ARCH_*` (linux/audit.h): the ELF machine, with bits for 64-bit and little-endian.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether only the low half of an argument counts, as libseccomp has it.
    pub(super) fn is_32_bit(self) -> bool {
        matches!(self, Self::X86 | Self::X32 | Self::Arm)
    }

    /// Number of a system call, as the kernel reports it to the filter.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        match self {
            Self::X86_64 => find(x86_64::SYSCALLS, name),
            Self::X86 => find(x86::SYSCALLS, name),
            Self::Aarch64 => find(aarch64::SYSCALLS, name),
            Self::Arm => find(arm::SYSCALLS, name),
            Self::X32 if x32::ABSENT.binary_search(&name).is_ok() => None,
            Self::X32 => find(x32::OWN, name).or_else(|| find(x86_64::SYSCALLS, name)).map(|number| number | x32::BIT),
        }
    }
}

/// Bit that marks an x32 call.
pub(super) const X32_BIT: u32 = x32::BIT;

fn find(table: &[(&str, u32)], name: &str) -> Option<u32> {
    table.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|index| table[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_spot_right() {
        for table in [x86_64::SYSCALLS, x86::SYSCALLS, aarch64::SYSCALLS, arm::SYSCALLS, x32::OWN] {
            assert!(table.is_sorted_by(|one, two| one.0 < two.0));
        }
        assert!(x32::ABSENT.is_sorted());
        assert_eq!(Arch::X86_64.number("execve"), Some(59));
        assert_eq!(Arch::X86.number("execve"), Some(11));
        assert_eq!(Arch::Aarch64.number("execve"), Some(221));
        assert_eq!(Arch::Arm.number("set_tls"), Some(0xf0005));
        assert_eq!(Arch::X32.number("execve"), Some(0x4000_0000 + 520));
        assert_eq!(Arch::X32.number("read"), Some(0x4000_0000));
        assert_eq!(Arch::X32.number("uselib"), None);
        assert_eq!(Arch::Aarch64.number("open"), None);
    }

    #[test]
    fn the_tables_agree_with_libc() {
        for (name, number) in [
            ("clone3", libc::SYS_clone3),
            ("openat2", libc::SYS_openat2),
            ("seccomp", libc::SYS_seccomp),
            ("mseal", libc::SYS_mseal),
            ("ppoll", libc::SYS_ppoll),
        ] {
            assert_eq!(Arch::NATIVE.number(name).map(i64::from), Some(number), "{name}");
        }
    }
}
