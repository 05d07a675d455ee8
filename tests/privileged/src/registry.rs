//! A local registry (Debian's docker-registry) on a loopback port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::until;

/// A registry that ends with this value.
pub struct Registry {
    address: String,
    port: u16,
    child: Child,
    directory: PathBuf,
}

// === impl Registry ===

impl Registry {
    /// Starts a registry with an empty store; none when the program is not installed.
    pub fn start() -> Option<Self> {
        Self::launch("127.0.0.1", |_| (String::new(), String::new()))
    }

    /// As `start`, at an address that no engine trusts by itself.
    pub fn start_at(address: &str) -> Option<Self> {
        Self::launch(address, |_| (String::new(), String::new()))
    }

    /// As `start`, for the one account `user` with the password `secret`.
    pub fn guarded() -> Option<Self> {
        Self::launch("127.0.0.1", |directory| {
            let accounts = directory.join("htpasswd");
            fs::write(&accounts, "user:$2b$04$dXgeDGTmUl9LE9R0rByQz.epyoVf7OplRSTQrSt/t19JY80y0r4Ia\n")
                .expect("accounts");
            (String::new(), format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", accounts.display()))
        })
    }

    /// As `start`, with TLS at an address that no engine trusts by itself. `ca.crt` in `directory` is the authority.
    pub fn encrypted(address: &str, directory: &Path) -> Option<Self> {
        Self::encrypted_as(address, &format!("IP:{address}"), directory)
    }

    /// As `encrypted`, with a certificate for another name, for example `DNS:other.example`.
    pub fn encrypted_as(address: &str, name: &str, directory: &Path) -> Option<Self> {
        certify(name, directory)?;
        let tls = tls_section(directory);
        Self::launch(address, |_| (format!(", tls: {{{tls}}}"), String::new()))
    }

    /// As `encrypted`, for clients only that show a certificate; `me.cert` and `me.key` in `directory` are such.
    pub fn mutual(address: &str, directory: &Path) -> Option<Self> {
        certify(&format!("IP:{address}"), directory)?;
        let file = |name: &str| directory.join(name).display().to_string();
        let request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me"];
        openssl(&[&request[..], &["-keyout", &file("me.key"), "-out", &file("me.csr")]].concat())?;
        let sign = ["x509", "-req", "-days", "2", "-CAcreateserial", "-in", &file("me.csr"), "-out", &file("me.cert")];
        openssl(&[&sign[..], &["-CA", &file("ca.crt"), "-CAkey", &file("key.pem")]].concat())?;
        let tls = format!("{}, clientcas: [{}]", tls_section(directory), file("ca.crt"));
        Self::launch(address, |_| (format!(", tls: {{{tls}}}"), String::new()))
    }

    fn launch(address: &str, extra: impl FnOnce(&Path) -> (String, String)) -> Option<Self> {
        let port = TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr()).ok()?.port();
        let directory = std::env::temp_dir().join(format!("gt-registry-{}-{port}", std::process::id()));
        fs::create_dir_all(directory.join("data")).expect("a directory for the registry");
        let (http, sections) = extra(&directory);
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: {address}:{port}{http}}}\n{sections}",
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
        let registry = Self { address: address.to_owned(), port, child, directory };
        until("the registry listens", 30, || TcpStream::connect((address, port)).ok());
        Some(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// `127.0.0.1:PORT/name`.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The URL of the registry, as `registry-mirrors` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// Puts the image of a docker-archive into the registry under a name, without any engine.
    pub fn put(&self, archive: &Path, name: &str) -> String {
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

/// A key and a certificate of its own for a name.
pub(crate) fn certify(name: &str, directory: &Path) -> Option<()> {
    let file = |name: &str| directory.join(name).display().to_string();
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"];
    let names = format!("subjectAltName={name}");
    openssl(&[&request[..], &["-addext", &names, "-keyout", &file("key.pem"), "-out", &file("ca.crt")]].concat())
}

fn openssl(arguments: &[&str]) -> Option<()> {
    let made = Command::new("openssl").args(arguments).output().ok()?;
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Some(())
}

fn tls_section(directory: &Path) -> String {
    let file = |name: &str| directory.join(name).display().to_string();
    format!("certificate: {}, key: {}", file("ca.crt"), file("key.pem"))
}

/// A TCP port of loopback that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}
