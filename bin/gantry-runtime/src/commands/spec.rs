//! `spec`.

use std::path::Path;

use anyhow::{Context as _, bail};
use runtime::spec::{Capabilities, Linux, Namespace, NamespaceKind, Process, Resources, Rlimit, Root, Spec, defaults};

use crate::Global;
use crate::arguments::{Flag, Parsed};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[Flag::value("bundle", Some('b'))];

/// The version of the specification that is implemented.
pub(crate) const OCI_VERSION: &str = runtime::spec::VERSION;

const SHM_SIZE: u64 = 64 << 20;

/// Writes a configuration that runs a shell.
pub(crate) fn spec(_: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let path = Path::new(parsed.last("bundle").unwrap_or(".")).join("config.json");
    if path.exists() {
        bail!("file {} exists. Remove it first", path.display());
    }
    let text = serde_json::to_string_pretty(&example())?;
    std::fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))?;
    Ok(0)
}

fn example() -> Spec {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"].map(str::to_owned).to_vec();
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let mut namespaces = defaults::namespaces();
    if runtime::cgroup::observe().is_ok_and(|layout| layout.is_unified()) {
        namespaces.push(Namespace { kind: NamespaceKind::Cgroup, path: None });
    }
    Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(Process {
            terminal: true,
            args: vec!["sh".to_owned()],
            env: owned(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..Capabilities::default()
            }),
            rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), hard: 1024, soft: 1024 }],
            no_new_privileges: true,
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: "gantry".to_owned(),
        mounts: defaults::mounts(SHM_SIZE),
        linux: Some(Linux {
            resources: Some(Resources { devices: defaults::device_rules(), ..Resources::default() }),
            namespaces,
            masked_paths: owned(&defaults::MASKED_PATHS),
            readonly_paths: owned(&defaults::READONLY_PATHS),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}
