//! Edits into an OCI specification.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use runtime::spec::{self, Device, DeviceRule, Hooks, Resources, Spec};
use rustix::fs::{major, minor};

use super::spec::{DeviceNode, Edits, Hook, Mount};
use crate::error::{Error, Invalid};

/// Adds everything that the edits name. Looks up device nodes on the host.
///
/// # Errors
/// [`Invalid::Device`] for a node that is not there.
pub(crate) fn apply(spec: &mut Spec, edits: &[Edits]) -> Result<(), Error> {
    for edit in edits {
        if let Some(process) = &mut spec.process {
            for entry in &edit.env {
                let name = entry.split('=').next();
                process.env.retain(|other| other.split('=').next() != name);
                process.env.push(entry.clone());
            }
            for gid in &edit.additional_gids {
                if !process.user.additional_gids.contains(gid) {
                    process.user.additional_gids.push(*gid);
                }
            }
        }
        for node in &edit.device_nodes {
            let (device, rule) = device(node)?;
            let linux = spec.linux.get_or_insert_default();
            linux.devices.retain(|other| other.path != device.path);
            linux.devices.push(device);
            linux.resources.get_or_insert_with(Resources::default).devices.push(rule);
        }
        for entry in &edit.mounts {
            let mount = mount(entry);
            spec.mounts.retain(|other| other.destination != mount.destination);
            spec.mounts.push(mount);
        }
        for hook in &edit.hooks {
            hooks(spec.hooks.get_or_insert_default(), hook).push(spec::Hook {
                path: PathBuf::from(&hook.path),
                args: hook.args.clone(),
                env: hook.env.clone(),
                timeout: hook.timeout,
            });
        }
    }
    Ok(())
}

fn device(node: &DeviceNode) -> Result<(Device, DeviceRule), Error> {
    let on_host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let found = std::fs::metadata(on_host).ok();
    let kind_found = found.as_ref().and_then(|found| match found.file_type() {
        kind if kind.is_block_device() => Some("b"),
        kind if kind.is_char_device() => Some("c"),
        kind if kind.is_fifo() => Some("p"),
        _ => None,
    });
    let missing = || Error::from(Invalid::Device(on_host.clone()));
    let kind = if node.kind.is_empty() { kind_found.ok_or_else(missing)? } else { &node.kind };
    let number = |given: Option<i64>, of: fn(u64) -> u32| match (given, &found) {
        (Some(number), _) => Ok(number),
        (None, Some(found)) => Ok(i64::from(of(found.rdev()))),
        (None, None) => Err(missing()),
    };
    let (major, minor) = (number(node.major, major)?, number(node.minor, minor)?);
    let device = Device {
        kind: kind.to_owned(),
        path: PathBuf::from(&node.path),
        major,
        minor,
        file_mode: node.file_mode.or_else(|| found.as_ref().map(|found| found.mode() & 0o7777)),
        uid: node.uid.or_else(|| found.as_ref().map(std::fs::Metadata::uid)),
        gid: node.gid.or_else(|| found.as_ref().map(std::fs::Metadata::gid)),
    };
    let rule = DeviceRule {
        allow: true,
        kind: Some(if kind == "b" { "b" } else { "c" }.to_owned()),
        major: Some(major),
        minor: Some(minor),
        access: if node.permissions.is_empty() { "rwm".to_owned() } else { node.permissions.clone() },
    };
    Ok((device, rule))
}

fn mount(entry: &Mount) -> spec::Mount {
    spec::Mount {
        destination: PathBuf::from(&entry.container_path),
        kind: if entry.kind.is_empty() { "bind".to_owned() } else { entry.kind.clone() },
        source: entry.host_path.clone(),
        options: if entry.options.is_empty() { vec!["bind".to_owned()] } else { entry.options.clone() },
        ..spec::Mount::default()
    }
}

/// The list a hook belongs to. Names were checked when the file was read.
fn hooks<'a>(hooks: &'a mut Hooks, hook: &Hook) -> &'a mut Vec<spec::Hook> {
    match hook.hook_name.as_str() {
        "prestart" => &mut hooks.prestart,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        "poststop" => &mut hooks.poststop,
        _ => &mut hooks.create_runtime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_looked_up_and_variables_replaced() {
        let process = spec::Process { env: vec!["A=0".to_owned(), "B=0".to_owned()], ..spec::Process::default() };
        let mut spec = Spec { process: Some(process), ..Spec::default() };
        let node = DeviceNode { path: "/dev/x".to_owned(), host_path: "/dev/null".to_owned(), ..DeviceNode::default() };
        let edits = Edits { env: vec!["A=1".to_owned()], device_nodes: vec![node], ..Edits::default() };
        apply(&mut spec, &[edits]).expect("there");
        assert_eq!(spec.process.expect("kept").env, ["B=0", "A=1"]);
        let linux = spec.linux.expect("made");
        assert_eq!((linux.devices[0].major, linux.devices[0].minor, linux.devices[0].kind.as_str()), (1, 3, "c"));
        let missing = DeviceNode { path: "/dev/nonexistent".to_owned(), ..DeviceNode::default() };
        let edits = Edits { device_nodes: vec![missing], ..Edits::default() };
        assert!(apply(&mut Spec::default(), &[edits]).is_err());
    }
}
