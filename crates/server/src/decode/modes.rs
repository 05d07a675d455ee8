//! Words for namespaces and networks.

use engine::model::{NamespaceMode, NetworkMode};

use crate::failure::Failure;

pub(super) fn network(text: &str) -> Result<NetworkMode, Failure> {
    Ok(match text {
        "" | "default" | "bridge" => NetworkMode::Bridge,
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        _ => match text.strip_prefix("container:") {
            Some("") => return Err(Failure::invalid("invalid container format container:<name|id>")),
            Some(container) => NetworkMode::Container(container.to_owned()),
            None if text == "container" => {
                return Err(Failure::invalid("invalid container format container:<name|id>"));
            }
            None => NetworkMode::Named(text.to_owned()),
        },
    })
}

pub(super) fn ipc(text: &str) -> Result<NamespaceMode, Failure> {
    let words = [
        ("private", NamespaceMode::Private),
        ("shareable", NamespaceMode::Shareable),
        ("none", NamespaceMode::None),
        ("host", NamespaceMode::Host),
    ];
    namespace(text, &words, true, "invalid IPC mode")
}

pub(super) fn pid(text: &str) -> Result<NamespaceMode, Failure> {
    namespace(text, &[("host", NamespaceMode::Host)], true, "invalid PID mode")
}

pub(super) fn uts(text: &str) -> Result<NamespaceMode, Failure> {
    namespace(text, &[("host", NamespaceMode::Host)], false, "invalid UTS mode")
}

pub(super) fn user(text: &str) -> Result<NamespaceMode, Failure> {
    namespace(text, &[("host", NamespaceMode::Host)], false, "invalid user namespace mode")
}

pub(super) fn cgroup(text: &str) -> Result<NamespaceMode, Failure> {
    let words = [("private", NamespaceMode::Private), ("host", NamespaceMode::Host)];
    namespace(text, &words, false, "invalid cgroup namespace mode")
}

fn namespace(
    text: &str,
    words: &[(&str, NamespaceMode)],
    joins_containers: bool,
    invalid: &str,
) -> Result<NamespaceMode, Failure> {
    if text.is_empty() {
        return Ok(NamespaceMode::Default);
    }
    if let Some((_, mode)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(mode.clone());
    }
    match text.strip_prefix("container:") {
        Some(container) if joins_containers && !container.is_empty() => {
            Ok(NamespaceMode::Container(container.to_owned()))
        }
        _ => Err(Failure::invalid(format!("{invalid}: {text}"))),
    }
}
