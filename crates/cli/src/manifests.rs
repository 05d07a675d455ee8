//! Manifest lists that a user puts together before they are pushed: files beside the settings, as Docker's client keeps
//! them, so that both know the same lists.
//!
//! ```text
//! manifests/<list>/<image>     JSON, names with `-` for each colon and `_` for each slash
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::Reference;

use crate::Failure;
use crate::context::Context;

/// One image of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Its full name.
    #[serde(rename = "Ref")]
    pub reference: String,
    /// What the list says about it.
    pub descriptor: Descriptor,
    /// Its manifest, in base64.
    #[serde(default)]
    pub raw: String,
    /// Its manifest, when it is Docker's.
    #[serde(rename = "SchemaV2Manifest", default, skip_serializing_if = "Option::is_none")]
    pub schema2: Option<Box<RawValue>>,
    /// Its manifest, when it is OCI's.
    #[serde(rename = "OCIManifest", default, skip_serializing_if = "Option::is_none")]
    pub oci: Option<Box<RawValue>>,
}

/// What a list says about an image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Of the manifest.
    #[serde(default)]
    pub media_type: String,
    /// Of the manifest.
    pub digest: String,
    /// Of the manifest.
    #[serde(default)]
    pub size: u64,
    /// What the image is for.
    #[serde(default)]
    pub platform: Platform,
}

/// What an image is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "OCI image-spec, image-index.md")]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// The images of a list, by name; `None` when there is no such list.
///
/// # Errors
/// When a file cannot be read.
pub fn list(context: &Context, list: &Reference) -> Result<Option<Vec<Entry>>, Failure> {
    let directory = directory(context, list)?;
    let mut paths: Vec<PathBuf> = match fs::read_dir(&directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", &directory, source)),
    };
    paths.sort();
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).map_err(|source| failed("read", path, source))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Invalid(format!("{} is no manifest: {error}", path.display())))
    };
    let entries: Vec<Entry> = paths.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Some(entries).filter(|entries| !entries.is_empty()))
}

/// Puts an image into a list, in place of what was there under its name.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(context: &Context, list: &Reference, image: &Reference, entry: &Entry) -> Result<(), Failure> {
    let directory = directory(context, list)?;
    let path = directory.join(file_name(image));
    let bytes = serde_json::to_vec(entry).map_err(|error| Failure::Invalid(error.to_string()))?;
    let written = fs::create_dir_all(&directory).and_then(|()| {
        // Appears whole, and is no entry until then.
        let partial = directory.with_extension(format!("partial-{}", std::process::id()));
        fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &path))
    });
    written.map_err(|source| failed("write", &path, source))
}

/// Forgets a list; says whether there was one.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(context: &Context, list: &Reference) -> Result<bool, Failure> {
    let directory = directory(context, list)?;
    match fs::remove_dir_all(&directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("remove", &directory, source)),
    }
}

fn directory(context: &Context, list: &Reference) -> Result<PathBuf, Failure> {
    let settings = context.config_path().and_then(|path| Some(path.parent()?.join("manifests")));
    let settings =
        settings.ok_or_else(|| Failure::Invalid("no place for manifest lists: HOME is not set".to_owned()))?;
    Ok(settings.join(file_name(list)))
}

/// Neither `.` nor `..`: a name has a tag or a digest, and so a colon.
fn file_name(reference: &Reference) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}

fn failed(verb: &str, path: &Path, source: io::Error) -> Failure {
    Failure::Io { what: format!("{verb} {}", path.display()), source }
}
