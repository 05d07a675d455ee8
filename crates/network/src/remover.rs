//! Deleting the links of containers that go on.
//!
//! The kernel takes a device away within a millisecond and then waits, 20 ms and more, until nobody can be looking at it
//! any more. A thread does that waiting; who asked goes on as soon as the device is gone. Devices that are to go are put
//! into a group, and one request deletes the whole group: many go in the time of one.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sys::netlink::RouteSocket;

use crate::network::lock;

/// Devices on their way out (`ganx`).
pub(crate) const DOOMED_GROUP: u32 = 0x6761_6e78;
/// How often the device is looked for.
const LOOK: Duration = Duration::from_micros(200);

/// Where the end of one deletion is told.
type Told = Sender<io::Result<()>>;

/// The thread; dropping it waits for what was asked for.
#[derive(Debug)]
pub(crate) struct Remover {
    queue: Option<Sender<Told>>,
    thread: Option<JoinHandle<()>>,
}

impl Remover {
    /// Starts the thread in the caller's network namespace.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, asked) = channel();
        let route = RouteSocket::open()?;
        let thread = std::thread::Builder::new().name("link-remover".to_owned());
        let thread = thread.spawn(move || work(&asked, route))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Deletes a device; returns when it is gone from both its namespaces. None of that name is fine.
    pub(crate) fn remove(&self, route: &Mutex<RouteSocket>, device: &str) -> io::Result<()> {
        {
            let mut route = lock(route);
            let Some(link) = route.link(device)? else { return Ok(()) };
            match route.set_group(link.index, DOOMED_GROUP) {
                Err(error) if is_gone(&error) => return Ok(()),
                done => done?,
            }
        }
        let (told, end) = channel();
        let asked = self.queue.as_ref().is_some_and(|queue| queue.send(told).is_ok());
        if !asked {
            return Err(io::Error::other("the thread that removes links is not there"));
        }
        loop {
            match end.recv_timeout(LOOK) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Timeout) if lock(route).link(device)?.is_some() => {}
                Err(_) => return Ok(()),
            }
        }
    }
}

impl Drop for Remover {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(asked: &Receiver<Told>, mut route: RouteSocket) {
    while let Ok(first) = asked.recv() {
        let waiting: Vec<Told> = std::iter::once(first).chain(asked.try_iter()).collect();
        let done = match route.delete_group(DOOMED_GROUP) {
            // An earlier round took it along.
            Err(error) if is_gone(&error) => Ok(()),
            done => done,
        };
        for told in waiting {
            let done = done.as_ref().copied().map_err(|error| io::Error::from(error.kind()));
            // Who saw the device vanish does not wait any more.
            let _ = told.send(done);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}
