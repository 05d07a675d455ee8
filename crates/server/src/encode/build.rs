//! What a build tells, in the words of Docker's classic builder.

use api::progress::{ErrorDetail, Message};
use bytes::Bytes;
use engine::{BuildEvent, Error, ImageProgress, OutputStream, StepEvent};

use super::progress::{line, progress_line};
use crate::failure::Failure;

/// Characters of an id that people read.
const SHORT: usize = 12;
/// Around what a command writes to its standard error.
const RED: &str = "\u{1b}[91m";
const PLAIN: &str = "\u{1b}[0m";

/// The lines of an event.
#[must_use]
pub fn build_event(event: BuildEvent) -> Bytes {
    match event {
        BuildEvent::Step(event) => step(event),
        BuildEvent::Pull(progress) => progress_line(&ImageProgress::Pull(progress), false).unwrap_or_default(),
        BuildEvent::Built(image) => stream(format!("Successfully built {}\n", short(&image.to_string()))),
        BuildEvent::Tagged(name) => stream(format!("Successfully tagged {name}\n")),
    }
}

/// All that a quiet build tells.
#[must_use]
pub fn built_quietly(image: &str) -> Bytes {
    stream(format!("{image}\n"))
}

/// The line that ends a build which failed; the exit code of a command is told apart.
#[must_use]
pub fn build_failed(error: Error) -> Bytes {
    let code = if let Error::Build(failure) = &error { failure.code() } else { None };
    let message = Failure::from(error).message;
    line(&Message {
        error_detail: Some(ErrorDetail { code: code.unwrap_or_default().into(), message: message.clone() }),
        error: message,
        ..Message::default()
    })
}

fn step(event: StepEvent) -> Bytes {
    match event {
        StepEvent::Warning(text) => stream(format!("{text}\n")),
        StepEvent::Step { number, total, text } => {
            [stream(format!("Step {number}/{total} : {text}")), stream("\n".to_owned())].concat().into()
        }
        StepEvent::Triggers(count) => {
            let mut lines = stream(format!("# Executing {count} build trigger")).to_vec();
            if count > 1 {
                lines.extend_from_slice(&stream("s".to_owned()));
            }
            lines.extend_from_slice(&stream("\n".to_owned()));
            lines.into()
        }
        StepEvent::UsingCache => stream(" ---> Using cache\n".to_owned()),
        StepEvent::Running(container) => stream(format!(" ---> Running in {}\n", short(&container))),
        StepEvent::Output(OutputStream::Stdout, bytes) => stream(String::from_utf8_lossy(&bytes).into_owned()),
        StepEvent::Output(OutputStream::Stderr, bytes) => {
            stream(format!("{RED}{}{PLAIN}", String::from_utf8_lossy(&bytes)))
        }
        StepEvent::Removing(container) => stream(format!("Removing intermediate container {}\n", short(&container))),
        StepEvent::Image(image) => stream(format!(" ---> {}\n", short(&image))),
        StepEvent::Stage(image) => aux(&image),
    }
}

fn stream(text: String) -> Bytes {
    line(&Message { stream: text, ..Message::default() })
}

fn aux(image: &str) -> Bytes {
    let id = serde_json::json!({ "ID": image });
    line(&Message { aux: serde_json::value::to_raw_value(&id).ok(), ..Message::default() })
}

fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..SHORT).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: StepEvent) -> String {
        String::from_utf8_lossy(&build_event(BuildEvent::Step(event))).into_owned()
    }

    #[test]
    fn events_have_dockers_words() {
        assert_eq!(
            text(StepEvent::Step { number: 1, total: 2, text: "FROM x".to_owned() }),
            "{\"stream\":\"Step 1/2 : FROM x\"}\r\n{\"stream\":\"\\n\"}\r\n"
        );
        assert_eq!(
            text(StepEvent::Triggers(2)),
            "{\"stream\":\"# Executing 2 build trigger\"}\r\n{\"stream\":\"s\"}\r\n{\"stream\":\"\\n\"}\r\n"
        );
        let image = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(text(StepEvent::Image(image.clone())), "{\"stream\":\" ---> abababababab\\n\"}\r\n");
        assert_eq!(text(StepEvent::Image(String::new())), "{\"stream\":\" ---> \\n\"}\r\n");
        assert_eq!(text(StepEvent::Stage(image.clone())), format!("{{\"aux\":{{\"ID\":\"{image}\"}}}}\r\n"));
        assert_eq!(
            text(StepEvent::Output(OutputStream::Stderr, b"err\n".to_vec())),
            "{\"stream\":\"\\u001b[91merr\\n\\u001b[0m\"}\r\n"
        );
        let failure = engine::BuildFailure::Command { command: "/bin/sh -c exit 3".to_owned(), code: 3 };
        let failed = build_failed(Error::Build(Box::new(failure)));
        let message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3";
        let expected =
            format!("{{\"errorDetail\":{{\"code\":3,\"message\":\"{message}\"}},\"error\":\"{message}\"}}\r\n");
        assert_eq!(String::from_utf8_lossy(&failed), expected);
    }
}
