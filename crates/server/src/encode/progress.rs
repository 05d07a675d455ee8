//! Progress streams: one JSON object a line, in the words of Docker's `streamformatter`.

use api::progress::{ErrorDetail, Message, ProgressDetail};
use bytes::Bytes;
use engine::ImageProgress;
use engine::model::image::LoadEvent;
use engine::model::image::{Progress, PushProgress};
use types::Digest;

use crate::failure::Failure;

/// The lines of one step. With `quiet` only results are told. Docker ends each with `\r\n`.
#[must_use]
pub fn progress_line(step: &ImageProgress, quiet: bool) -> Option<Bytes> {
    let message = match step {
        ImageProgress::Pull(step) => pull(step),
        ImageProgress::PushingTo(repository) => {
            Message { status: format!("The push refers to repository [{repository}]"), ..Message::default() }
        }
        ImageProgress::Push(PushProgress::Tagged { tag, digest, size }) => return Some(tagged(tag, digest, *size)),
        ImageProgress::Push(step) => push(step),
        ImageProgress::ImportingFrom(url) => {
            Message { status: format!("Downloading from {url}"), ..Message::default() }
        }
        ImageProgress::Importing(current, total) => counted("Importing", "", *current, total.unwrap_or(0)),
        ImageProgress::Load(LoadEvent::Layer { .. }) if quiet => return None,
        ImageProgress::Load(LoadEvent::Layer { diff, current, total }) => {
            counted("Loading layer", &diff.short(), *current, *total)
        }
        ImageProgress::Load(LoadEvent::Renamed { reference, old }) => {
            let name = reference.familiar();
            let stream =
                format!("The image {name} already exists, renaming the old one with ID {old} to empty string\n");
            Message { stream, ..Message::default() }
        }
        ImageProgress::Load(LoadEvent::Loaded(loaded)) => {
            let stream = match &loaded.reference {
                Some(reference) => format!("Loaded image: {}\n", reference.familiar()),
                None => format!("Loaded image ID: {}\n", loaded.id),
            };
            Message { stream, ..Message::default() }
        }
        ImageProgress::Imported(id) => Message { status: id.to_string(), ..Message::default() },
    };
    Some(line(&message))
}

/// The line that ends a stream which failed.
#[must_use]
pub fn error_line(failure: &Failure) -> Bytes {
    line(&Message {
        error_detail: Some(ErrorDetail { code: 0, message: failure.message.clone() }),
        error: failure.message.clone(),
        ..Message::default()
    })
}

pub(super) fn line(message: &Message) -> Bytes {
    // A message is texts and numbers; it always encodes.
    let mut text = serde_json::to_vec(message).unwrap_or_default();
    text.extend_from_slice(b"\r\n");
    text.into()
}

fn pull(step: &Progress) -> Message {
    match step {
        Progress::PullingFrom { id, repository } => {
            Message { status: format!("Pulling from {repository}"), id: id.clone(), ..Message::default() }
        }
        Progress::PullingFsLayer { layer } => state("Pulling fs layer", layer),
        Progress::AlreadyExists { layer } => state("Already exists", layer),
        Progress::Waiting { layer } => state("Waiting", layer),
        Progress::VerifyingChecksum { layer } => state("Verifying Checksum", layer),
        Progress::DownloadComplete { layer } => state("Download complete", layer),
        Progress::PullComplete { layer } => state("Pull complete", layer),
        Progress::Downloading { layer, current, total } => counted("Downloading", layer, *current, *total),
        Progress::Extracting { layer, current, total } => counted("Extracting", layer, *current, *total),
        Progress::Digest(digest) => Message { status: format!("Digest: {digest}"), ..Message::default() },
        Progress::Status { reference, newer } => {
            let text = if *newer { "Downloaded newer image for" } else { "Image is up to date for" };
            Message { status: format!("Status: {text} {reference}"), ..Message::default() }
        }
        Progress::Warning(text) => Message { status: format!("WARNING: {text}"), ..Message::default() },
    }
}

