//! Where the container's bytes go: output to the log and to every attached client, input back.
//!
//! The log comes first and never waits for a client. A client that falls behind makes the container wait
//! ([`attached::HIGH_WATER`]), but only for as long as it makes some progress ([`attached::PATIENCE`]).

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use logs::{Log, Stream, Timestamp};
use rustix::event::epoll::EventFlags;

use crate::attached::{self, Attached};
use crate::output::{Got, Output};
use crate::poller::{Poller, Token};
use crate::protocol::AttachOptions;
use crate::stdin::Stdin;

/// The read buffer of a quiet container, in bytes; it grows with what is read.
const SMALL: usize = 16 * 1024;
/// The read buffer of a talkative container. Larger ones leave the processor's cache.
const LARGE: usize = 256 * 1024;
/// Buffers are given back after so much silence.
const IDLE: Duration = Duration::from_millis(500);
/// The most input taken from a client at a time, in bytes.
const INPUT: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct Streams {
    tty: bool,
    stdin_once: bool,
    outputs: Vec<Output>,
    pub(crate) log: Option<Log>,
    clients: Vec<Attached>,
    next_client: u32,
    stdin: Stdin,
    buffer: Vec<u8>,
    /// The outputs are not read because a client or the log is behind.
    held: bool,
    /// The log's connection as the poller knows it: which, and whether it is to be writable.
    pub(crate) log_watched: Option<(u32, bool)>,
    /// The container has ended: its last output is recorded whatever is behind.
    pub(crate) ending: bool,
    pub(crate) log_retry: Option<Instant>,
    /// When to give the buffers back; `None` when that is done.
    idle_at: Option<Instant>,
}

/// The ends of the container's streams that the monitor holds, all non-blocking.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The writing end of the stdin pipe.
    pub(crate) stdin: Option<OwnedFd>,
    /// The reading ends of the output pipes; one terminal master when `tty`.
    pub(crate) outputs: Vec<OwnedFd>,
}

// === impl Streams ===

impl Streams {
    pub(crate) fn new(tty: bool, stdin_once: bool, log: Option<Log>) -> Self {
        Self {
            tty,
            stdin_once,
            outputs: Vec::new(),
            log,
            clients: Vec::new(),
            next_client: 0,
            stdin: Stdin::default(),
            buffer: Vec::new(),
            held: false,
            log_watched: None,
            ending: false,
            log_retry: None,
            idle_at: None,
        }
    }

    /// Begins to read and write the container's streams.
    pub(crate) fn connect(&mut self, ends: Ends, poller: &Poller) {
        self.stdin = Stdin::new(ends.stdin);
        for (fd, stream) in ends.outputs.into_iter().zip([Stream::Stdout, Stream::Stderr]) {
            let mut output = Output::new(fd, stream, self.tty);
            output.poll(true, poller);
            self.outputs.push(output);
        }
    }

    pub(crate) fn attach(&mut self, socket: OwnedFd, options: AttachOptions, poller: &Poller) -> std::io::Result<()> {
        let id = self.next_client;
        let client = Attached::new(id, socket, options);
        poller.add(&client, Token::Client(id), EventFlags::empty())?;
        self.next_client = self.next_client.wrapping_add(1);
        self.clients.push(client);
        self.watch_clients(poller);
        Ok(())
    }

    pub(crate) fn close_stdin(&mut self, poller: &Poller) {
        self.stdin.close(poller);
    }

    /// The terminal's master, to resize it.
    pub(crate) fn terminal(&self) -> Option<&OwnedFd> {
        self.outputs.iter().find(|output| output.is_terminal()).map(Output::fd)
    }

    /// Whether the container's output waits for a client.
    #[cfg(test)]
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether every output is at its end.
    pub(crate) fn outputs_closed(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Whether every client has taken everything.
    pub(crate) fn clients_served(&self) -> bool {
        self.clients.iter().all(|client| client.waiting() == 0)
    }

    /// One read of an output. True when there may be more.
    pub(crate) fn output_ready(&mut self, stream: Stream, ended: bool, poller: &Poller) -> bool {
        let Some(index) = self.outputs.iter().position(|output| output.is(stream)) else { return false };
        if self.buffer.is_empty() {
            self.buffer = vec![0; SMALL];
        }
        match self.outputs[index].read(&mut self.buffer) {
            Got::Nothing => false,
            Got::Closed if self.outputs[index].is_terminal() && !ended => {
                self.outputs[index].rest(Instant::now(), poller);
                false
            }
            Got::Closed => {
                self.close_output(index, poller);
                false
            }
            Got::Bytes(length) => {
                self.deliver(stream, length, poller);
                if length == self.buffer.len() && length < LARGE {
                    self.buffer = vec![0; (length * 4).min(LARGE)];
                }
                true
            }
        }
    }

    /// Gives up on outputs that somebody outside the container still holds open.
    pub(crate) fn abandon_outputs(&mut self, poller: &Poller) {
        while !self.outputs.is_empty() {
            self.close_output(0, poller);
        }
    }

    pub(crate) fn stdin_ready(&mut self, poller: &Poller) {
        if self.stdin.writable(poller) {
            self.watch_clients(poller);
        }
    }

    pub(crate) fn client_ready(&mut self, id: u32, flags: EventFlags, poller: &Poller) {
        let Some(index) = self.clients.iter().position(|client| client.id == id) else { return };
        let client = &mut self.clients[index];
        let mut alive = !flags.contains(EventFlags::OUT) || client.flush().is_ok();
        // Both directions are closed: nobody is there any more, but what was sent before still counts.
        let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        while alive && self.clients[index].input_open && (gone || self.stdin.has_room()) {
            match self.take_input(index, poller) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => alive = false,
            }
        }
        if !alive || gone {
            self.drop_client(index, poller);
        }
        self.watch_clients(poller);
    }

