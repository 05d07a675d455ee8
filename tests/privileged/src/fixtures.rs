//! The fixture images, built from Debian's packages and cached by the content of their recipe.
//!
//! ```text
//! <cache>/busybox-<key>.tar        docker-archive of busybox:latest
//! <cache>/debian-<key>.tar         docker-archive of debian:bookworm
//! <cache>/web-<key>.tar            docker-archive of web:v1 (nginx)
//! <cache>/programs-<key>.tar       docker-archive of programs:v1 (redis, PostgreSQL, nginx, a Java with Tomcat's libraries)
//! <cache>/services-<key>.tar       docker-archive of services:v1 (MariaDB, Apache)
//! <cache>/hello-world-<key>.tar    docker-archive of hello-world:latest
//! <cache>/debian-<key>.debs/       nginx-light and what it needs, for an installation by hand
//! ```

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::archive::{Image, Layer, LayerBuilder, sha256};

/// Bump when this file changes what a recipe gives.
const RECIPES: &str = "1";
const SUITE: &str = "bookworm";

/// A fixture image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixture {
    /// `busybox:latest`, the static busybox of Debian.
    Busybox,
    /// `debian:bookworm`, minbase.
    Debian,
    /// `web:v1`, nginx on Debian, serving `hello`.
    Web,
    /// `programs:v1`, servers that find each other: redis, PostgreSQL, nginx, a Java with Tomcat's libraries.
    Programs,
    /// `services:v1`, what keeps its files in volumes: MariaDB and Apache, with a document root in `/www`.
    Services,
    /// `hello-world:latest`, for reference engines; Gantry ships its own.
    HelloWorld,
}

// === impl Fixture ===

impl Fixture {
    /// All fixtures, cheapest first.
    pub const ALL: [Self; 6] =
        [Self::Busybox, Self::HelloWorld, Self::Debian, Self::Web, Self::Programs, Self::Services];

    /// The reference under which the archive's image is loaded.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Busybox => "busybox:latest",
            Self::Debian => "debian:bookworm",
            Self::Web => "web:v1",
            Self::Programs => "programs:v1",
            Self::Services => "services:v1",
            Self::HelloWorld => "hello-world:latest",
        }
    }

    /// The fixture of a reference, if it is one.
    pub fn of(reference: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fixture| {
            fixture.reference() == reference || fixture.reference().strip_suffix(":latest") == Some(reference)
        })
    }

    /// Path of the docker-archive; built first when the cache does not hold it.
    pub fn archive(self) -> Result<PathBuf> {
        let directory = cache_directory();
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join(format!("{}.tar", self.stem()?));
        if path.exists() {
            return Ok(path);
        }
        let lock = File::create(directory.join("lock"))?;
        lock.lock()?;
        if !path.exists() {
            self.build(&path).with_context(|| format!("build fixture {}", self.reference()))?;
        }
        Ok(path)
    }

    /// Directory of the `.deb` files that turn `debian:bookworm` into an nginx host.
    pub fn nginx_packages() -> Result<PathBuf> {
        Ok(Self::Debian.archive()?.with_extension("debs"))
    }

    fn stem(self) -> Result<String> {
        let (name, recipe) = match self {
            Self::Busybox => ("busybox", sha256(&fs::read(busybox()?)?).to_string()),
            Self::HelloWorld => ("hello-world", sha256(&fs::read(busybox()?)?).to_string()),
            Self::Debian => ("debian", debian_arguments(Path::new("")).join(" ")),
            Self::Web => ("web", web_arguments().join(" ")),
            Self::Programs => ("programs", programs_arguments().join(" ")),
            Self::Services => ("services", services_arguments().join(" ")),
        };
        let key = sha256(format!("{RECIPES} {SUITE} {recipe}").as_bytes()).hex();
        Ok(format!("{name}-{}", &key[..12]))
    }

    fn build(self, path: &Path) -> Result<()> {
        let (layer, config) = match self {
            Self::Busybox => (busybox_layer()?, json!({"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["sh"]})),
            Self::HelloWorld => (hello_layer()?, json!({"Cmd": ["/hello"]})),
            Self::Debian => {
                let packages = path.with_extension("debs");
                fs::create_dir_all(&packages)?;
                (bootstrap(path, &debian_arguments(&packages))?, debian_config(&["bash"], json!({})))
            }
            Self::Web => (
                bootstrap(path, &web_arguments())?,
                debian_config(&["nginx", "-g", "daemon off;"], json!({"80/tcp": {}})),
            ),
            Self::Programs => (bootstrap(path, &programs_arguments())?, debian_config(&["bash"], json!({}))),
            Self::Services => (bootstrap(path, &services_arguments())?, debian_config(&["bash"], json!({}))),
        };
        let image = Image { reference: self.reference().to_owned(), layers: vec![layer], config };
        let partial = path.with_extension("partial");
        image.write(BufWriter::new(File::create(&partial)?))?;
        fs::rename(&partial, path)?;
        Ok(())
    }
}

/// Where fixtures are kept: `GANTRY_FIXTURES`, else `target/fixtures` of the workspace.
pub fn cache_directory() -> PathBuf {
    std::env::var_os("GANTRY_FIXTURES").map_or_else(|| workspace().join("target/fixtures"), PathBuf::from)
}

/// The root of the source tree.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the source tree is there")
}

fn busybox() -> Result<&'static Path> {
    let path = Path::new("/bin/busybox");
    ensure!(path.exists(), "/bin/busybox is missing: install busybox-static");
    Ok(path)
}

