//! The volumes of a plugin that a test plays: directories that are only told of while they are mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

/// What the plugin has.
#[derive(Default)]
pub(crate) struct Volumes {
    /// Where their files are.
    pub(crate) root: PathBuf,
    volumes: BTreeMap<String, BTreeSet<String>>,
}

impl Volumes {
    /// The answer to a message; `None` for one that the plugin does not know.
    pub(crate) fn answer(&mut self, method: &str, body: &Value) -> Option<Value> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let (name, id) = (text("Name"), text("ID"));
        match method {
            "Capabilities" => return Some(json!({ "Capabilities": { "Scope": "global" } })),
            "List" => {
                let volumes: Vec<Value> = self.volumes.keys().map(|name| self.described(name)).collect();
                return Some(json!({ "Volumes": volumes }));
            }
            "Create" => {
                self.keep(&name);
                return Some(json!({}));
            }
            _ => {}
        }
        let Some(mounts) = self.volumes.get_mut(&name) else {
            return Some(json!({ "Err": format!("there is no {name} here") }));
        };
        Some(match method {
            "Get" => {
                let mut volume = self.described(&name);
                volume["CreatedAt"] = "2020-01-02T03:04:05Z".into();
                volume["Status"] = json!({ "colour": "blue" });
                json!({ "Volume": volume })
            }
            "Path" => json!({ "Mountpoint": self.described(&name)["Mountpoint"] }),
            "Mount" if mounts.insert(id.clone()) => json!({ "Mountpoint": self.directory(&name) }),
            "Mount" => json!({ "Err": format!("{id} has it mounted already") }),
            "Unmount" if mounts.remove(&id) => json!({}),
            "Unmount" => json!({ "Err": format!("{id} does not have it mounted") }),
            "Remove" if mounts.is_empty() => {
                self.volumes.remove(&name);
                let _ = std::fs::remove_dir_all(self.directory(&name));
                json!({})
            }
            "Remove" => json!({ "Err": "it is mounted" }),
            _ => return None,
        })
    }

    /// Has a volume.
    pub(crate) fn keep(&mut self, name: &str) {
        self.volumes.entry(name.to_owned()).or_default();
        std::fs::create_dir_all(self.directory(name)).expect("a directory for the volume");
    }

    /// Has a volume no more.
    pub(crate) fn lose(&mut self, name: &str) {
        self.volumes.remove(name);
    }

    /// How many mounts each volume has.
    pub(crate) fn mounts(&self) -> BTreeMap<String, usize> {
        self.volumes.iter().map(|(name, mounts)| (name.clone(), mounts.len())).collect()
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name.replace('/', "%"))
    }

    fn described(&self, name: &str) -> Value {
        let mounted = self.volumes.get(name).is_some_and(|mounts| !mounts.is_empty());
        let place = if mounted { self.directory(name) } else { PathBuf::new() };
        json!({ "Name": name, "Mountpoint": place })
    }
}
