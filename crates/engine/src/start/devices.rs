//! Device nodes of the host that go into a container.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use runtime::spec::{Device, DeviceRule};
use rustix::fs::{major, minor};

use crate::error::{Error, Invalid};
use crate::model::{DeviceMapping, HostConfig};

/// `--device` entries, or every device of the host for a privileged container.
pub(super) fn observe(host: &HostConfig) -> Result<Vec<(Device, DeviceRule)>, Error> {
    let mut found = Vec::new();
    if host.privileged {
        collect(Path::new("/dev"), &mut found);
    }
    for mapping in &host.resources.devices {
        expand(mapping, &mut found)?;
    }
    Ok(found)
}

/// Major and minor number of the device at `path`.
pub(super) fn numbers(path: &str) -> Result<(i64, i64), Error> {
    let missing = || Error::from(Invalid::Device(path.to_owned()));
    let metadata = std::fs::metadata(path).map_err(|_| missing())?;
    if !metadata.file_type().is_block_device() && !metadata.file_type().is_char_device() {
        return Err(missing());
    }
    Ok((i64::from(major(metadata.rdev())), i64::from(minor(metadata.rdev()))))
}

/// A directory stands for the devices in it, as in Docker.
fn expand(mapping: &DeviceMapping, found: &mut Vec<(Device, DeviceRule)>) -> Result<(), Error> {
    let path = Path::new(&mapping.path_on_host);
    let missing = || Error::from(Invalid::Device(mapping.path_on_host.clone()));
    let inside = Path::new(if mapping.path_in_container.is_empty() {
        &mapping.path_on_host
    } else {
        &mapping.path_in_container
    });
    if !path.is_dir() {
        found.push(node(path, inside, &mapping.permissions).ok_or_else(missing)?);
        return Ok(());
    }
    let before = found.len();
    for entry in std::fs::read_dir(path).map_err(|_| missing())?.flatten() {
        found.extend(node(&entry.path(), &inside.join(entry.file_name()), &mapping.permissions));
    }
    if found.len() == before { Err(missing()) } else { Ok(()) }
}

/// Everything below `directory` but what a container has of its own.
fn collect(directory: &Path, found: &mut Vec<(Device, DeviceRule)>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"];
        if own.iter().any(|own| name == *own) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&path, found),
            // What vanishes meanwhile is not there.
            Ok(kind) if !kind.is_symlink() => found.extend(node(&path, &path, "rwm")),
            _ => {}
        }
    }
}

fn node(path: &Path, inside: &Path, permissions: &str) -> Option<(Device, DeviceRule)> {
    let metadata = std::fs::metadata(path).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => "b",
        kind if kind.is_char_device() => "c",
        _ => return None,
    };
    let (major, minor) = (i64::from(major(metadata.rdev())), i64::from(minor(metadata.rdev())));
    let device = Device {
        kind: kind.to_owned(),
        path: inside.to_owned(),
        major,
        minor,
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    };
    let rule = DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: Some(major),
        minor: Some(minor),
        access: if permissions.is_empty() { "rwm".to_owned() } else { permissions.to_owned() },
    };
    Some((device, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_with_its_numbers() {
        let mapping = DeviceMapping {
            path_on_host: "/dev/null".to_owned(),
            path_in_container: "/dev/nothing".to_owned(),
            permissions: "r".to_owned(),
        };
        let mut found = Vec::new();
        expand(&mapping, &mut found).expect("there");
        let (device, rule) = &found[0];
        assert_eq!((device.major, device.minor, device.path.to_str()), (1, 3, Some("/dev/nothing")));
        assert_eq!(rule.access, "r");
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/etc/passwd", "/nonexistent", "/etc"] {
            assert!(numbers(path).is_err(), "{path}");
        }
    }
}
