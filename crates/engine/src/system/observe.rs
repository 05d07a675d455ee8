//! What the machine is and what its control groups can do.

use std::fs;
use std::path::Path;

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Host name.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// The distribution, as it calls itself.
    pub operating_system: String,
    /// The distribution's version.
    pub os_version: String,
    /// Architecture as the kernel calls it (`x86_64`).
    pub architecture: String,
    /// Processors.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Whether packets are forwarded.
    pub ipv4_forwarding: bool,
    /// Open descriptors of this process.
    pub descriptors: usize,
    /// Threads of this process.
    pub threads: usize,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupFeatures {
    /// 1 (also hybrid) or 2.
    pub version: u8,
    /// Memory.
    pub memory: bool,
    /// Swap.
    pub swap: bool,
    /// CPU quota.
    pub cpu_quota: bool,
    /// CPU weight.
    pub cpu_shares: bool,
    /// CPU and memory node placement.
    pub cpuset: bool,
    /// Number of processes.
    pub pids: bool,
    /// Bytes and operations a second on a block device.
    pub io_throttle: bool,
    /// Shares of block devices; only version 2 may have to do without them and Docker warns there.
    pub io_weight: bool,
    /// The OOM killer can be switched off.
    pub oom_kill_disable: bool,
}

impl Machine {
    /// Looks. What cannot be read is empty.
    #[must_use]
    pub fn observe() -> Self {
        let uname = rustix::system::uname();
        let release = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
        let name = os_release(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
        Self {
            name: uname.nodename().to_string_lossy().into_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            operating_system: name,
            os_version: os_release(&release, "VERSION_ID").unwrap_or_default(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory_of_machine(),
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward").is_some_and(|text| text.trim() == "1"),
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
        }
    }
}

impl CgroupFeatures {
    /// Looks at `/sys/fs/cgroup`.
    #[must_use]
    pub fn observe() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        match read("/sys/fs/cgroup/cgroup.controllers") {
            Some(controllers) => {
                let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
                Self {
                    version: 2,
                    memory: has("memory"),
                    swap: has("memory"),
                    cpu_quota: has("cpu"),
                    cpu_shares: has("cpu"),
                    cpuset: has("cpuset"),
                    pids: has("pids"),
                    io_throttle: has("io"),
                    io_weight: has("io") && weighs_io(),
                    oom_kill_disable: false,
                }
            }
            None => {
                let has = |file: &str| root.join(file).exists();
                Self {
                    version: 1,
                    memory: has("memory/memory.limit_in_bytes"),
                    swap: has("memory/memory.memsw.limit_in_bytes"),
                    cpu_quota: has("cpu/cpu.cfs_quota_us"),
                    cpu_shares: has("cpu/cpu.shares"),
                    cpuset: has("cpuset/cpuset.cpus"),
                    pids: has("pids"),
                    io_throttle: has("blkio/blkio.throttle.read_bps_device"),
                    io_weight: has("blkio/blkio.weight") || has("blkio/blkio.bfq.weight"),
                    oom_kill_disable: has("memory/memory.oom_control"),
                }
            }
        }
    }
}

/// Whether groups of version 2 can have shares of block devices: by the kernel's cost model, which shows in the root,
/// or by a scheduler, which shows in the groups below.
pub(crate) fn weighs_io() -> bool {
    let root = Path::new("/sys/fs/cgroup");
    let groups = || fs::read_dir(root).into_iter().flatten().flatten();
    let shows = |group: &Path| group.join("io.weight").exists() || group.join("io.bfq.weight").exists();
    root.join("io.cost.qos").exists() || groups().any(|group| shows(&group.path()))
}

/// Bytes of memory; zero when the kernel does not say.
pub(crate) fn memory_of_machine() -> u64 {
    read("/proc/meminfo").and_then(|text| memory_total(&text)).unwrap_or(0)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn entries(path: &str) -> usize {
    fs::read_dir(path).map_or(0, Iterator::count)
}

/// One value of os-release(5).
fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Bytes, from `/proc/meminfo`.
fn memory_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read() {
        let release = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n";
        assert_eq!(os_release(release, "PRETTY_NAME").as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(os_release(release, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(memory_total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2048 * 1024));
        assert!(Machine::observe().cpus > 0);
    }
}
