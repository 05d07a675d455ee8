//! Events, with the attributes that Docker gives them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::container::Container;
use crate::engine::Engine;
use crate::exec::ExecEntry;
use crate::model::{Event, EventKind};

impl Engine {
    /// Tells that something happened to a container.
    pub(crate) fn container_event(&self, container: &Container, action: &str, more: &[(&str, &str)]) {
        let spec = &container.spec;
        let mut attributes: BTreeMap<String, String> = spec.config.labels.clone();
        attributes.insert("image".to_owned(), spec.config.image.clone());
        attributes.insert("name".to_owned(), container.name());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self.publish(EventKind::Container, action, spec.id.as_str(), attributes);
    }

    /// Tells that something happened to an exec.
    pub(crate) fn exec_event(&self, container: &Container, entry: &ExecEntry, action: &str, code: Option<i32>) {
        let code = code.map(|code| code.to_string());
        let mut more = vec![("execID", entry.id.as_str())];
        more.extend(code.as_deref().map(|code| ("exitCode", code)));
        self.container_event(container, action, &more);
    }

    /// Tells that something happened to a volume.
    pub(crate) fn volume_event(&self, name: &str, driver: &str, action: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), driver.to_owned())]);
        self.publish(EventKind::Volume, action, name, attributes);
    }

    /// Tells that a run of a container uses its volumes now, or that it no longer does.
    pub(crate) fn volumes_in_use(&self, container: &Container, mounted: bool) {
        let volumes = container.spec.mounts.iter().filter(|point| point.kind == "volume");
        for point in volumes {
            let mut attributes = vec![("driver", point.driver.clone()), ("container", container.spec.id.to_string())];
            if mounted {
                attributes.extend([
                    ("destination", point.destination.clone()),
                    ("read/write", point.rw.to_string()),
                    ("propagation", point.propagation.clone()),
                ]);
            }
            let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            self.publish(EventKind::Volume, if mounted { "mount" } else { "unmount" }, &point.name, attributes);
        }
    }

    /// Tells everybody who listens.
    pub(crate) fn publish(&self, kind: EventKind, action: &str, actor: &str, attributes: BTreeMap<String, String>) {
        let (action, actor) = (action.to_owned(), actor.to_owned());
        self.events.publish(Event { kind, action, actor, attributes, at: Timestamp::now() });
    }
}
