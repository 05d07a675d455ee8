//! Running hooks (runtime-spec, "POSIX-platform Hooks").

use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::spec::Hook;

/// What a hook gets on its standard input, and what `state` prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// Name of the container.
    pub id: String,
    /// `creating`, `created`, `running` or `stopped`.
    pub status: String,
    /// Process id of the container's first process; 0 once it is gone.
    pub pid: i32,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// Annotations of the configuration.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty", default)]
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// Runs the hooks of one list in order and stops at the first that fails.
///
/// # Errors
/// [`Error::Hook`] with the exit status or the kernel's answer, and what the hook wrote to its standard error.
pub fn run_hooks(stage: &str, hooks: &[Hook], state: &State) -> Result<(), Error> {
    if hooks.is_empty() {
        return Ok(());
    }
    let input = serde_json::to_vec(state).unwrap_or_default();
    hooks.iter().try_for_each(|hook| {
        run(hook, &input).map_err(|reason| Error::Hook { stage: stage.to_owned(), path: hook.path.clone(), reason })
    })
}

fn run(hook: &Hook, input: &[u8]) -> Result<(), String> {
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|entry| entry.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The caller may be a monitor, which takes its signals from a descriptor and has them all blocked.
    sys::execute::start_with_default_signals(&mut command);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read its state; SIGPIPE is ignored by the Rust runtime.
        let _ = stdin.write_all(input);
    }
    let status = wait(&mut child, hook.timeout).map_err(|error| error.to_string())?;
    let Some(status) = status else { return Err(format!("timed out after {} s", hook.timeout.unwrap_or(0))) };
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.by_ref().take(4096).read_to_string(&mut said);
    }
    Err(format!("{}, stdout: , stderr: {}", describe(status), said.trim_end()))
}

/// Waits for the hook to end; kills it when its time is over.
fn wait(child: &mut Child, timeout: Option<u32>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = timeout else { return child.wait().map(Some) };
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let deadline = Instant::now() + Duration::from_secs(u64::from(seconds));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => break,
            Ok(_) => return child.wait().map(Some),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// An exit status in Go's words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}

/// The state a hook sees.
pub(crate) fn state(id: &str, status: &str, pid: i32, bundle: &Path, spec: &crate::spec::Spec) -> State {
    State {
        oci_version: spec.oci_version.clone(),
        id: id.to_owned(),
        status: status.to_owned(),
        pid,
        bundle: bundle.to_owned(),
        annotations: spec.annotations.clone(),
    }
}
