//! The container itself: made from the plan, with the ends of its streams.

use std::fs::File;
use std::os::fd::OwnedFd;

use runtime::cgroup::Cgroup;
use runtime::{CreateRequest, Stdio};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Error;
use crate::protocol::StartPlan;
use crate::streams::Ends;

/// What is left to know of a running container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    pub(crate) cgroup: Option<Cgroup>,
    /// It has its own pid namespace: with the main process every other one is gone.
    pub(crate) own_pids: bool,
}

/// What the runtime is to make, and our ends of its streams where they are pipes.
pub(crate) fn request(plan: &mut StartPlan) -> Result<(CreateRequest, Ends), Error> {
    let (stdio, ends) = stdio(plan)?;
    let request = CreateRequest {
        id: plan.container_id.clone(),
        spec: std::mem::take(&mut plan.spec),
        bundle: plan.run_dir.clone(),
        rootfs: runtime::Rootfs {
            path: std::mem::take(&mut plan.rootfs.path),
            mounts: std::mem::take(&mut plan.rootfs.mounts),
        },
        seccomp: plan.seccomp.take().map(|filter| filter.0),
        stdio,
        options: runtime::CreateOptions { hold_signals: plan.init, ..runtime::CreateOptions::default() },
    };
    Ok((request, ends))
}

/// The container's ends of its streams, and ours.
fn stdio(plan: &StartPlan) -> Result<(Stdio, Ends), Error> {
    let mut ends = Ends { stdin: None, outputs: Vec::new() };
    if plan.tty {
        return Ok((Stdio::Terminal { rows: plan.size.0, cols: plan.size.1 }, ends));
    }
    let failed = |source: std::io::Error| Error::Prepare { step: "make pipes", source };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()));
    let stdin = if plan.open_stdin {
        let (reader, writer) = pipe()?;
        ends.stdin = Some(writer);
        reader
    } else {
        File::open("/dev/null").map_err(failed)?.into()
    };
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    ends.outputs = vec![stdout, stderr];
    // Only our ends: the flag would otherwise surprise the container's programs.
    for fd in ends.outputs.iter().chain(&ends.stdin) {
        nonblocking(fd).map_err(failed)?;
    }
    Ok((Stdio::Pipes { stdin, stdout: stdout_writer, stderr: stderr_writer }, ends))
}

/// Our ends of a terminal.
pub(crate) fn terminal_ends(console: OwnedFd, open_stdin: bool) -> Result<Ends, Error> {
    let failed = |source| Error::Prepare { step: "open terminal", source };
    nonblocking(&console).map_err(failed)?;
    let stdin = if open_stdin { Some(console.try_clone().map_err(failed)?) } else { None };
    Ok(Ends { stdin, outputs: vec![console] })
}

pub(crate) fn nonblocking(fd: &OwnedFd) -> std::io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

/// Field 22 of `/proc/<pid>/stat` (proc(5)), which follows a command name that may hold anything.
pub(crate) fn start_time(pid: i32) -> Result<u64, Error> {
    let failed = |source| Error::Prepare { step: "read start time", source };
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(failed)?;
    let field = text.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19));
    let parsed = field.and_then(|field| field.parse().ok());
    parsed.ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_its_own_start_time() {
        let own = super::start_time(std::process::id() as i32).expect("read");
        assert!(own > 0);
        assert!(super::start_time(0).is_err());
    }
}
