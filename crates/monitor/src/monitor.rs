//! The monitor's state and its loop.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use sys::seqpacket::{SeqPacket, SeqPacketListener};
use sys::signal_fd::SignalFd;

use crate::connections::{Connections, Heard};
use crate::container::Container;
use crate::error::Error;
use crate::execs::Execs;
use crate::memory::MemoryWatch;
use crate::poller::{Poller, Token};
use crate::protocol::{ExitRecord, Reply};
use crate::streams::Streams;
use crate::supervise::Stage;

#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) run_dir: PathBuf,
    pub(crate) poller: Poller,
    signals: SignalFd,
    listener: Option<SeqPacketListener>,
    pub(crate) streams: Streams,
    pub(crate) container: Container,
    pub(crate) connections: Connections,
    pub(crate) execs: Execs,
    pub(crate) stage: Stage,
    /// Told when memory runs out, where the container has a limit.
    pub(crate) memory: MemoryWatch,
    /// Closed when nobody waits for us any more: see where it is opened.
    pub(crate) mount_namespace: Option<File>,
}

// === impl Monitor ===

impl Monitor {
    pub(crate) fn new(
        run_dir: PathBuf,
        poller: Poller,
        signals: SignalFd,
        listener: SeqPacketListener,
        streams: Streams,
        container: Container,
        mount_namespace: Option<File>,
    ) -> Self {
        Self {
            run_dir,
            poller,
            signals,
            listener: Some(listener),
            streams,
            container,
            connections: Connections::default(),
            execs: Execs::default(),
            stage: Stage::Running,
            memory: MemoryWatch::default(),
            mount_namespace,
        }
    }

    /// Watches what is there from the beginning.
    pub(crate) fn watch(poller: &Poller, signals: &SignalFd, listener: &SeqPacketListener) -> io::Result<()> {
        poller.add(signals, Token::Signals, EventFlags::IN)?;
        poller.add(listener, Token::Listener, EventFlags::IN)
    }

    pub(crate) fn started(&self) -> Reply {
        Reply::Started { pid: self.container.pid, start_time: self.container.start_time }
    }

    /// Takes over the connection of the daemon that started the container.
    pub(crate) fn add_connection(&mut self, socket: SeqPacket) -> Result<u32, Error> {
        self.connections.add(socket, true, &self.poller).map_err(Error::Loop)
    }

    pub(crate) fn reply(&mut self, connection: u32, reply: &Reply) {
        self.connections.send(connection, reply, None, &self.poller);
    }

    /// Runs until the container has ended and everybody knows.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let mut events = Vec::new();
        loop {
            let now = Instant::now();
            self.streams.tick(now, &self.poller);
            if self.advance(now)? {
                return Ok(());
            }
            events.clear();
            let deadline = [self.streams.deadline(), self.stage_deadline()].into_iter().flatten().min();
            self.poller.wait(deadline, &mut events).map_err(Error::Loop)?;
            for (token, flags) in &events {
                self.dispatch(*token, *flags);
            }
            self.streams.flush_log(&self.poller);
        }
    }

    /// Stops answering at the control socket, so that a new monitor can take its place.
    pub(crate) fn close_listener(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.poller.remove(&listener);
        }
    }

    /// Tells how the container ended.
    pub(crate) fn announce_end(&mut self, record: &ExitRecord) {
        self.connections.announce(&Reply::Exited(record.clone()), None, &self.poller);
    }

    fn dispatch(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Signals => {
                // One SIGCHLD can stand for many children; no other signal concerns us.
                while let Ok(Some(_)) = self.signals.next() {}
                self.reap();
            }
            Token::Listener => {
                if let Some(listener) = &self.listener {
                    self.connections.accept_all(listener, &self.poller);
                }
            }
            Token::Connection(id) => self.hear(id, flags),
            Token::Output(stream) => {
                let ended = self.stage.main_ended();
                self.streams.output_ready(stream, ended, &self.poller);
            }
            Token::Stdin => self.streams.stdin_ready(&self.poller),
            Token::Client(id) => self.streams.client_ready(id, flags, &self.poller),
            Token::Console(id) => self.execs.discard(id, &self.poller),
            Token::Log => self.streams.log_ready(&self.poller),
            Token::Memory => self.memory_ran_out(),
        }
    }

    fn hear(&mut self, id: u32, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.connections.writable(id, &self.poller);
        }
        loop {
            match self.connections.hear(id) {
                Heard::Request(request, fds) => self.handle(id, *request, fds),
                Heard::Nonsense(message) => self.reply(id, &Reply::Error { message }),
                Heard::Nothing => break,
                Heard::Closed => {
                    // The container does not care, but terminals that this daemon read need a reader.
                    self.connections.close(id, &self.poller);
                    self.execs.orphan(id, &self.poller);
                    break;
                }
            }
        }
        self.connections.rest();
    }
}
