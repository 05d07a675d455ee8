//! The loopback device of a network namespace that the runtime makes itself; nobody else sets that one up.

use std::io;

use sys::netlink::RouteSocket;

/// The kernel gives the loopback device of every namespace this index.
const LOOPBACK: u32 = 1;

/// Switches the loopback device of the present namespace on.
pub(super) fn loopback_up() -> io::Result<()> {
    RouteSocket::open()?.set_up(LOOPBACK)
}
