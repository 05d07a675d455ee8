//! What the host shows of a container: its process, cgroup, mounts and namespaces.

use std::fs;
use std::path::PathBuf;

/// True on a machine with the unified hierarchy only.
pub fn unified() -> bool {
    PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A file of the cgroup that holds a process: `controller/v1 name`, or the v2 name on a unified hierarchy.
pub fn cgroup_value(pid: u32, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = table.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted =
            if unified() { controllers.is_empty() } else { controllers.split(',').any(|name| name == controller) };
        wanted.then(|| path.trim_start_matches('/').to_owned())
    })?;
    let root = PathBuf::from("/sys/fs/cgroup");
    let file = if unified() { root.join(path).join(v2) } else { root.join(controller).join(path).join(v1) };
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// The namespace of a process, such as `net:[4026531840]`.
pub fn namespace(pid: &str, kind: &str) -> String {
    let path = format!("/proc/{pid}/ns/{kind}");
    fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}")).display().to_string()
}

/// A field of `/proc/PID/status`.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned()))
}

/// True while a process with that id exists.
pub fn alive(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

/// Field 22 of `/proc/PID/stat`: with the pid it names one process for ever.
pub fn start_time(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Bytes that a tree really occupies (`du -s`), hard links counted once.
pub fn disk_usage(path: &std::path::Path) -> u64 {
    let output = std::process::Command::new("du").args(["-s", "--block-size=1"]).arg(path).output().expect("du runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}