    /// The container has ended: a terminal that was closed inside is read for the last time.
    pub(crate) fn end_terminal(&mut self, poller: &Poller) {
        self.ending = true;
        self.hold(poller);
        for output in &mut self.outputs {
            output.again = None;
            output.poll(!self.held, poller);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let late = self.held.then(|| self.client_deadline()).flatten();
        let again = self.outputs.iter().filter_map(|output| output.again).min();
        [late, again, self.log_deadline(), self.idle_at].into_iter().flatten().min()
    }

    /// Does what is due: looks at closed terminals again, gives up stalled clients, frees idle buffers.
    pub(crate) fn tick(&mut self, now: Instant, poller: &Poller) {
        for output in &mut self.outputs {
            if output.again.is_some_and(|at| at <= now) {
                output.again = None;
                output.poll(!self.held, poller);
            }
        }
        if self.held {
            self.drop_stalled(now, attached::LOW_WATER, poller);
        }
        if self.idle_at.is_some_and(|at| at <= now) {
            self.buffer = Vec::new();
            if let Some(log) = &mut self.log {
                log.release();
            }
            sys::allocator::trim();
            self.idle_at = None;
        }
    }

    /// Drops clients that have taken nothing for too long and have more than `allowed` bytes waiting.
    pub(crate) fn drop_stalled(&mut self, now: Instant, allowed: usize, poller: &Poller) {
        let late = |client: &Attached| client.waiting() > allowed && client.deadline().is_some_and(|at| at <= now);
        while let Some(index) = self.clients.iter().position(late) {
            self.drop_client(index, poller);
        }
        self.watch_clients(poller);
    }

    /// When the next client that is behind has to be given up.
    pub(crate) fn client_deadline(&self) -> Option<Instant> {
        self.clients.iter().filter_map(Attached::deadline).min()
    }

    /// Sends what `self.buffer[..length]` holds everywhere it belongs.
    fn deliver(&mut self, stream: Stream, length: usize, poller: &Poller) {
        let bytes = &self.buffer[..length];
        if let Some(log) = &mut self.log {
            log.append(stream, bytes, Timestamp::now());
        }
        self.idle_at = Some(Instant::now() + IDLE);
        if self.clients.is_empty() {
            return;
        }
        let header = if self.tty { Vec::new() } else { frame_header(stream, length) };
        let mut gone = Vec::new();
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.wants(stream, self.tty) && client.push(&header, bytes).is_err() {
                gone.push(index);
            }
        }
        for index in gone.into_iter().rev() {
            self.drop_client(index, poller);
        }
        self.watch_clients(poller);
    }

    fn close_output(&mut self, index: usize, poller: &Poller) {
        let mut output = self.outputs.remove(index);
        output.poll(false, poller);
        if let Some(log) = &mut self.log {
            log.finish(output.stream(), Timestamp::now());
        }
    }

    /// Reads some of a client's input; false when there is no more at the moment.
    fn take_input(&mut self, index: usize, poller: &Poller) -> std::io::Result<bool> {
        let mut bytes = [0; INPUT];
        match self.clients[index].read(&mut bytes)? {
            None => return Ok(false),
            Some(0) => self.input_ended(index, poller),
            Some(length) => self.stdin.feed(&bytes[..length], poller),
        }
        Ok(true)
    }

    fn input_ended(&mut self, index: usize, poller: &Poller) {
        self.clients[index].input_open = false;
        // A terminal has no end of input that could be passed on.
        if self.stdin_once && !self.tty {
            self.stdin.close(poller);
        }
    }

    fn drop_client(&mut self, index: usize, poller: &Poller) {
        if self.clients[index].input_open {
            self.input_ended(index, poller);
        }
        poller.remove(&self.clients[index]);
        self.clients.swap_remove(index);
    }

    /// Brings what is watched in line with what can be done: input while there is room for it, output while
    /// something waits, and the container's output while no client is too far behind.
    fn watch_clients(&mut self, poller: &Poller) {
        let room = self.stdin.has_room();
        for client in &mut self.clients {
            let mut interest = EventFlags::empty();
            interest.set(EventFlags::IN, client.input_open && room);
            interest.set(EventFlags::OUT, client.waiting() > 0);
            if interest != client.interest {
                let _ = poller.change(&*client, Token::Client(client.id), interest);
                client.interest = interest;
            }
        }
        self.hold(poller);
    }

    /// Stops reading the container's output while somebody is too far behind.
    pub(crate) fn hold(&mut self, poller: &Poller) {
        let limit = if self.held { attached::LOW_WATER } else { attached::HIGH_WATER };
        let full = !self.ending && self.log.as_ref().is_some_and(Log::is_full);
        let held = full || self.clients.iter().any(|client| client.waiting() > limit);
        if held != self.held {
            self.held = held;
            for output in self.outputs.iter_mut().filter(|output| output.again.is_none()) {
                output.poll(!held, poller);
            }
        }
    }
}

fn frame_header(stream: Stream, length: usize) -> Vec<u8> {
    let mut header = vec![stream.number(), 0, 0, 0];
    header.extend_from_slice(&(length as u32).to_be_bytes());
    header
}
