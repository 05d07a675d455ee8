//! Ports of a bridge.

use std::io;

use super::link::ifinfomsg;
use super::message::Message;
use super::route::RouteSocket;

const BRPORT_STATE: u16 = 1;
const BRPORT_MODE: u16 = 4;
const BRPORT_FLUSH: u16 = 19;
const BRPORT_ISOLATED: u16 = 33;
const STATE_DISABLED: u8 = 0;

impl RouteSocket {
    /// Silences a port and forgets what was learned there, at once: the device behind it may live on for a moment, but
    /// can no longer answer for an address that the next container already has.
    pub fn disable_bridge_port(&mut self, index: u32) -> io::Result<()> {
        self.set_port(index, |port| {
            port.u8(BRPORT_STATE, STATE_DISABLED).bytes(BRPORT_FLUSH, &[]);
        })
    }

    /// Sets how a port treats frames. `hairpin`: they may leave where they came in, which a device needs that reaches
    /// itself through an address of the bridge. `isolated`: it exchanges none with other isolated ports, only with the
    /// bridge itself.
    pub fn set_bridge_port(&mut self, index: u32, hairpin: bool, isolated: bool) -> io::Result<()> {
        self.set_port(index, |port| {
            port.u8(BRPORT_MODE, u8::from(hairpin)).u8(BRPORT_ISOLATED, u8::from(isolated));
        })
    }

    fn set_port(&mut self, index: u32, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        let mut header = ifinfomsg(index, 0, 0);
        header[0] = libc::AF_BRIDGE as u8;
        let mut message = Message::new(libc::RTM_SETLINK, 0);
        message.raw(&header).nest(libc::IFLA_PROTINFO, fill);
        self.0.request(&mut [message])
    }
}
