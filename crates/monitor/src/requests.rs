//! What the daemon asks of a running container's monitor.

use std::os::fd::OwnedFd;

use runtime::{ExecRequest, Stdio};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::failure::runtime_failure;
use crate::monitor::Monitor;
use crate::protocol::{AttachOptions, ExecPlan, Failure, FailureKind, Phase, Reply, Request};

// === impl Monitor ===

impl Monitor {
    /// Answers one request.
    pub(crate) fn handle(&mut self, from: u32, request: Request, fds: Vec<OwnedFd>) {
        let reply = match request {
            Request::Start(_) => error("the container is started already"),
            Request::Exec(plan) => return self.exec(from, *plan, fds),
            Request::Attach(options) => self.attach(options, fds),
            Request::Resize { rows, cols } => self.resize(rows, cols),
            Request::ResizeExec { exec_id, rows, cols } => self.resize_exec(&exec_id, rows, cols),
            Request::CloseStdin => {
                self.streams.close_stdin(&self.poller);
                Reply::Ok
            }
            Request::WatchMemory => match self.watch_memory() {
                Ok(()) => Reply::Ok,
                Err(cause) => error(&cause.to_string()),
            },
            Request::Subscribe => {
                self.connections.subscribe(from);
                self.reply(from, &self.started());
                self.tell_memory(from);
                if let Some(record) = self.stage.record() {
                    let exited = Reply::Exited(record.clone());
                    self.reply(from, &exited);
                }
                return;
            }
        };
        self.reply(from, &reply);
    }

    fn attach(&mut self, options: AttachOptions, mut fds: Vec<OwnedFd>) -> Reply {
        if self.stage.main_ended() {
            return error("the container has ended");
        }
        let (Some(socket), true) = (fds.pop(), fds.is_empty()) else {
            return error("attach needs exactly one descriptor");
        };
        match self.streams.attach(socket, options, &self.poller) {
            Ok(()) => Reply::Ok,
            Err(cause) => error(&cause.to_string()),
        }
    }

    fn resize(&self, rows: u16, cols: u16) -> Reply {
        match self.streams.terminal() {
            Some(terminal) => set_size(terminal, rows, cols),
            // Docker lets it pass: a client that does not know asks every time its window changes.
            None => Reply::Ok,
        }
    }

    fn resize_exec(&self, exec_id: &str, rows: u16, cols: u16) -> Reply {
        match self.execs.find(exec_id).map(|exec| exec.console.as_ref()) {
            Some(Some(terminal)) => set_size(terminal, rows, cols),
            Some(None) => Reply::Ok,
            None => error("no such exec is running"),
        }
    }

    fn exec(&mut self, from: u32, plan: ExecPlan, fds: Vec<OwnedFd>) {
        match self.start_exec(from, plan, fds) {
            Ok((reply, console)) => self.connections.send(from, &reply, console, &self.poller),
            Err(failure) => self.reply(from, &Reply::Failed(failure)),
        }
    }

    fn start_exec(
        &mut self,
        from: u32,
        plan: ExecPlan,
        fds: Vec<OwnedFd>,
    ) -> Result<(Reply, Option<OwnedFd>), Failure> {
        if self.stage.main_ended() {
            return Err(invalid("the container has ended"));
        }
        let stdio = if plan.tty {
            Stdio::Terminal { rows: plan.size.0, cols: plan.size.1 }
        } else {
            let three: [OwnedFd; 3] = fds.try_into().map_err(|_| invalid("exec needs exactly three descriptors"))?;
            let [stdin, stdout, stderr] = three;
            Stdio::Pipes { stdin, stdout, stderr }
        };
        let request = ExecRequest {
            target: self.container.pid,
            process: plan.process,
            seccomp: plan.seccomp.map(|filter| filter.0),
            stdio,
            cgroup: self.container.cgroup.clone(),
            preserve_fds: 0,
        };
        let execed = runtime::exec(request).map_err(|error| runtime_failure(Phase::Exec, &error))?;
        let copy = execed.console.as_ref().and_then(|console| console.try_clone().ok());
        self.execs.add(plan.exec_id.clone(), execed.pid, from, copy);
        Ok((Reply::ExecStarted { exec_id: plan.exec_id, pid: execed.pid }, execed.console))
    }
}

fn set_size(terminal: &OwnedFd, rows: u16, cols: u16) -> Reply {
    let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    match tcsetwinsize(terminal, size) {
        Ok(()) => Reply::Ok,
        Err(errno) => error(&errno.to_string()),
    }
}

fn error(message: &str) -> Reply {
    Reply::Error { message: message.to_owned() }
}

fn invalid(message: &str) -> Failure {
    let kind = FailureKind::Invalid;
    Failure { phase: Phase::Exec, kind, exit_status: 128, message: message.to_owned() }
}
