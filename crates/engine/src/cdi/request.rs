//! Device requests (`--gpus`, `--device vendor.com/class=name`) as names of CDI devices.

use std::path::PathBuf;

use super::registry::Registry;
use super::spec::Edits;
use crate::error::{Error, Invalid};
use crate::model::DeviceRequest;

/// The edits that the requests mean. Reads the files only when there is a request. Blocks.
///
/// # Errors
/// Docker's, when no driver or device fits.
pub(crate) fn resolve(requests: &[DeviceRequest], directories: &[PathBuf]) -> Result<Vec<Edits>, Error> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let registry = Registry::read(directories);
    let mut names = Vec::new();
    for request in requests {
        names.extend(names_of(request, &registry)?);
    }
    registry.edits(&names)
}

fn names_of(request: &DeviceRequest, registry: &Registry) -> Result<Vec<String>, Error> {
    if request.driver == "cdi" {
        if request.count != 0 {
            return Err(Invalid::DeviceRequest("unexpected count in CDI device request").into());
        }
        if !request.options.is_empty() {
            return Err(Invalid::DeviceRequest("unexpected options in CDI device request").into());
        }
        return Ok(request.device_ids.clone());
    }
    let kind = gpu_kind(request, registry).ok_or_else(|| no_driver(request))?;
    if request.count != 0 && !request.device_ids.is_empty() {
        return Err(Invalid::DeviceRequest("cannot set both Count and DeviceIDs on device request").into());
    }
    if !request.options.is_empty() {
        return Err(
            Invalid::DeviceRequest("options of a device request are not supported: CDI devices have none").into()
        );
    }
    let qualified = |name: &str| format!("{kind}={name}");
    if !request.device_ids.is_empty() {
        return Ok(request.device_ids.iter().map(|id| qualified(id)).collect());
    }
    match usize::try_from(request.count) {
        Err(_) => Ok(vec![qualified("all")]),
        // `--gpus 2`: the first two by number.
        Ok(count) => Ok((0..count).map(|number| qualified(&number.to_string())).collect()),
    }
}

/// The kind of GPU that a driver stands for; without a driver, the first that there is.
fn gpu_kind(request: &DeviceRequest, registry: &Registry) -> Option<&'static str> {
    const KINDS: [(&str, &str); 2] = [("nvidia", "nvidia.com/gpu"), ("amd", "amd.com/gpu")];
    let wants_gpu = request.capabilities.iter().any(|list| list.iter().any(|capability| capability == "gpu"));
    let fits = |driver: &str| request.driver.is_empty() && wants_gpu || request.driver == driver;
    let mut known = KINDS.into_iter().filter(|(driver, kind)| fits(driver) && !registry.names(kind).is_empty());
    known.next().map(|(_, kind)| kind)
}

fn no_driver(request: &DeviceRequest) -> Error {
    let lists: Vec<String> = request.capabilities.iter().map(|list| format!("[{}]", list.join(" "))).collect();
    Invalid::NoDeviceDriver { driver: request.driver.clone(), capabilities: lists.join(" ") }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_a_device_are_refused_in_dockers_words() {
        let gpu = DeviceRequest { count: -1, capabilities: vec![vec!["gpu".to_owned()]], ..DeviceRequest::default() };
        let text =
            |request: DeviceRequest| resolve(&[request], &[]).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(text(gpu.clone()), "could not select device driver \"\" with capabilities: [[gpu]]");
        let cdi = DeviceRequest { driver: "cdi".to_owned(), device_ids: vec!["v/c=x".to_owned()], ..gpu };
        assert_eq!(text(cdi.clone()), "unexpected count in CDI device request");
        let cdi = DeviceRequest { count: 0, ..cdi };
        assert_eq!(text(cdi), "CDI device injection failed: unresolvable CDI devices v/c=x");
    }

    #[test]
    fn gpus_are_numbered_or_all() {
        let directory = std::env::temp_dir().join(format!("engine-cdi-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("mkdir");
        let device = |name: &str| format!("- name: \"{name}\"\n  containerEdits: {{ env: [\"GPU_{name}=1\"] }}\n");
        let devices = ["0", "1", "all"].map(device).concat();
        let text = format!("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n{devices}");
        std::fs::write(directory.join("nvidia.yaml"), text).expect("write");
        let env = |count: i64, ids: &[&str]| {
            let request = DeviceRequest {
                count,
                device_ids: ids.iter().map(|&id| id.to_owned()).collect(),
                capabilities: vec![vec!["gpu".to_owned()]],
                ..DeviceRequest::default()
            };
            let edits = resolve(&[request], std::slice::from_ref(&directory)).expect("known");
            edits.iter().flat_map(|edit| edit.env.clone()).collect::<Vec<_>>()
        };
        assert_eq!(env(-1, &[]), ["GPU_all=1"]);
        assert_eq!(env(2, &[]), ["GPU_0=1", "GPU_1=1"]);
        assert_eq!(env(0, &["1"]), ["GPU_1=1"]);
        std::fs::remove_dir_all(&directory).expect("cleanup");
    }
}
