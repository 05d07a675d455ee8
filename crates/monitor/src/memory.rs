//! Telling that a container ran out of memory while it goes on.

use runtime::cgroup::{Error, OomWatch};
use rustix::event::epoll::EventFlags;

use crate::monitor::Monitor;
use crate::poller::Token;
use crate::protocol::Reply;

/// What is known of the container's memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryWatch {
    watch: Option<OomWatch>,
    /// How often it ran out.
    times: u64,
}

// === impl Monitor ===

impl Monitor {
    /// Begins to watch, unless that is done already.
    pub(crate) fn watch_memory(&mut self) -> Result<(), Error> {
        let (None, Some(cgroup)) = (&self.memory.watch, &self.container.cgroup) else { return Ok(()) };
        if self.stage.main_ended() {
            return Ok(());
        }
        let watch = cgroup.oom_watch()?;
        let interest = EventFlags::from_bits_truncate(u32::from(watch.interest().bits()));
        if self.poller.add(&watch, Token::Memory, interest).is_ok() {
            self.memory.watch = Some(watch);
            // What came before the watch.
            self.memory_ran_out();
        }
        Ok(())
    }

    /// Stops to watch. True when memory had run out.
    pub(crate) fn unwatch_memory(&mut self) -> bool {
        if let Some(watch) = self.memory.watch.take() {
            self.poller.remove(&watch);
        }
        self.memory.times > 0
    }

    /// The watch has fired, for this or for another reason.
    pub(crate) fn memory_ran_out(&mut self) {
        let (Some(watch), Some(cgroup)) = (&self.memory.watch, &self.container.cgroup) else { return };
        let fired = watch.acknowledge();
        let Ok(kills) = cgroup.oom_kills() else {
            // The group is gone: it would fire for ever.
            self.unwatch_memory();
            return;
        };
        // Version 1 tells before it kills.
        let times = if fired.is_ok_and(|early| early) { kills.max(self.memory.times + 1) } else { kills };
        if times > self.memory.times {
            self.memory.times = times;
            self.connections.announce(&Reply::OutOfMemory { times }, None, &self.poller);
        }
    }

    /// Tells a new listener what was told to the others.
    pub(crate) fn tell_memory(&mut self, connection: u32) {
        let times = self.memory.times;
        if times > 0 {
            self.reply(connection, &Reply::OutOfMemory { times });
        }
    }
}
