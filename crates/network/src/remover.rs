//! Deleting the links of containers that go on.
//!
//! The kernel takes a device away within a millisecond or two and then waits, 20 ms and more, until nobody can be looking
//! at it any more. A thread of its own does that waiting; who asked goes on as soon as the device is gone. Devices that are
//! to go are put into a group, and one request deletes the whole group: many go in the time of one.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use sys::netlink::RouteSocket;

use crate::gone::{is_gone, or_gone};
use crate::network::lock;

/// Devices on their way out (`ganx`).
pub(crate) const DOOMED_GROUP: u32 = 0x6761_6e78;
/// How often the device is looked for.
const LOOK: Duration = Duration::from_micros(100);

/// Deletes a device of the caller's network namespace; returns when it is gone from both its namespaces. None of that
/// name is fine.
pub(crate) fn remove(route: &Mutex<RouteSocket>, device: &str) -> io::Result<()> {
    {
        let mut route = lock(route);
        let Some(link) = route.link(device)? else { return Ok(()) };
        match route.set_group(link.index, DOOMED_GROUP) {
            Err(error) if is_gone(&error) => return Ok(()),
            done => done?,
        }
    }
    let mut own = RouteSocket::open()?;
    let (told, end) = channel();
    std::thread::Builder::new().name("link-remover".to_owned()).spawn(move || {
        // Another thread may have taken it along.
        let done = or_gone(own.delete_group(DOOMED_GROUP));
        // Who saw the device vanish does not wait any more.
        let _ = told.send(done);
    })?;
    loop {
        match end.recv_timeout(LOOK) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) if lock(route).link(device)?.is_some() => {}
            Err(_) => return Ok(()),
        }
    }
}
