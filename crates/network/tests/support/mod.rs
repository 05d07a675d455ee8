//! A machine to play with: one namespace for the host, in which the test's own thread is, one for the world outside.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use network::{AttachRequest, DefaultBridge, HostPort, Network, NetworkConfig, PortRequest, Protocol};
use sys::netns;
use types::ContainerId;

/// Address of the host on the link to the outside, and the outside's own.
pub const HOST: &str = "203.0.113.1";
pub const OUTSIDE: &str = "203.0.113.2";

pub struct Machine {
    pub root: tempfile::TempDir,
    host: PathBuf,
    outside: PathBuf,
}

impl Machine {
    /// `None` when the privileges are missing, after saying so.
    pub fn new() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let pins = root.path().join("machines");
        if let Err(error) = netns::prepare_pin_directory(&pins) {
            eprintln!("SKIPPED: cannot mount: {error}");
            return None;
        }
        let (host, outside) = (pins.join("host"), pins.join("outside"));
        let made = netns::create_pinned(&host).and_then(|made| netns::create_pinned(&outside).map(|_| made));
        let namespace = match made {
            Ok((namespace, _)) => namespace,
            Err(error) => {
                eprintln!("SKIPPED: cannot make a network namespace: {error}");
                return None;
            }
        };
        let machine = Self { root, host, outside };
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(kind)).unwrap();
        let name = "uplink";
        run(&format!("ip link add {name} mtu 1400 type veth peer name eth0 mtu 1400"));
        // `ip link set … netns` wants a process or a name under /run/netns: a sleeping process is the simplest handle.
        let pin = machine.outside.display();
        run(&format!("nsenter --net={pin} sleep 2 & sleep 0.05; ip link set eth0 netns $!; kill $!"));
        run(&format!(
            "ip addr add {HOST}/24 dev {name} && ip link set {name} up && ip route add default via {OUTSIDE}"
        ));
        machine.outside(&format!("ip addr add {OUTSIDE}/24 dev eth0 && ip link set eth0 up"));
        Some(machine)
    }

    pub fn config(&self) -> NetworkConfig {
        let bridge = DefaultBridge::Owned { name: "br-test".to_owned() };
        NetworkConfig::new(&self.root.path().join("data"), &self.root.path().join("exec"), bridge)
    }

    pub fn outside(&self, command: &str) -> String {
        in_namespace(&self.outside, command)
    }

    pub fn outside_pin(&self) -> &Path {
        &self.outside
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let exec = self.root.path().join("exec/netns");
        for pin in std::fs::read_dir(&exec).into_iter().flatten().flatten() {
            let _ = netns::unpin(&pin.path());
        }
        for pin in [&self.host, &self.outside] {
            let _ = netns::unpin(pin);
        }
        for directory in [&exec, &self.root.path().join("machines")] {
            let _ = rustix::mount::unmount(directory, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// Runs a shell line in this thread's namespace and returns what it printed; it must succeed.
pub fn run(command: &str) -> String {
    let (ok, output) = attempt(command);
    assert!(ok, "{command}: {output}");
    output
}

pub fn attempt(command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

pub fn in_namespace(pin: &Path, command: &str) -> String {
    run(&format!("nsenter --net={} sh -c '{command}'", pin.display()))
}

pub fn attempt_in(pin: &Path, command: &str) -> (bool, String) {
    attempt(&format!("nsenter --net={} sh -c '{command}'", pin.display()))
}

pub fn container() -> ContainerId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let mut bytes = [0xc0; 32];
    bytes[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    ContainerId::from_bytes(bytes)
}

pub fn request(ports: &[PortRequest]) -> AttachRequest {
    AttachRequest {
        container_id: container(),
        container_name: "web".to_owned(),
        network: "bridge".to_owned(),
        mac: None,
        addresses: vec![],
        link_local: vec![],
        device: None,
        names: vec![],
        exposed: vec![],
        options: std::collections::BTreeMap::new(),
        is_gateway: true,
        ports: ports.to_vec(),
    }
}

pub fn publish(host_ip: Option<&str>, host_port: u16, container_port: u16, protocol: Protocol) -> PortRequest {
    PortRequest {
        container_port,
        protocol,
        host_ip: host_ip.map(|text| text.parse().unwrap()),
        host_port: if host_port == 0 { HostPort::Random } else { HostPort::Fixed(host_port) },
    }
}

/// A container's namespace, attached.
pub fn attach(network: &Network, ports: &[PortRequest]) -> network::EndpointRecord {
    let request = request(ports);
    let sandbox = network.create_sandbox(&request.container_id).unwrap();
    network.attach(&sandbox, &request).unwrap()
}

/// Runs `work` in a thread of its own inside a namespace.
pub fn within<T: Send + 'static>(pin: &Path, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = netns::open_pin(pin).unwrap();
    std::thread::spawn(move || {
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(kind)).unwrap();
        work()
    })
    .join()
    .unwrap()
}

/// A server that ends with the test, and lets go of its namespace then.
pub struct Server(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers every TCP connection on a port with a word and closes.
pub fn serve_word(pin: &Path, port: u16, word: &'static str) -> Server {
    let listener = within(pin, move || TcpListener::bind(("0.0.0.0", port)).unwrap());
    listener.set_nonblocking(true).unwrap();
    serve(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(word.as_bytes());
        }
    })
}

/// Sends every UDP datagram on a port back.
pub fn serve_echo(pin: &Path, port: u16) -> Server {
    serve_echo_on(within(pin, move || UdpSocket::bind(("0.0.0.0", port)).unwrap()))
}

/// [`serve_echo`] on a socket that is bound already.
pub fn serve_echo_on(socket: UdpSocket) -> Server {
    socket.set_nonblocking(true).unwrap();
    serve(move || {
        let mut buffer = [0; 1500];
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], peer);
        }
    })
}

fn serve(mut step: impl FnMut() + Send + 'static) -> Server {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            step();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    Server(stop)
}

/// Connects from this thread's namespace and reads to the end; an error text when that fails within a second.
pub fn ask(address: &str, port: u16) -> Result<String, String> {
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// [`ask`] from another namespace.
pub fn ask_from(pin: &Path, address: &str, port: u16) -> Result<String, String> {
    let address = address.to_owned();
    within(pin, move || ask(&address, port))
}

/// Sends a datagram from this thread's namespace and waits a second for the answer.
pub fn ask_udp(address: &str, port: u16, word: &str) -> Result<String, String> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.connect((address, port)).map_err(|error| error.to_string())?;
    socket.send(word.as_bytes()).map_err(|error| error.to_string())?;
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "timed out");
        std::thread::sleep(Duration::from_millis(20));
    }
}
