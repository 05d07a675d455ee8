//! Names asked and answered message by message (RFC 1035), from inside a container's network or the engine's own.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// IPv4 address.
pub const A: u16 = 1;
/// Name of an address.
pub const PTR: u16 = 12;
/// Where mail goes.
pub const MX: u16 = 15;
/// Free text.
pub const TXT: u16 = 16;
/// IPv6 address.
pub const AAAA: u16 = 28;
const OPT: u16 = 41;
/// Everything.
pub const ANY: u16 = 255;
/// No failure.
pub const NOERROR: u8 = 0;
/// Nobody could say.
pub const SERVFAIL: u8 = 2;
/// There is no such name.
pub const NXDOMAIN: u8 = 3;

/// A name server that answers as the test wants and remembers what it was asked.
pub struct Server {
    address: IpAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A question that a server heard.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name, without its last dot.
    pub name: String,
    /// The kind of record.
    pub kind: u16,
    /// Who asked.
    pub peer: IpAddr,
    /// By a connection.
    pub tcp: bool,
    /// The message.
    pub message: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer(pub Vec<u8>);

// === impl Server ===

impl Server {
    /// Listens on port 53 of an address in the network of a process.
    pub fn start(
        pid: u32,
        address: IpAddr,
        behaviour: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = within(pid, || {
            Ok((UdpSocket::bind(SocketAddr::new(address, 53))?, TcpListener::bind(SocketAddr::new(address, 53))?))
        })
        .unwrap();
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let behaviour = Arc::new(move |asked: &Asked| behaviour(asked));
        let threads = vec![
            std::thread::spawn({
                let (stop, asked, behaviour) = (Arc::clone(&stop), Arc::clone(&asked), Arc::clone(&behaviour));
                move || datagrams(&udp, &stop, &asked, &*behaviour)
            }),
            std::thread::spawn({
                let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
                move || connections(&tcp, &stop, &asked, &*behaviour)
            }),
        ];
        Self { address, asked, stop, threads }
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether it was asked for a name.
    pub fn heard(&self, name: &str) -> bool {
        self.asked().iter().any(|asked| asked.name == name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn datagrams(
    socket: &UdpSocket,
    stop: &AtomicBool,
    all: &Mutex<Vec<Asked>>,
    behaviour: &dyn Fn(&Asked) -> Option<Vec<u8>>,
) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        let asked = Asked::read(&buffer[..length], peer.ip(), false);
        all.lock().unwrap().push(asked.clone());
        if let Some(answer) = behaviour(&asked) {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn connections(
    listener: &TcpListener,
    stop: &AtomicBool,
    all: &Mutex<Vec<Asked>>,
    behaviour: &dyn Fn(&Asked) -> Option<Vec<u8>>,
) {
    listener.set_nonblocking(true).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, peer)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let Ok(message) = read_framed(&mut stream) else { continue };
        let asked = Asked::read(&message, peer.ip(), true);
        all.lock().unwrap().push(asked.clone());
        if let Some(answer) = behaviour(&asked) {
            let _ = stream.write_all(&framed(&answer));
        }
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

// === impl Asked ===

impl Asked {
    fn read(message: &[u8], peer: IpAddr, tcp: bool) -> Self {
        let (name, end) = name_at(message, 12);
        let kind = u16::from_be_bytes([message[end], message[end + 1]]);
        Self { name, kind, peer, tcp, message: message.to_vec() }
    }

    /// An answer with a code and addresses.
    pub fn answer(&self, code: u8, addresses: &[IpAddr]) -> Option<Vec<u8>> {
        let (_, end) = name_at(&self.message, 12);
        let mut answer = self.message[..end + 4].to_vec();
        answer[2] = 0x81;
        answer[3] = 0x80 | code;
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
        for address in addresses {
            let (kind, data) = match address {
                IpAddr::V4(address) => (A, address.octets().to_vec()),
                IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
            };
            answer.extend_from_slice(&[0xc0, 12, (kind >> 8) as u8, kind as u8, 0, 1, 0, 0, 0, 60, 0]);
            answer.push(data.len() as u8);
            answer.extend_from_slice(&data);
        }
        Some(answer)
    }

    /// An answer that does not fit.
    pub fn truncated(&self) -> Option<Vec<u8>> {
        let mut answer = self.answer(NOERROR, &[])?;
        answer[2] |= 2;
        Some(answer)
    }
}

// === impl Answer ===

impl Answer {
    /// How it ended.
    pub fn code(&self) -> u8 {
        self.0[3] & 15
    }

    /// Whether it was cut.
    pub fn is_cut(&self) -> bool {
        self.0[2] & 2 != 0
    }

    /// The addresses and names in it, as text, in their order.
    pub fn data(&self) -> Vec<String> {
        self.records().into_iter().filter(|(kind, ..)| *kind != OPT).map(|(_, _, data)| data).collect()
    }

    /// The size that its EDNS record tells.
    pub fn edns(&self) -> Option<u16> {
        self.records().into_iter().find(|(kind, ..)| *kind == OPT).map(|(_, class, _)| class)
    }

    fn records(&self) -> Vec<(u16, u16, String)> {
        let message = &self.0;
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let mut at = 12;
        for _ in 0..word(4) {
            at = name_at(message, at).1 + 4;
        }
        let count = word(6) + word(8) + word(10);
        let mut records = Vec::new();
        for _ in 0..count {
            let end = name_at(message, at).1;
            let (kind, class, length) = (word(end), word(end + 2), usize::from(word(end + 8)));
            let data = &message[end + 10..end + 10 + length];
            let text = match kind {
                A => IpAddr::from(<[u8; 4]>::try_from(data).unwrap()).to_string(),
                AAAA => IpAddr::from(<[u8; 16]>::try_from(data).unwrap()).to_string(),
                PTR => name_at(message, end + 10).0,
                _ => String::new(),
            };
            records.push((kind, class, text));
            at = end + 10 + length;
        }
        records
    }
}

/// A name without its last dot, and where it ends in the message.
fn name_at(message: &[u8], mut at: usize) -> (String, usize) {
    let (mut labels, mut end) = (Vec::new(), None);
    loop {
        match usize::from(message[at]) {
            0 => return (labels.join("."), end.unwrap_or(at + 1)),
            length @ 1..=63 => {
                labels.push(String::from_utf8_lossy(&message[at + 1..at + 1 + length]).into_owned());
                at += 1 + length;
            }
            high => {
                end.get_or_insert(at + 2);
                at = (high & 0x3f) << 8 | usize::from(message[at + 1]);
            }
        }
    }
}

/// A question.
pub fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// A question by EDNS of one who takes that much in a datagram.
pub fn query_with_edns(name: &str, kind: u16, size: u16) -> Vec<u8> {
    let mut message = query(name, kind);
    message[11] = 1;
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&size.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    message
}

/// The name that stands for an IPv4 address.
pub fn reversed(address: &str) -> String {
    let parts: Vec<&str> = address.split('.').rev().collect();
    format!("{}.in-addr.arpa", parts.join("."))
}

/// Asks the name server of a container, by the process of it, as its programs do: again when there is no answer.
pub fn ask(pid: u32, message: &[u8]) -> Answer {
    within(pid, || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect("127.0.0.11:53")?;
        socket.set_read_timeout(Some(Duration::from_secs(15)))?;
        let mut buffer = vec![0; 65_535];
        let mut last = Err(io::ErrorKind::TimedOut.into());
        for _ in 0..4 {
            socket.send(message)?;
            last = socket.recv(&mut buffer);
            if last.is_ok() {
                break;
            }
        }
        buffer.truncate(last?);
        Ok(Answer(buffer))
    })
    .unwrap()
}

/// As [`ask`], by a connection.
pub fn ask_by_connection(pid: u32, message: &[u8]) -> Answer {
    within(pid, || {
        let mut stream = TcpStream::connect("127.0.0.11:53")?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(&framed(message))?;
        Ok(Answer(read_framed(&mut stream)?))
    })
    .unwrap()
}

/// Does something in the network of a process; sockets stay there.
pub fn within<T: Send>(pid: u32, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net"))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread.join().unwrap()
    })
}