fn push(step: &PushProgress) -> Message {
    match step {
        PushProgress::Preparing { layer } => state("Preparing", layer),
        PushProgress::Waiting { layer } => state("Waiting", layer),
        PushProgress::AlreadyExists { layer } => state("Layer already exists", layer),
        PushProgress::Mounted { layer, from } => state(&format!("Mounted from {from}"), layer),
        PushProgress::Pushing { layer, current, total } => counted("Pushing", layer, *current, *total),
        PushProgress::Retrying { layer, seconds } => {
            let plural = if *seconds == 1 { "" } else { "s" };
            state(&format!("Retrying in {seconds} second{plural}"), layer)
        }
        PushProgress::Pushed { layer } => state("Pushed", layer),
        // Two lines of their own.
        PushProgress::Tagged { .. } => Message::default(),
    }
}

/// A line for people and one for programs.
fn tagged(tag: &str, digest: &Digest, size: u64) -> Bytes {
    let status = format!("{tag}: digest: {digest} size: {size}");
    let aux = serde_json::value::to_raw_value(&PushResult { tag, digest, size }).ok();
    let shown = line(&Message { status, ..Message::default() });
    let told = line(&Message { progress_detail: Some(ProgressDetail::default()), aux, ..Message::default() });
    [shown, told].concat().into()
}

/// `aux` of a push.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct PushResult<'a> {
    tag: &'a str,
    digest: &'a Digest,
    size: u64,
}

fn state(status: &str, layer: &str) -> Message {
    Message {
        status: status.to_owned(),
        progress_detail: Some(ProgressDetail::default()),
        id: layer.to_owned(),
        ..Message::default()
    }
}

fn counted(status: &str, layer: &str, current: u64, total: u64) -> Message {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Message {
        status: status.to_owned(),
        progress_detail: Some(ProgressDetail {
            current: number(current),
            total: number(total),
            ..ProgressDetail::default()
        }),
        progress: bar(current, total),
        id: layer.to_owned(),
        ..Message::default()
    }
}

/// `[=====>      ]  1.2MB/3MB`, 50 columns of bar.
fn bar(current: u64, total: u64) -> String {
    if current == 0 && total == 0 {
        return String::new();
    }
    let current_text = human_size(current);
    if total == 0 {
        return format!("{current_text:>8}");
    }
    let filled = usize::try_from(current.saturating_mul(100) / total / 2).unwrap_or(50).min(50);
    let bar = format!("[{}>{}]", "=".repeat(filled), " ".repeat(50 - filled));
    if current > total {
        return format!("{bar} {current_text:>8}");
    }
    format!("{bar} {current_text:>8}/{}", human_size(total))
}

/// Four significant digits and a decimal unit, as go-units' `HumanSize`.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = if size >= 999.95 {
        0
    } else if size >= 99.995 {
        1
    } else if size >= 9.9995 {
        2
    } else {
        3
    };
    let text = format!("{size:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, text) in
            [(0, "0B"), (999, "999B"), (1000, "1kB"), (1536, "1.536kB"), (32_768, "32.77kB"), (104_857_600, "104.9MB")]
        {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn lines_are_dockers() {
        let step = |step| {
            progress_line(&ImageProgress::Pull(step), false).map(|line| String::from_utf8_lossy(&line).into_owned())
        };
        assert_eq!(
            step(Progress::PullingFrom { id: "latest".to_owned(), repository: "library/busybox".to_owned() })
                .as_deref(),
            Some("{\"status\":\"Pulling from library/busybox\",\"id\":\"latest\"}\r\n")
        );
        assert_eq!(
            step(Progress::PullingFsLayer { layer: "abc".to_owned() }).as_deref(),
            Some("{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"abc\"}\r\n")
        );
        let half = step(Progress::Downloading { layer: "abc".to_owned(), current: 500, total: 1000 });
        let bar = format!("[{}>{}]", "=".repeat(25), " ".repeat(25));
        let expected = format!(
            "{{\"status\":\"Downloading\",\"progressDetail\":{{\"current\":500,\"total\":1000}},\"progress\":\"{bar}     500B/1kB\",\"id\":\"abc\"}}\r\n"
        );
        assert_eq!(half, Some(expected));
        let failed = error_line(&Failure::invalid("no"));
        assert_eq!(&failed[..], b"{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n");
    }
}
