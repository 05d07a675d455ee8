//! Memory of an engine's processes.

use std::fs;
use std::path::{Path, PathBuf};

/// Which processes belong to an engine.
pub enum Processes {
    /// Those whose program lies in a directory.
    In(PathBuf),
    /// The processes of Docker and Podman whose command line contains a text (such as their directory).
    Reference(String),
}

/// Program names of Docker and Podman.
const REFERENCE: [&str; 6] = ["dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy", "podman", "conmon"];

impl Processes {
    /// Sum of their proportional set sizes in MB.
    pub fn pss(&self) -> f64 {
        let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
        let kilobytes: u64 = entries.flatten().filter_map(|entry| self.pss_of(&entry.path())).sum();
        kilobytes as f64 / 1024.0
    }

    /// A process that ends meanwhile counts nothing.
    fn pss_of(&self, process: &Path) -> Option<u64> {
        let program = fs::read_link(process.join("exe")).ok()?;
        let wanted = match self {
            Self::In(directory) => program.parent() == Some(directory),
            Self::Reference(text) => {
                program.file_name().is_some_and(|name| REFERENCE.iter().any(|wanted| name == *wanted))
                    && String::from_utf8_lossy(&fs::read(process.join("cmdline")).ok()?).contains(text.as_str())
            }
        };
        if !wanted {
            return None;
        }
        let text = fs::read_to_string(process.join("smaps_rollup")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().trim_end_matches(" kB").parse().ok()
    }
}
