//! Images under the names that other people's programs ask Docker Hub for, made of our own fixtures.
//!
//! | name                                | content                                                  |
//! |-------------------------------------|----------------------------------------------------------|
//! | `busybox` (`latest`)                | the busybox fixture                                      |
//! | `alpine` (`latest`, `3`; `3.10`)    | two images: busybox with alpine's users and directories  |
//! | `hello-world` (`latest`, `linux`)   | the hello-world fixture                                  |
//! | `fussybeaver/uhttpd` (`latest`)     | busybox httpd behind `/usr/sbin/run_uhttpd`              |
//! | `python` (`latest`, `3.13-alpine`, `3.14-alpine`) | Debian with its Python, as `python`        |
//! | `registry` (`2`)                    | this machine's docker-registry, listening on port 5000   |
//!
//! The last two are large, and only in `large`.
//!
//! A registry that holds them serves as `registry-mirrors` (`library/NAME`) and as a private registry (`NAME`).

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::archive::{Image, Layer, LayerBuilder, sha256};
use crate::fixtures::{Fixture, bootstrap, busybox_layer, cache_directory};
use crate::registry::Registry;

/// Bump when the images below change.
const RECIPES: &str = "2";
const REGISTRY: &str = "/usr/bin/docker-registry";

/// One image and the names it has on Docker Hub.
#[derive(Clone, Debug)]
pub struct HubImage {
    /// Docker-archive of the image.
    pub archive: PathBuf,
    /// `name:tag`, without `library/`.
    pub names: &'static [&'static str],
}

/// Every image; built first when the cache does not hold it.
pub fn images() -> Result<Vec<HubImage>> {
    Ok(vec![
        HubImage { archive: Fixture::Busybox.archive()?, names: &["busybox:latest"] },
        HubImage { archive: alpine("3.20.0")?, names: &["alpine:latest", "alpine:3"] },
        HubImage { archive: alpine("3.10.9")?, names: &["alpine:3.10"] },
        HubImage { archive: Fixture::HelloWorld.archive()?, names: &["hello-world:latest", "hello-world:linux"] },
        HubImage { archive: uhttpd()?, names: &["fussybeaver/uhttpd:latest"] },
    ])
}

/// A registry that holds them, or only those with one of the wanted names, under their Hub names and under their short
/// names; none when no registry program is installed.
pub fn registry(wanted: Option<&[&str]>) -> Result<Option<Registry>> {
    let Some(registry) = Registry::start() else { return Ok(None) };
    images()?.iter().for_each(|image| publish(&registry, image, wanted));
    Ok(Some(registry))
}

/// Puts an image into a registry under all its names, or under the wanted ones.
pub fn publish(registry: &Registry, image: &HubImage, wanted: Option<&[&str]>) {
    for name in image.names.iter().filter(|name| wanted.is_none_or(|wanted| wanted.contains(name))) {
        registry.put(&image.archive, name);
        if !name.contains('/') {
            registry.put(&image.archive, &format!("library/{name}"));
        }
    }
}

/// Images that only a few programs want; built first when the cache does not hold them.
pub fn large() -> Result<Vec<HubImage>> {
    Ok(vec![
        HubImage { archive: python()?, names: &["python:latest", "python:3.13-alpine", "python:3.14-alpine"] },
        HubImage { archive: registry_image()?, names: &["registry:2"] },
    ])
}

fn alpine(version: &str) -> Result<PathBuf> {
    let mut layer = LayerBuilder::new();
    layer.file("etc/alpine-release", 0o644, format!("{version}\n").as_bytes());
    let users = "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/:/sbin/nologin\n";
    layer.file("etc/passwd", 0o644, users.as_bytes());
    layer.file("etc/group", 0o644, b"root:x:0:root\npostgres:x:70:\nnobody:x:65534:\n");
    for path in ["var/lib", "var/lib/postgresql", "var/opt", "opt", "mnt", "home", "srv", "run"] {
        layer.directory(path, 0o755);
    }
    let config =
        json!({"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]});
    cached(&format!("alpine-{version}"), layer, config)
}

fn uhttpd() -> Result<PathBuf> {
    let mut layer = LayerBuilder::new();
    layer.directory("usr/sbin", 0o755).directory("www", 0o755);
    layer.file("usr/sbin/run_uhttpd", 0o755, b"#!/bin/sh\nexec httpd \"$@\"\n");
    layer.file("www/index.html", 0o644, b"hello\n");
    let command = ["/usr/sbin/run_uhttpd", "-f", "-p", "80", "-h", "/www"];
    cached("uhttpd", layer, json!({"Env": ["PATH=/usr/bin:/bin"], "Cmd": command, "ExposedPorts": {"80/tcp": {}}}))
}

fn python() -> Result<PathBuf> {
    let path = place("python", "bookworm python3")?;
    if path.exists() {
        return Ok(path);
    }
    let link = "--customize-hook=ln -s ../../bin/python3 \"$1/usr/local/bin/python\"";
    let base = bootstrap(&path, &["--variant=minbase".to_owned(), "--include=python3".to_owned(), link.to_owned()])?;
    let environment = ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"];
    write("python", path, vec![base], json!({"Env": environment, "Cmd": ["python3"]}))
}

/// The program of this machine with the C library it wants, on busybox.
fn registry_image() -> Result<PathBuf> {
    let mut layer = LayerBuilder::new();
    layer.directory("etc/docker", 0o755).directory("etc/docker/registry", 0o755);
    layer.directory("var/lib", 0o755).directory("var/lib/registry", 0o755);
    let libraries = Command::new("ldd").arg(REGISTRY).output().context("run ldd")?;
    for path in String::from_utf8(libraries.stdout)?.split_whitespace().filter(|word| word.starts_with('/')) {
        layer.file(path.trim_start_matches('/'), 0o755, &fs::read(path).with_context(|| format!("read {path}"))?);
    }
    layer.file("bin/registry", 0o755, &fs::read(REGISTRY).with_context(|| format!("read {REGISTRY}"))?);
    let config = "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}\n\
                  http: {addr: \":5000\"}\n";
    layer.file("etc/docker/registry/config.yml", 0o644, config.as_bytes());
    let config = json!({
        "Env": ["PATH=/bin"], "Entrypoint": ["registry"], "Cmd": ["serve", "/etc/docker/registry/config.yml"],
        "ExposedPorts": {"5000/tcp": {}}, "Volumes": {"/var/lib/registry": {}},
    });
    cached("registry", layer, config)
}

/// An image of the busybox layer and one more, kept beside the fixtures.
fn cached(name: &str, layer: LayerBuilder, config: serde_json::Value) -> Result<PathBuf> {
    let base = busybox_layer()?;
    let path = place(name, &base.digest().to_string())?;
    if path.exists() {
        return Ok(path);
    }
    write(name, path, vec![base, layer.finish()], config)
}

/// Where an image with a certain base is kept.
fn place(name: &str, base: &str) -> Result<PathBuf> {
    let key = sha256(format!("{RECIPES} {name} {base}").as_bytes()).hex();
    fs::create_dir_all(cache_directory())?;
    Ok(cache_directory().join(format!("hub-{name}-{}.tar", &key[..12])))
}

fn write(name: &str, path: PathBuf, layers: Vec<Layer>, config: serde_json::Value) -> Result<PathBuf> {
    let image = Image { reference: format!("hub/{name}:latest"), layers, config };
    let partial = path.with_extension(format!("partial{}", std::process::id()));
    image.write(BufWriter::new(File::create(&partial)?))?;
    fs::rename(&partial, &path).with_context(|| format!("put {} in place", path.display()))?;
    Ok(path)
}
