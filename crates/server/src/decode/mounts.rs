//! `-v` and `--mount`.

use api::ApiVersion;
use api::container::{BindOptions, Mount, VolumeOptions};
use engine::model::{BindMount, MountRequest, MountRequestKind};

use crate::failure::Failure;

const READ_WRITE: &[&str] = &["ro", "rw"];
const LABEL: &[&str] = &["z", "Z"];
const PROPAGATION: &[&str] = &["private", "rprivate", "slave", "rslave", "shared", "rshared"];
const COPY: &[&str] = &["nocopy"];
const CONSISTENCY: &[&str] = &["consistent", "cached", "delegated", "default"];

/// Splits `[source:]destination[:mode]`.
pub(super) fn bind(raw: &str) -> Result<BindMount, Failure> {
    let specification = || Failure::invalid(format!("invalid volume specification: '{raw}'"));
    let parts: Vec<&str> = raw.splitn(4, ':').collect();
    let (source, destination, mode) = match parts[..] {
        ["", ..] => return Err(specification()),
        [destination] => ("", destination, ""),
        [_, mode] if is_mode(mode) => return Err(specification()),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(specification()),
    };
    if !is_mode(mode) {
        return Err(Failure::invalid(format!("invalid mode: {mode}")));
    }
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    check_target(kind, destination)
        .map_err(|failure| Failure::invalid(format!("invalid volume specification: '{raw}': {}", failure.message)))?;
    Ok(BindMount { source: source.to_owned(), destination: destination.to_owned(), mode: mode.to_owned() })
}

/// At most one word of each kind.
fn is_mode(mode: &str) -> bool {
    let kinds = [READ_WRITE, LABEL, PROPAGATION, COPY, CONSISTENCY];
    let count = |kind: &[&str]| mode.split(',').filter(|word| kind.contains(word)).count();
    // Whether the map is one is seen where it is read.
    let maps = mode.split(',').filter(|word| *word == "idmap" || word.starts_with("idmap=")).count();
    let counts: Vec<usize> = kinds.map(count).into_iter().chain([maps]).collect();
    mode.is_empty()
        || (counts.iter().all(|count| *count <= 1) && counts.iter().sum::<usize>() == mode.split(',').count())
}

pub(super) fn mount(wire: Mount, version: ApiVersion) -> Result<MountRequest, Failure> {
    check_version(&wire, version)?;
    check_target(&wire.kind, &wire.target)?;
    let kind = match wire.kind.as_str() {
        "bind" => MountRequestKind::Bind,
        "volume" => MountRequestKind::Volume,
        "tmpfs" => MountRequestKind::Tmpfs,
        "image" => MountRequestKind::Image,
        "cluster" | "npipe" => return Err(Failure::unsupported(&format!("mount type {:?}", wire.kind))),
        other => return Err(problem(other, "mount type unknown")),
    };
    check_options(&wire, kind)?;
    let bind = wire.bind_options.unwrap_or_default();
    check_recursion(&bind, wire.read_only)?;
    if !bind.propagation.is_empty() && !PROPAGATION.contains(&bind.propagation.as_str()) {
        return Err(problem("bind", &format!("invalid propagation mode: {}", bind.propagation)));
    }
    let volume = checked_volume(wire.volume_options.unwrap_or_default(), &wire.source)?;
    let driver = volume.driver_config.unwrap_or_default();
    let image = wire.image_options.unwrap_or_default();
    check_subpath("image", &image.subpath)?;
    let tmpfs = wire.tmpfs_options.unwrap_or_default();
    tmpfs.options.iter().try_for_each(|option| check_tmpfs_option(option))?;
    Ok(MountRequest {
        kind,
        source: wire.source,
        target: wire.target,
        read_only: wire.read_only,
        propagation: bind.propagation,
        non_recursive: bind.non_recursive,
        read_only_non_recursive: bind.read_only_non_recursive,
        read_only_force_recursive: bind.read_only_force_recursive,
        create_source: bind.create_mountpoint,
        no_copy: volume.no_copy,
        labels: volume.labels,
        subpath: if kind == MountRequestKind::Image { image.subpath } else { volume.subpath },
        driver: driver.name,
        driver_options: driver.options,
        tmpfs_size: u64::try_from(tmpfs.size_bytes).map_err(|_| problem("tmpfs", "invalid size"))?,
        tmpfs_mode: tmpfs.mode,
        tmpfs_options: tmpfs.options,
    })
}

