//! `manifest inspect`: what a registry, or a list that is being put together, has under a name.

use serde::Deserialize;
use serde_json::value::RawValue;
use types::Reference;

use super::pull::parse;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::format::json;
use crate::manifests::{self, Descriptor, Entry, Platform};

/// `--insecure`: the engine decides by its own settings.
pub(super) const INSECURE: Flag =
    Flag::switch("insecure", "Allow communication with an insecure registry (as the daemon is configured)");

/// `manifest inspect`.
pub static INSPECT: Command = Command {
    paths: &["manifest inspect"],
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    about: "Display an image manifest, or manifest list",
    flags: &[&[INSECURE, Flag::switch("verbose", "Output additional info including layers and platform").short('v')]],
    interspersed: true,
    args: Args::Between(1, 2),
    run,
};

/// Media types of lists.
const LISTS: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"];

/// What the engine says about a name on a registry.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    descriptor: Descriptor,
    #[serde(default)]
    platforms: Vec<Platform>,
    /// The document as the registry has it.
    #[serde(default)]
    manifest: Option<Box<RawValue>>,
}

/// A document with what is told about it.
pub(super) struct Found {
    pub(super) descriptor: Descriptor,
    pub(super) document: Box<RawValue>,
}

/// The images of a list.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let verbose = m.on("verbose");
    if m.args().len() == 2 {
        let (list, image) = (tagged(m.arg(0))?, tagged(m.arg(1))?);
        let entry = entry_of(context, &list, &image)?;
        let entry = entry.ok_or_else(|| Failure::Invalid(format!("no such manifest: {}", m.arg(1))))?;
        return show(context, &entry, verbose);
    }
    let name = tagged(m.arg(0))?;
    if let Some(entries) = manifests::list(context, &name)? {
        if verbose {
            return show_all(context, &entries);
        }
        context.line(&document(&entries));
        return Ok(());
    }
    let found = trusting(m, &name, fetch(context, &name))?;
    if !LISTS.contains(&found.descriptor.media_type.as_str()) {
        return show(context, &entry(&name, found), verbose);
    }
    if !verbose {
        context.line(&json::indent(found.document.get(), "   "));
        return Ok(());
    }
    let list: List = serde_json::from_str(found.document.get())
        .map_err(|error| Failure::Invalid(format!("{name} is no manifest list: {error}")))?;
    let mut entries = Vec::new();
    for descriptor in list.manifests {
        let digest = descriptor.digest.parse().map_err(|_| Failure::Invalid(format!("{name} names no digest")))?;
        let image = name.clone().with_digest(digest);
        let found = trusting(m, &image, fetch(context, &image))?;
        entries.push(Entry { descriptor, ..entry(&image, found) });
    }
    show_all(context, &entries)
}

/// A name as manifest commands take it: `latest` where nothing else is said.
pub(super) fn tagged(text: &str) -> Result<Reference, Failure> {
    Ok(parse(text)?.with_default_tag())
}

/// The entry of an image in a list that is being put together.
pub(super) fn entry_of(context: &Context, list: &Reference, image: &Reference) -> Result<Option<Entry>, Failure> {
    let entries = manifests::list(context, list)?.unwrap_or_default();
    let name = image.to_string();
    let named = |entry: &Entry| entry.reference == name || entry.reference == image.familiar();
    Ok(entries.into_iter().find(named))
}

/// Asks the registry, through the engine.
pub(super) fn fetch(context: &Context, name: &Reference) -> Result<Found, Failure> {
    let request = context
        .client()?
        .get(&format!("/distribution/{}/json", client::escape(&name.familiar())))
        .query("manifest", "1")
        .header("x-registry-auth", &credentials::header(context, name.domain())?);
    let answer: Answer = context.wait(async { Ok(request.fetch().await?) })?;
    let document = answer.manifest.ok_or_else(|| {
        Failure::Invalid("this engine does not hand out manifests: it tells only what they describe".to_owned())
    })?;
    let mut descriptor = answer.descriptor;
    if let [platform] = answer.platforms.as_slice() {
        descriptor.platform = platform.clone();
    }
    Ok(Found { descriptor, document })
}

/// `--insecure` where the engine does not trust the registry: the refusal says who decides, and what to do.
pub(super) fn trusting<T>(m: &Matches, name: &Reference, done: Result<T, Failure>) -> Result<T, Failure> {
    done.map_err(|failure| match failure {
        Failure::Client(client::Error::Daemon { message, .. }) if m.on("insecure") && is_distrust(&message) => {
            let host = name.domain();
            Failure::Invalid(format!(
                "--insecure is not up to the client: the daemon reaches the registry, and does not trust {host}; name it in \"insecure-registries\" of daemon.json\nError response from daemon: {message}"
            ))
        }
        failure => failure,
    })
}

/// What a daemon says of a registry without TLS, or with a certificate that nobody vouches for.
fn is_distrust(message: &str) -> bool {
    message.contains("x509: ") || message.contains("server gave HTTP response to HTTPS client")
}

/// What is kept of an image.
pub(super) fn entry(name: &Reference, found: Found) -> Entry {
    let Found { descriptor, document } = found;
    let raw = credentials::base64(document.get().as_bytes());
    let oci = descriptor.media_type == "application/vnd.oci.image.manifest.v1+json";
    let (schema2, oci) = if oci { (None, Some(document)) } else { (Some(document), None) };
    Entry { reference: name.to_string(), descriptor, raw, schema2, oci }
}

/// Whether a document is a list.
pub(super) fn is_list(found: &Found) -> bool {
    LISTS.contains(&found.descriptor.media_type.as_str())
}

/// Of a list of these images.
pub(super) fn media_type(entries: &[Entry]) -> &'static str {
    LISTS[usize::from(entries.first().is_some_and(|entry| entry.oci.is_some()))]
}

/// A list of these images, as Docker's client writes it.
pub(super) fn document(entries: &[Entry]) -> String {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Item<'a> {
        media_type: &'a str,
        size: u64,
        digest: &'a str,
        platform: &'a Platform,
    }
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        schema_version: u8,
        media_type: &'a str,
        manifests: Vec<Item<'a>>,
    }
    let mut manifests = Vec::with_capacity(entries.len());
    for Entry { descriptor: Descriptor { media_type, digest, size, platform }, .. } in entries {
        manifests.push(Item { media_type, size: *size, digest, platform });
    }
    let list = Document { schema_version: 2, media_type: media_type(entries), manifests };
    // Texts and numbers always are JSON.
    json::indent(&serde_json::to_string(&list).unwrap_or_default(), "   ")
}

fn show(context: &Context, entry: &Entry, verbose: bool) -> Result<(), Failure> {
    if verbose {
        context.line(&json::indent(&text(entry)?, "\t"));
    } else if let Some(document) = entry.schema2.as_ref().or(entry.oci.as_ref()) {
        context.line(&json::indent(document.get(), "\t"));
    }
    Ok(())
}

fn show_all(context: &Context, entries: &[Entry]) -> Result<(), Failure> {
    let texts = entries.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    context.line(&json::indent(&format!("[{}]", texts.join(",")), "\t"));
    Ok(())
}

fn text(entry: &Entry) -> Result<String, Failure> {
    serde_json::to_string(entry).map_err(|error| Failure::Invalid(error.to_string()))
}
