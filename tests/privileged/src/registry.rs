//! A local registry (Debian's docker-registry) on a loopback port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::wait::until;

/// A registry that ends with this value.
pub struct Registry {
    port: u16,
    child: Child,
    directory: PathBuf,
}

// === impl Registry ===

impl Registry {
    /// Starts a registry with an empty store; none when the program is not installed.
    pub fn start() -> Option<Self> {
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("gt-registry-{}-{port}", std::process::id()));
        fs::create_dir_all(directory.join("data")).expect("a directory for the registry");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            directory.display()
        );
        fs::write(directory.join("config.yml"), config).expect("the registry's configuration");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(directory.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let registry = Self { port, child, directory };
        until("the registry listens", 15, || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(registry)
    }

    /// `127.0.0.1:PORT/name`.
    pub fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// The URL of the registry, as `registry-mirrors` wants it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts the image of a docker-archive into the registry under a name, without any engine.
    pub fn put(&self, archive: &std::path::Path, name: &str) -> String {
        let reference = self.reference(name);
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false", "-q"])
            .arg(format!("docker-archive:{}", archive.display()))
            .arg(format!("docker://{reference}"))
            .output()
            .expect("skopeo runs");
        assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
        reference
    }

    /// Files of all blobs in the registry's store, with their size.
    pub fn blobs(&self) -> Vec<(PathBuf, u64)> {
        let output = Command::new("find")
            .arg(self.directory.join("data"))
            .args(["-path", "*/blobs/*", "-name", "data"])
            .output();
        let text = String::from_utf8(output.expect("find runs").stdout).expect("UTF-8 paths");
        text.lines().map(|line| (PathBuf::from(line), fs::metadata(line).expect("a blob").len())).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Best effort: the process is our own child and the directory is under the temporary directory.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A TCP port of loopback that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}
