//! Errors as the daemon is told of them.

use runtime::Step;
use types::Kind as _;

use crate::error::Error;
use crate::protocol::{Failure, FailureKind, Phase};

/// What the daemon learns of an error: its class, Docker's exit status and the whole chain of causes.
pub(crate) fn failure(phase: Phase, error: &Error) -> Failure {
    match error {
        Error::Runtime(error) => runtime_failure(phase, error),
        Error::Log(error) => {
            let message = format!("failed to initialize logging driver: {}", chain(error));
            Failure { phase, kind: FailureKind::Log, exit_status: 128, message }
        }
        other => {
            let invalid = other.kind() == types::ErrorKind::InvalidParameter;
            let kind = if invalid { FailureKind::Invalid } else { FailureKind::System };
            Failure { phase, kind, exit_status: 128, message: chain(other) }
        }
    }
}

pub(crate) fn runtime_failure(phase: Phase, error: &runtime::Error) -> Failure {
    let exit_status = error.exit_status();
    let kind = match (exit_status, error) {
        (127, _) => FailureKind::CommandNotFound,
        (126, _) => FailureKind::NotExecutable,
        (_, runtime::Error::Step { step: Step::User, .. }) => FailureKind::User,
        (_, runtime::Error::Mount { .. }) => FailureKind::Mount,
        (
            _,
            runtime::Error::InvalidSpec { .. } | runtime::Error::Unsupported { .. } | runtime::Error::NotRunning { .. },
        ) => FailureKind::Invalid,
        _ => FailureKind::System,
    };
    Failure { phase, kind, exit_status, message: chain(error) }
}

/// `outer: inner: innermost`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&types::go_words(&inner.to_string()));
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_commands_keep_dockers_words() {
        let error = runtime::Error::CommandNotFound { command: "foo".to_owned() };
        let failure = runtime_failure(Phase::Start, &error);
        assert_eq!(failure.message, "exec: \"foo\": executable file not found in $PATH");
        assert_eq!((failure.kind, failure.exit_status), (FailureKind::CommandNotFound, 127));
    }

    #[test]
    fn causes_are_told_in_order() {
        let source = std::io::Error::from_raw_os_error(28);
        let path = "/x/log".into();
        let error = Error::Log(logs::Error::Open { path, source });
        let told = failure(Phase::Prepare, &error);
        assert_eq!(
            told.message,
            "failed to initialize logging driver: open log file \"/x/log\": no space left on device"
        );
    }
}
