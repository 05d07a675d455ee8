//! Networks that a test makes by hand: devices and namespaces of the host, gone when the test ends.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Devices and namespaces with names of their own, and three octets that nobody else has.
pub struct Wire {
    number: u32,
    undo: Vec<String>,
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { number: COUNTER.fetch_add(1, Ordering::Relaxed) % 16, undo: Vec::new() }
    }

    /// A name for a device or a namespace, at most 12 bytes for a stem of 3.
    pub fn name(&self, stem: &str) -> String {
        format!("{stem}{}w{}", std::process::id() % 1_000_000, self.number)
    }

    /// The first three octets of a subnet that neither the engines nor other tests use.
    pub fn subnet(&self) -> String {
        let process = std::process::id();
        format!("10.{}.{}", 200 + (process / 16) % 50, (process % 16) * 16 + self.number)
    }

    /// A bridge with an address, up.
    pub fn bridge(&mut self, stem: &str, address: &str) -> String {
        let name = self.name(stem);
        self.undo.push(format!("ip link del {name}"));
        host(&format!("ip link add {name} type bridge && ip link set {name} up"));
        if !address.is_empty() {
            host(&format!("ip addr add {address} dev {name}"));
        }
        name
    }

    /// Another machine: a namespace whose `eth0` is at the other end of a cable that is called `cable` here.
    pub fn machine(&mut self, stem: &str, cable: &str, address: &str) -> String {
        let name = self.name(stem);
        self.undo.push(format!("ip netns del {name}"));
        self.undo.push(format!("ip link del {cable}"));
        host(&format!(
            "ip netns add {name} && ip link add {cable} type veth peer name eth0 netns {name} && ip link set {cable} up \
             && ip -n {name} link set lo up && ip -n {name} link set eth0 up"
        ));
        if !address.is_empty() {
            host(&format!("ip -n {name} addr add {address} dev eth0"));
        }
        name
    }

    /// Runs a command on another machine; gives what it says, and whether it succeeded.
    pub fn on(machine: &str, command: &str) -> (bool, String) {
        attempt(&format!("ip netns exec {machine} sh -c '{command}'"))
    }

    /// To be run when the test ends.
    pub fn later(&mut self, command: String) {
        self.undo.push(command);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for command in self.undo.iter().rev() {
            attempt(command);
        }
    }
}

/// Runs a shell command of the host, which must succeed; gives its output.
pub fn host(command: &str) -> String {
    let (fine, output) = attempt(command);
    assert!(fine, "{command}\n{output}");
    output
}

/// Runs a shell command of the host; whether it succeeded, and its output.
pub fn attempt(command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
}