/// Control over what is mounted below the source of a read-only mount.
fn check_recursion(bind: &BindOptions, read_only: bool) -> Result<(), Failure> {
    for (set, name) in [
        (bind.read_only_non_recursive, "ReadOnlyNonRecursive"),
        (bind.read_only_force_recursive, "ReadOnlyForceRecursive"),
    ] {
        if set && !read_only {
            return Err(problem("bind", &format!("{name} requires ReadOnly")));
        }
    }
    if !bind.read_only_force_recursive {
        return Ok(());
    }
    if bind.read_only_non_recursive {
        return Err(problem("bind", "conflicting options: ReadOnlyNonRecursive and ReadOnlyForceRecursive"));
    }
    if bind.non_recursive {
        return Err(problem("bind", "ReadOnlyForceRecursive and NonRecursive exclude each other"));
    }
    match bind.propagation.as_str() {
        "" | "rprivate" => Ok(()),
        _ => Err(problem("bind", "ReadOnlyForceRecursive requires Propagation to be rprivate")),
    }
}

/// A flag, or a key with a value.
fn check_tmpfs_option(option: &[String]) -> Result<(), Failure> {
    const FLAGS: [&str; 6] = ["exec", "noexec", "suid", "nosuid", "dev", "nodev"];
    const KEYS: [&str; 3] = ["uid", "gid", "nr_inodes"];
    match option {
        [flag] if FLAGS.contains(&flag.as_str()) => Ok(()),
        [key, value] if KEYS.contains(&key.as_str()) && value.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(()),
        words => Err(problem("tmpfs", &format!("invalid option: {:?}", words.join("=")))),
    }
}

fn check_options(wire: &Mount, kind: MountRequestKind) -> Result<(), Failure> {
    let extra = |set: bool, own: MountRequestKind, name: &str| {
        if set && kind != own {
            return Err(Failure::invalid(format!("{name} must not be specified on mount type {:?}", wire.kind)));
        }
        Ok(())
    };
    extra(wire.volume_options.is_some(), MountRequestKind::Volume, "VolumeOptions")?;
    extra(wire.bind_options.is_some(), MountRequestKind::Bind, "BindOptions")?;
    extra(wire.tmpfs_options.is_some(), MountRequestKind::Tmpfs, "TmpfsOptions")?;
    extra(wire.image_options.is_some(), MountRequestKind::Image, "ImageOptions")?;
    match kind {
        MountRequestKind::Bind | MountRequestKind::Image if wire.source.is_empty() => {
            Err(problem(&wire.kind, "field Source must not be empty"))
        }
        MountRequestKind::Bind if !wire.source.starts_with('/') => {
            Err(problem("bind", &format!("invalid mount path: '{}' mount path must be absolute", wire.source)))
        }
        MountRequestKind::Volume if wire.read_only && wire.source.is_empty() => {
            Err(problem("volume", "must not set ReadOnly mode when using anonymous volumes"))
        }
        MountRequestKind::Tmpfs if !wire.source.is_empty() => {
            Err(problem("tmpfs", "field Source must not be specified"))
        }
        _ => Ok(()),
    }
}

fn checked_volume(volume: VolumeOptions, name: &str) -> Result<VolumeOptions, Failure> {
    if !volume.subpath.is_empty() && name.is_empty() {
        return Err(problem("volume", "must not set Subpath when using anonymous volumes"));
    }
    check_subpath("volume", &volume.subpath)?;
    Ok(volume)
}

/// A path that stays inside, by its words alone; what its links mean is seen when it is mounted.
fn check_subpath(kind: &str, path: &str) -> Result<(), Failure> {
    let mut depth = 0_usize;
    let inside = path.split('/').all(|part| match part {
        "" | "." => true,
        ".." => depth.checked_sub(1).map(|less| depth = less).is_some(),
        _ => {
            depth += 1;
            true
        }
    });
    if inside && !path.starts_with('/') {
        return Ok(());
    }
    Err(problem(kind, &format!("subpath must be a relative path within the {kind}")))
}

/// What older clients cannot mean.
fn check_version(wire: &Mount, version: ApiVersion) -> Result<(), Failure> {
    let subpath = wire.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty());
    if subpath && version < ApiVersion(45) {
        return Err(Failure::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    if wire.kind == "image" && version < ApiVersion(48) {
        return Err(Failure::invalid("Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

fn check_target(kind: &str, target: &str) -> Result<(), Failure> {
    if target.is_empty() {
        return Err(problem(kind, "field Target must not be empty"));
    }
    if target.split('/').all(|part| part.is_empty() || part == ".") && target.starts_with('/') {
        return Err(problem(kind, "invalid specification: destination can't be '/'"));
    }
    if !target.starts_with('/') {
        return Err(problem(kind, &format!("invalid mount path: '{target}' mount path must be absolute")));
    }
    Ok(())
}

fn problem(kind: &str, reason: &str) -> Failure {
    Failure::invalid(format!("invalid mount config for type {kind:?}: {reason}"))
}
