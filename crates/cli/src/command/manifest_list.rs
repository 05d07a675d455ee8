//! `manifest create`, `annotate`, `push`, `rm`: lists of images for several platforms.

use serde::Deserialize;
use serde_json::json;
use types::Reference;

use super::manifest::{INSECURE, document, entry, entry_of, fetch, is_list, media_type, tagged, trusting};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::manifests;

/// `manifest create`.
pub static CREATE: Command = Command {
    paths: &["manifest create"],
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    about: "Create a local manifest list for annotating and pushing to a registry",
    flags: &[&[Flag::switch("amend", "Amend an existing manifest list").short('a'), INSECURE]],
    interspersed: true,
    args: Args::AtLeast(2),
    run: create,
};

/// `manifest annotate`.
pub static ANNOTATE: Command = Command {
    paths: &["manifest annotate"],
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    about: "Add additional information to a local image manifest",
    flags: &[&[
        Flag::value("arch", "string", "Set architecture"),
        Flag::value("os", "string", "Set operating system"),
        Flag::value("os-features", "strings", "Set operating system feature"),
        Flag::value("os-version", "string", "Set operating system version"),
        Flag::value("variant", "string", "Set architecture variant"),
    ]],
    interspersed: true,
    args: Args::Exactly(2),
    run: annotate,
};

/// `manifest push`.
pub static PUSH: Command = Command {
    paths: &["manifest push"],
    usage: "[OPTIONS] MANIFEST_LIST",
    about: "Push a manifest list to a repository",
    flags: &[&[INSECURE, Flag::switch("purge", "Remove the local manifest list after push").short('p')]],
    interspersed: true,
    args: Args::Exactly(1),
    run: push,
};

/// `manifest rm`.
pub static RM: Command = Command {
    paths: &["manifest rm"],
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    about: "Delete one or more manifest lists from local storage",
    flags: &[],
    interspersed: true,
    args: Args::AtLeast(1),
    run: rm,
};

/// The answer of `POST /gantry/manifests/push`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pushed {
    digest: String,
}

/// Architectures by operating system, as Go builds for them.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    ("linux", &["386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x"]),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64", "arm64"]),
];

fn create(context: &Context, m: &Matches) -> Result<(), Failure> {
    let list = tagged(m.arg(0))?;
    if manifests::list(context, &list)?.is_some() && !m.on("amend") {
        return Err(Failure::Invalid("refusing to amend an existing manifest list with no --amend flag".to_owned()));
    }
    // All are there before the first is kept.
    let mut found = Vec::new();
    for name in &m.args()[1..] {
        let image = tagged(name)?;
        let manifest = trusting(m, &image, fetch(context, &image))?;
        if is_list(&manifest) {
            return Err(Failure::Invalid(format!("{name} is a manifest list")));
        }
        found.push((entry(&image, manifest), image));
    }
    for (entry, image) in &found {
        manifests::keep(context, &list, image, entry)?;
    }
    context.line(&format!("Created manifest list {list}"));
    Ok(())
}

fn annotate(context: &Context, m: &Matches) -> Result<(), Failure> {
    let (list, image) = (tagged(m.arg(0))?, tagged(m.arg(1))?);
    let entry = entry_of(context, &list, &image)?;
    let mut entry = entry
        .ok_or_else(|| Failure::Invalid(format!("manifest for image {} does not exist in {}", m.arg(1), m.arg(0))))?;
    let platform = &mut entry.descriptor.platform;
    for (flag, member) in [
        ("os", &mut platform.os),
        ("arch", &mut platform.architecture),
        ("variant", &mut platform.variant),
        ("os-version", &mut platform.os_version),
    ] {
        if !m.text(flag).is_empty() {
            m.text(flag).clone_into(member);
        }
    }
    for feature in m.list("os-features").iter().flat_map(|features| features.split(',')) {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    let (os, architecture) = (&platform.os, &platform.architecture);
    if !PLATFORMS.iter().any(|(known, all)| known == os && all.contains(&architecture.as_str())) {
        let text = format!("manifest entry for image has unsupported os/arch combination: {os}/{architecture}");
        return Err(Failure::Invalid(text));
    }
    manifests::keep(context, &list, &image, &entry)
}

fn push(context: &Context, m: &Matches) -> Result<(), Failure> {
    let list = tagged(m.arg(0))?;
    let entries = manifests::list(context, &list)?.ok_or_else(|| missing(&list))?;
    let mut images = Vec::new();
    for entry in &entries {
        let bad = || Failure::Invalid(format!("manifest list {list} is damaged: {} has no digest", entry.reference));
        let image: Reference = entry.reference.parse().map_err(|_| bad())?;
        images.push(image.with_digest(entry.descriptor.digest.parse().map_err(|_| bad())?));
    }
    let body = json!({
        "Name": list.familiar(), "MediaType": media_type(&entries), "List": document(&entries),
        "Images": images.iter().map(Reference::familiar).collect::<Vec<_>>(),
    });
    let request = context.client()?.post("/gantry/manifests/push").json(&body)?;
    let request = request.header("x-registry-auth", &credentials::header(context, list.domain())?);
    let pushed: Pushed = trusting(m, &list, context.wait(async { Ok(request.fetch().await?) }))?;
    for digest in images.iter().filter_map(Reference::digest) {
        context.line(&format!("Pushed ref {}@{digest} with digest: {digest}", list.name()));
    }
    context.line(&pushed.digest);
    if m.on("purge") {
        manifests::forget(context, &list)?;
    }
    Ok(())
}

fn rm(context: &Context, m: &Matches) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for name in m.args() {
        let list = tagged(name)?;
        if !manifests::forget(context, &list)? {
            failed.push(missing(&list).to_string());
        }
    }
    Failure::all(failed)
}

fn missing(list: &Reference) -> Failure {
    Failure::Invalid(format!("No such manifest: {list}"))
}
