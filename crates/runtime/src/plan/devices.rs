//! Device nodes: the default ones and those that the configuration adds.

use std::path::PathBuf;

use crate::error::Error;
use crate::spec::Device;

/// One node to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceStep {
    pub path: PathBuf,
    /// File type and permission bits, as mknod(2) takes them.
    pub mode: u32,
    pub major: u32,
    pub minor: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What every container has (runtime-spec, "Default Devices").
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The nodes of a container, those named by the configuration before the default ones they do not replace.
pub(crate) fn plan(devices: &[Device]) -> Result<Vec<DeviceStep>, Error> {
    let mut steps = devices.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    for (path, major, minor) in DEFAULT {
        let path = PathBuf::from(path);
        if !steps.iter().any(|step| step.path == path) {
            steps.push(DeviceStep { path, mode: libc::S_IFCHR | 0o666, major, minor, uid: 0, gid: 0 });
        }
    }
    Ok(steps)
}

fn step(device: &Device) -> Result<DeviceStep, Error> {
    let kind = match device.kind.as_str() {
        "c" | "u" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        other => return Err(Error::invalid("linux.devices", format!("unknown type {other:?}"))),
    };
    if !device.path.is_absolute() {
        return Err(Error::invalid("linux.devices", format!("{} is not an absolute path", device.path.display())));
    }
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| Error::invalid("linux.devices", format!("{value} is not a device number")))
    };
    Ok(DeviceStep {
        path: device.path.clone(),
        mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
        major: number(device.major)?,
        minor: number(device.minor)?,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn configured_nodes_replace_default_ones() {
        let tty =
            Device { kind: "c".into(), path: "/dev/tty".into(), major: 5, file_mode: Some(0o600), ..Device::default() };
        let steps = plan(&[tty]).unwrap();
        assert_eq!(steps.len(), 6);
        assert_eq!((steps[0].mode, steps[0].major), (libc::S_IFCHR | 0o600, 5));
        assert!(plan(&[Device { kind: "x".into(), path: "/dev/x".into(), ..Device::default() }]).is_err());
        assert!(plan(&[Device { kind: "c".into(), path: "x".into(), ..Device::default() }]).is_err());
    }
}
