//! The content of a CDI file, JSON or YAML.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::name;

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub cdi_version: String,
    /// `vendor.com/class` of all its devices.
    pub kind: String,
    pub devices: Vec<Device>,
    /// What every container with one of the devices gets.
    #[serde(default)]
    pub container_edits: Edits,
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    pub name: String,
    #[serde(default)]
    pub container_edits: Edits,
}

/// What is added to a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Edits {
    /// `NAME=value`.
    pub env: Vec<String>,
    pub device_nodes: Vec<DeviceNode>,
    pub mounts: Vec<Mount>,
    pub hooks: Vec<Hook>,
    #[serde(alias = "additionalGIDs")]
    pub additional_gids: Vec<u32>,
    /// Not offered; kept to be refused.
    pub intel_rdt: Option<Value>,
    /// As above.
    pub net_devices: Vec<Value>,
}

/// A device file. What is left out is as on the host.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeviceNode {
    pub path: String,
    pub host_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub major: Option<i64>,
    pub minor: Option<i64>,
    pub file_mode: Option<u32>,
    /// Some of `rwm`; empty for all.
    pub permissions: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Mount {
    pub host_path: String,
    pub container_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub options: Vec<String>,
}

/// A program run at a point of the container's life.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Hook {
    pub hook_name: String,
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub timeout: Option<u32>,
}

impl File {
    /// Parses and checks. The error is for the daemon's log.
    pub(super) fn parse(text: &str, json: bool) -> Result<Self, String> {
        let value = if json {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
            from_yaml(documents.into_iter().next().unwrap_or(Yaml::Null))?
        };
        let file: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if !matches!(file.cdi_version.split('.').next(), Some("0" | "1")) {
            return Err(format!("unknown cdiVersion {:?}", file.cdi_version));
        }
        if !name::is_kind(&file.kind) {
            return Err(format!("invalid kind {:?}", file.kind));
        }
        if file.devices.is_empty() {
            return Err("no devices".to_owned());
        }
        if let Some(device) = file.devices.iter().find(|device| !name::is_name(&device.name)) {
            return Err(format!("invalid device name {:?}", device.name));
        }
        let edits = file.devices.iter().map(|device| &device.container_edits).chain([&file.container_edits]);
        edits.into_iter().try_for_each(Edits::check)?;
        Ok(file)
    }
}

impl Edits {
    fn check(&self) -> Result<(), String> {
        let hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
        if let Some(entry) = self.env.iter().find(|entry| entry.starts_with('=') || !entry.contains('=')) {
            return Err(format!("invalid environment variable {entry:?}"));
        }
        if let Some(node) = self.device_nodes.iter().find(|node| !node.path.starts_with('/')) {
            return Err(format!("invalid device path {:?}", node.path));
        }
        if let Some(mount) = self.mounts.iter().find(|m| m.host_path.is_empty() || m.container_path.is_empty()) {
            return Err(format!("a mount needs both paths: {mount:?}"));
        }
        if let Some(hook) = self.hooks.iter().find(|h| !hooks.contains(&h.hook_name.as_str()) || h.path.is_empty()) {
            return Err(format!("invalid hook {:?}", hook.hook_name));
        }
        if self.intel_rdt.is_some() {
            return Err("intelRdt is not supported".to_owned());
        }
        if !self.net_devices.is_empty() {
            return Err("netDevices are not supported".to_owned());
        }
        Ok(())
    }
}

fn from_yaml(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => Value::Bool(value),
        Yaml::Integer(value) => Value::Number(value.into()),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("invalid number {text}"))?)
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Array(items) => Value::Array(items.into_iter().map(from_yaml).collect::<Result<_, _>>()?),
        Yaml::Hash(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = key.into_string().ok_or("a key is not a text")?;
                map.insert(key, from_yaml(value)?);
            }
            Value::Object(map)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("an anchor that is not defined".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "cdiVersion: \"0.6.0\"\nkind: vendor.com/device\ndevices:\n- name: \"0\"\n  containerEdits:\n    \
                    deviceNodes:\n    - path: /dev/a\n      hostPath: /dev/null\n      major: 1\n    env: [A=1]\n";
        let json = r#"{"cdiVersion":"0.6.0","kind":"vendor.com/device","devices":[{"name":"0","containerEdits":
            {"deviceNodes":[{"path":"/dev/a","hostPath":"/dev/null","major":1}],"env":["A=1"]}}]}"#;
        let file = File::parse(yaml, false).expect("valid");
        assert_eq!(Ok(&file), File::parse(json, true).as_ref());
        assert_eq!(file.devices[0].container_edits.device_nodes[0].major, Some(1));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let edits = |edits: &str| {
            let text =
                format!(r#"{{"cdiVersion":"0.6.0","kind":"v/c","devices":[{{"name":"x","containerEdits":{edits}}}]}}"#);
            File::parse(&text, true).map(|_| ())
        };
        assert_eq!(edits("{}"), Ok(()));
        for bad in [
            r#"{"intelRdt":{}}"#,
            r#"{"netDevices":[{}]}"#,
            r#"{"env":["A"]}"#,
            r#"{"hooks":[{"hookName":"never","path":"/x"}]}"#,
            r#"{"mounts":[{"hostPath":"/a"}]}"#,
        ] {
            assert!(edits(bad).is_err(), "{bad}");
        }
    }
}
