//! Volumes: their records, and that each has a directory for its data. What is in there is somebody's, and no repair
//! removes any of it.

use std::fs;

use super::Examination;
use crate::Volume;

impl Examination<'_> {
    pub(super) fn volumes(&mut self) {
        self.plugin_volumes();
        let directory = self.paths.volumes();
        for name in self.list(&directory) {
            let path = directory.join(&name);
            if name == "backingFsBlockDev" || !path.is_dir() {
                continue;
            }
            self.report.volumes += 1;
            let record = path.join("opts.json");
            match fs::read(&record).map_err(|error| error.to_string()) {
                Ok(bytes) => match serde_json::from_slice::<Volume>(&bytes) {
                    // The next start completes a rename that the daemon was killed in.
                    Ok(volume) if volume.name != name && directory.join(&volume.name).exists() => {
                        self.damaged(record, format!("is about volume {:?}", volume.name));
                    }
                    Ok(_) => {}
                    Err(error) => self.damaged(record, error.to_string()),
                },
                Err(_) => self.missing(record, format!("the record of volume {name}")),
            }
            let data = path.join("_data");
            if !data.is_dir() {
                self.missing(data, format!("the files of volume {name}"));
            }
        }
    }

    /// What is known of the volumes of plugins; their files are the plugins'.
    fn plugin_volumes(&mut self) {
        #[derive(serde::Deserialize)]
        struct Record {
            volume: Volume,
        }
        let directory = self.paths.plugin_volumes();
        if !directory.exists() {
            return;
        }
        for name in self.list(&directory) {
            let record = directory.join(&name);
            if name.starts_with(".tmp-") {
                self.orphan(record, "left by the replacement of a record");
                continue;
            }
            let read = fs::read(&record).map_err(|error| error.to_string());
            let parsed = read.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).map_err(|e| e.to_string()));
            match parsed {
                Ok(found) if found.volume.name.is_empty() => self.damaged(record, "names no volume"),
                Ok(_) => self.report.volumes += 1,
                Err(error) => self.damaged(record, error),
            }
        }
    }
}
