//! Sending a log to a collector, without ever waiting for it.
//!
//! Entries become messages in a queue; what the connection takes is sent at once. When the queue is long the
//! container waits (as with Docker's blocking drivers), or the latest entries are dropped whole.

mod connection;
mod fluentd;
mod gelf;
mod journald;
mod syslog;

use std::collections::VecDeque;
use std::time::Instant;

use crate::error::Error;
use crate::plan::{Driver, RemoteOptions};
use crate::query::Stream;
use crate::record::{Record, Recorder};
use crate::timestamp::Timestamp;
use connection::{Connection, Sent};

pub use connection::Interest;

/// A collector, and what it has not got yet.
#[derive(Debug)]
pub(crate) struct Remote {
    recorder: Recorder,
    outbox: Outbox,
    connection: Connection,
}

/// Messages on their way.
#[derive(Debug)]
struct Outbox {
    encoder: Encoder,
    queue: VecDeque<Vec<u8>>,
    /// In the queue.
    bytes: usize,
    limit: usize,
    entries: usize,
    /// Whether new entries are dropped beyond the limits, now.
    dropping: bool,
    /// The container does not wait for a collector that is not there.
    impatient: bool,
    non_blocking: bool,
}

#[derive(Debug)]
enum Encoder {
    Syslog(syslog::Syslog),
    Journald(journald::Journald),
    Gelf(gelf::Gelf),
    Fluentd(fluentd::Fluentd),
}

// === impl Remote ===

impl Remote {
    pub(crate) fn open(options: RemoteOptions, drop_beyond: Option<usize>) -> Result<Self, Error> {
        let RemoteOptions { driver, addresses, lazy, retry, patient, buffer, buffer_entries } = options;
        let connection = Connection::open(addresses, retry, lazy)?;
        let encoder = match driver {
            Driver::Syslog { format, facility, hostname, tag, offset } => {
                Encoder::Syslog(syslog::Syslog::new(format, facility, hostname, tag, offset))
            }
            Driver::Journald { fields } => Encoder::Journald(journald::Journald::new(&fields)),
            Driver::Gelf { hostname, extra, compression } => {
                Encoder::Gelf(gelf::Gelf::new(&hostname, &extra, compression, connection.is_stream()))
            }
            Driver::Fluentd { tag, fields, sub_second } => {
                Encoder::Fluentd(fluentd::Fluentd::new(&tag, &fields, sub_second))
            }
        };
        let bounded = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let outbox = Outbox {
            encoder,
            queue: VecDeque::new(),
            bytes: 0,
            limit: drop_beyond.unwrap_or(bounded(buffer)),
            entries: buffer_entries.map_or(usize::MAX, bounded),
            dropping: false,
            impatient: !patient,
            non_blocking: drop_beyond.is_some() || buffer_entries.is_some(),
        };
        Ok(Self { recorder: Recorder::default(), outbox, connection })
    }

    pub(crate) fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let Self { recorder, outbox, connection } = self;
        outbox.dropping = outbox.non_blocking || (outbox.impatient && !connection.is_up());
        recorder.append(stream, bytes, now, |record| outbox.put(&record));
    }

    pub(crate) fn finish(&mut self, stream: Stream, now: Timestamp) {
        let Self { recorder, outbox, .. } = self;
        recorder.finish(stream, now, |record| outbox.put(&record));
    }

    /// Sends what the connection takes.
    pub(crate) fn flush(&mut self, now: Instant) {
        let Self { outbox, connection, .. } = self;
        if connection.revive(now) {
            outbox.clear();
        }
        while let Some(message) = outbox.queue.front() {
            match connection.send(message, now) {
                Sent::Whole => outbox.pop(),
                Sent::NotNow => break,
            }
        }
        if outbox.queue.is_empty() {
            connection.rest();
        }
    }

    pub(crate) fn ready(&mut self, now: Instant) {
        self.connection.ready(now);
        self.flush(now);
    }

    pub(crate) fn is_full(&self) -> bool {
        let waits = self.connection.is_up() || !self.outbox.impatient;
        waits && !self.outbox.non_blocking && self.outbox.bytes > self.outbox.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.queue.is_empty()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.connection.deadline()
    }

    pub(crate) fn interest(&self) -> Option<Interest<'_>> {
        self.connection.interest()
    }

    pub(crate) fn release(&mut self) {
        self.recorder.release();
        if self.outbox.queue.is_empty() {
            self.outbox.queue = VecDeque::new();
        }
    }
}

// === impl Outbox ===

impl Outbox {
    fn put(&mut self, record: &Record<'_>) {
        let beyond = self.bytes > self.limit || self.queue.len() >= self.entries;
        if self.dropping && beyond {
            return;
        }
        let (queue, bytes) = (&mut self.queue, &mut self.bytes);
        let mut push = |message: Vec<u8>| {
            *bytes += message.len();
            queue.push_back(message);
        };
        match &mut self.encoder {
            Encoder::Syslog(syslog) => syslog.encode(record, &mut push),
            Encoder::Journald(journald) => journald.encode(record, &mut push),
            Encoder::Gelf(gelf) => gelf.encode(record, &mut push),
            Encoder::Fluentd(fluentd) => fluentd.encode(record, &mut push),
        }
    }

    fn pop(&mut self) {
        if let Some(message) = self.queue.pop_front() {
            self.bytes -= message.len();
        }
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}