/// The layer of the busybox fixture, as a base for others.
pub(crate) fn busybox_layer() -> Result<Layer> {
    let mut layer = LayerBuilder::new();
    for (path, mode) in [("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("proc", 0o755), ("root", 0o700)] {
        layer.directory(path, mode);
    }
    for (path, mode) in [("sys", 0o755), ("tmp", 0o1777), ("usr", 0o755), ("var", 0o755)] {
        layer.directory(path, mode);
    }
    layer.file("bin/busybox", 0o755, &fs::read(busybox()?)?);
    let list = Command::new(busybox()?).arg("--list").output()?;
    for applet in String::from_utf8(list.stdout)?.lines().filter(|applet| *applet != "busybox") {
        layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    layer.symlink("usr/bin", "../bin");
    layer.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n");
    layer.file("etc/group", 0o644, b"root:x:0:\n");
    Ok(layer.finish())
}

fn hello_layer() -> Result<Layer> {
    let mut layer = LayerBuilder::new();
    layer.file("busybox", 0o755, &fs::read(busybox()?)?);
    layer.file("hello", 0o755, b"#!/busybox sh\necho\necho 'Hello from Docker!'\n");
    Ok(layer.finish())
}

fn debian_config(command: &[&str], ports: serde_json::Value) -> serde_json::Value {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut config = json!({"Env": [path], "Cmd": command});
    if ports.as_object().is_some_and(|ports| !ports.is_empty()) {
        config["ExposedPorts"] = ports;
    }
    config
}

fn debian_arguments(packages: &Path) -> Vec<String> {
    let install =
        "apt-get clean && chroot \"$1\" apt-get -y --download-only --no-install-recommends install nginx-light";
    vec![
        "--variant=minbase".to_owned(),
        format!("--customize-hook=chroot \"$1\" {install}"),
        format!("--customize-hook=cp \"$1\"/var/cache/apt/archives/*.deb '{}/'", packages.display()),
    ]
}

fn web_arguments() -> Vec<String> {
    vec![
        "--variant=minbase".to_owned(),
        "--include=nginx-light,python3-minimal,procps,curl".to_owned(),
        "--customize-hook=echo hello >\"$1/var/www/html/index.html\"".to_owned(),
    ]
}

/// Without what is large and not asked for: manuals, the compiler behind PostgreSQL's `jit`, its first database.
fn programs_arguments() -> Vec<String> {
    let unused = "rm -rf \"$1\"/usr/lib/x86_64-linux-gnu/libLLVM* \"$1\"/usr/lib/x86_64-linux-gnu/libz3* \
                  \"$1\"/var/lib/postgresql/15";
    vec![
        "--variant=minbase".to_owned(),
        "--include=redis-server,postgresql,nginx-light,libtomcat10-java,tomcat10-common,openjdk-17-jre-headless"
            .to_owned(),
        "--dpkgopt=path-exclude=/usr/share/doc/*".to_owned(),
        "--dpkgopt=path-exclude=/usr/share/locale/*".to_owned(),
        format!("--customize-hook={unused}"),
    ]
}

/// Without manuals, the first database that the package makes, and the tools that nobody calls.
fn services_arguments() -> Vec<String> {
    let unused = "rm -rf \"$1\"/var/lib/mysql \"$1\"/usr/bin/aria_* \"$1\"/usr/bin/myisam*";
    let site = "mkdir -p \"$1/www\" && echo '<h1>image</h1>' >\"$1/www/index.html\" && \
                sed -i 's#/var/www/html#/www#; s#/var/www/#/www/#' \"$1/etc/apache2/apache2.conf\" \
                \"$1/etc/apache2/sites-available/000-default.conf\"";
    vec![
        "--variant=minbase".to_owned(),
        "--include=mariadb-server,apache2".to_owned(),
        "--dpkgopt=path-exclude=/usr/share/doc/*".to_owned(),
        "--dpkgopt=path-exclude=/usr/share/locale/*".to_owned(),
        format!("--customize-hook={unused}"),
        format!("--customize-hook={site}"),
    ]
}

/// The root file system that mmdebstrap makes of its arguments, through a file beside the path.
pub(crate) fn bootstrap(path: &Path, arguments: &[String]) -> Result<Layer> {
    let rootfs = path.with_extension("rootfs.tar");
    let output = Command::new("mmdebstrap")
        .args(["--quiet", "--mode=root"])
        .args(arguments)
        .arg(SUITE)
        .arg(&rootfs)
        .arg(mirror()?)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .context("run mmdebstrap (install the package mmdebstrap)")?;
    ensure!(output.status.success(), "mmdebstrap: {}", String::from_utf8_lossy(&output.stderr));
    let layer = Layer::from_file(&rootfs)?;
    fs::remove_file(&rootfs)?;
    Ok(layer)
}

/// The mirror that apt on this machine uses most.
fn mirror() -> Result<String> {
    let output = Command::new("apt-get").args(["indextargets", "--format", "$(SITE)"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for site in text.lines().filter(|line| !line.is_empty()) {
        *counts.entry(site).or_default() += 1;
    }
    let site = counts.into_iter().max_by_key(|(_, count)| *count).map(|(site, _)| site.to_owned());
    site.context("apt knows no mirror: run apt-get update")
}
