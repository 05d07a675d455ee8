//! `delete`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use runtime::cgroup::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::Global;
use crate::arguments::{Flag, Parsed};
use crate::record::{Record, Status};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[Flag::switch("force", Some('f'))];

/// How long a killed container may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes a container that has stopped or was never started; with `--force` any, or none.
pub(crate) fn delete(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let id = parsed.id()?;
    let force = parsed.is_set("force");
    let record = match Record::load(global, id) {
        Ok(record) => record,
        Err(error) if !force => return Err(error),
        Err(_) => {
            // A directory without a record is what an interrupted create leaves.
            let unfinished = global.root.join(id);
            if unfinished.parent() == Some(global.root.as_path()) {
                let _ = std::fs::remove_dir_all(unfinished);
            }
            return Ok(0);
        }
    };
    match record.status(global) {
        Status::Stopped => {}
        Status::Created => end(&record)?,
        _ if force => end(&record)?,
        status => bail!("cannot delete container {id} that is not stopped: {}", status.as_str()),
    }
    clean_up(global, &record)?;
    Ok(0)
}

/// Kills the container's first process and waits for its end.
fn end(record: &Record) -> anyhow::Result<()> {
    let Some(pidfd) = Pid::from_raw(record.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return Ok(());
    };
    // Now that the process cannot become another, look again whether it is the right one.
    if !record.is_alive() {
        return Ok(());
    }
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    // A frozen process does not notice on cgroup v1.
    let _ = record.cgroup()?.thaw();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let slice = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&slice)).is_ok_and(|ready| ready > 0);
        if ended || !record.is_alive() {
            return Ok(());
        }
    }
    bail!("container {} does not end", record.id)
}

/// Removes what a stopped container holds and runs the poststop hooks.
pub(crate) fn clean_up(global: &Global, record: &Record) -> anyhow::Result<()> {
    let cgroup = record.cgroup()?;
    // Without a pid namespace of its own, others may have outlived the first process.
    cgroup.kill(types::Signal::KILL).context("kill what is left")?;
    remove_group(&cgroup)?;
    let hooks = record.spec.hooks.as_ref().map(|hooks| hooks.poststop.as_slice()).unwrap_or_default();
    let hooked = runtime::run_hooks("poststop", hooks, &record.state(Status::Stopped));
    let directory = global.root.join(&record.id);
    std::fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    Ok(hooked?)
}

/// The same for a container that failed to start, where the failure is what matters.
pub(crate) fn remove(global: &Global, record: &Record, cgroup: Option<&Cgroup>) {
    let _ = rustix::process::waitpid(Pid::from_raw(record.pid), rustix::process::WaitOptions::empty());
    let _ = cgroup.map(remove_group);
    let _ = std::fs::remove_dir_all(global.root.join(&record.id));
}

/// A process that is on its way out keeps its group busy for a moment.
fn remove_group(cgroup: &Cgroup) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match cgroup.remove() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            result => return Ok(result?),
        }
    }
}
