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
        let sizes = self.each(|process| field(&process.join("smaps_rollup"), "Pss:"));
        sizes.into_iter().sum::<u64>() as f64 / 1024.0
    }

    /// Begins to watch for the most memory resident at a time.
    pub fn forget_peak(&self) {
        // A process that ends meanwhile needs no watching; 5 is the number for this (proc(5), clear_refs).
        self.each(|process| fs::write(process.join("clear_refs"), "5").ok());
    }

    /// The largest sum of resident memory since then, in MB.
    pub fn peak(&self) -> f64 {
        let sizes = self.each(|process| field(&process.join("status"), "VmHWM:"));
        sizes.into_iter().sum::<u64>() as f64 / 1024.0
    }

    fn each<T>(&self, look: impl Fn(&Path) -> Option<T>) -> Vec<T> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| self.is_ours(path) == Some(true)).filter_map(|path| look(&path)).collect()
    }

    /// A process that ends meanwhile is nobody's.
    fn is_ours(&self, process: &Path) -> Option<bool> {
        let program = fs::read_link(process.join("exe")).ok()?;
        Some(match self {
            Self::In(directory) => program.parent() == Some(directory),
            Self::Reference(text) => {
                program.file_name().is_some_and(|name| REFERENCE.iter().any(|wanted| name == *wanted))
                    && String::from_utf8_lossy(&fs::read(process.join("cmdline")).ok()?).contains(text.as_str())
            }
        })
    }
}

/// A size in kB from a file of `proc(5)`.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").parse().ok()
}
