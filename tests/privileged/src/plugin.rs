//! A plugin of Docker's first kind, played by a thread: a network driver that puts containers on a bridge with cables
//! of its own, an IPAM driver that counts addresses up, or a driver of volumes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::volumes_served::Volumes;
use crate::wire::{attempt, host};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The plugin; it goes when this is dropped.
pub struct Plugin {
    /// Its name for `-d` and `--ipam-driver`.
    pub name: String,
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    /// Where cables are plugged.
    bridge: String,
    /// First three octets of its pool.
    subnet: String,
    implements: &'static str,
    asked: Mutex<Vec<(String, Value)>>,
    next: AtomicU32,
    volumes: Mutex<Volumes>,
    /// A message that it does not answer as it should, and how: `hang`, or the text of a refusal.
    spoilt: Mutex<Option<(String, String)>>,
    ends: AtomicBool,
}

impl Plugin {
    /// A driver for networks on a bridge whose address ends in `.1`.
    pub fn network(bridge: &str, subnet: &str) -> Self {
        Self::start("NetworkDriver", bridge, subnet)
    }

    /// A driver that gives out a pool.
    pub fn ipam(subnet: &str) -> Self {
        Self::start("IpamDriver", "", subnet)
    }

    /// A driver of volumes, which are directories.
    pub fn volumes() -> Self {
        let plugin = Self::start("VolumeDriver", "", "");
        plugin.shared.volumes.lock().unwrap().root = std::env::temp_dir().join(&plugin.name);
        plugin
    }

    /// Has a volume that nobody asked for.
    pub fn keep(&self, volume: &str) {
        self.shared.volumes.lock().unwrap().keep(volume);
    }

    /// Loses a volume.
    pub fn lose(&self, volume: &str) {
        self.shared.volumes.lock().unwrap().lose(volume);
    }

    /// How many mounts each of its volumes has.
    pub fn mounts(&self) -> BTreeMap<String, usize> {
        self.shared.volumes.lock().unwrap().mounts()
    }

    /// Where a volume's files are.
    pub fn directory(&self, volume: &str) -> PathBuf {
        self.shared.volumes.lock().unwrap().directory(volume)
    }

    fn start(implements: &'static str, bridge: &str, subnet: &str) -> Self {
        let name = format!("gtp{}x{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let directory = PathBuf::from("/run/docker/plugins");
        std::fs::create_dir_all(&directory).expect("the directory of plugins");
        let socket = directory.join(format!("{name}.sock"));
        let shared = Shared {
            socket,
            bridge: bridge.to_owned(),
            subnet: subnet.to_owned(),
            implements,
            asked: Mutex::default(),
            next: AtomicU32::new(10),
            volumes: Mutex::default(),
            spoilt: Mutex::default(),
            ends: AtomicBool::default(),
        };
        let plugin = Self { name, shared: Arc::new(shared) };
        plugin.listen();
        plugin
    }

    /// Listens, again after [`Self::fall`].
    pub fn listen(&self) {
        let _ = std::fs::remove_file(&self.shared.socket);
        let listener = UnixListener::bind(&self.shared.socket).expect("a socket");
        self.shared.ends.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.ends.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || while shared.serve(&stream) {});
            }
        });
    }

    /// Ends; the socket's file stays behind, as that of a killed program does, unless it is to go.
    pub fn fall(&self, with_socket: bool) {
        self.shared.ends.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.shared.socket);
        if with_socket {
            let _ = std::fs::remove_file(&self.shared.socket);
        }
    }

    /// Spoils a message from here on.
    pub fn spoil(&self, message: &str, how: &str) {
        *self.shared.spoilt.lock().unwrap() = Some((message.to_owned(), how.to_owned()));
    }

    /// Answers everything again.
    pub fn heal(&self) {
        *self.shared.spoilt.lock().unwrap() = None;
    }

    /// What it was asked so far, without the name of the role.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().map(|(message, _)| message.rsplit('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// The last body of a message.
    pub fn body(&self, message: &str) -> Value {
        let asked = self.shared.asked.lock().unwrap();
        let found = asked.iter().rev().find(|(name, _)| name.ends_with(&format!(".{message}")));
        found.map(|(_, body)| body.clone()).unwrap_or_default()
    }

    /// How often each of these was asked.
    pub fn counts(&self, messages: &[&str]) -> Vec<usize> {
        let asked = self.asked();
        messages.iter().map(|wanted| asked.iter().filter(|message| message == wanted).count()).collect()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.fall(true);
        let root = self.shared.volumes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).root.clone();
        if root.is_absolute() {
            let _ = std::fs::remove_dir_all(root);
        }
    }
}

impl Shared {
    /// One request of a connection; whether there may be another one.
    fn serve(&self, mut stream: &UnixStream) -> bool {
        let mut request = Vec::new();
        let mut buffer = [0; 8192];
        let (path, body) = loop {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                _ => return false,
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let chunked = lower.contains("transfer-encoding: chunked");
            if rest.len() < length.unwrap_or(0) || (chunked && !rest.ends_with("0\r\n\r\n")) {
                continue;
            }
            let body = if chunked { rest.split("\r\n").nth(1).unwrap_or_default().to_owned() } else { rest.to_owned() };
            break (head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned(), body);
        };
        if self.ends.load(Ordering::SeqCst) {
            return false;
        }
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        self.asked.lock().unwrap().push((path.clone(), body.clone()));
        let spoilt = self.spoilt.lock().unwrap().clone().filter(|(message, _)| path.ends_with(message.as_str()));
        let error = if self.implements == "IpamDriver" { "Error" } else { "Err" };
        let answer = match spoilt {
            Some((_, how)) if how == "hang" => {
                while self.spoilt.lock().unwrap().is_some() && !self.ends.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return false;
            }
            Some((_, text)) => Some(json!({ error: text })),
            None => self.answer(&path, &body),
        };
        let (status, text) = match answer {
            Some(answer) => ("200 OK", answer.to_string()),
            None => ("404 Not Found", "404 page not found".to_owned()),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(format!("{head}{text}").as_bytes()).is_ok()
    }

    fn answer(&self, message: &str, body: &Value) -> Option<Value> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let subnet = &self.subnet;
        if let Some(method) = message.strip_prefix("VolumeDriver.") {
            return self.volumes.lock().unwrap().answer(method, body);
        }
        Some(match message {
            "Plugin.Activate" => json!({ "Implements": [self.implements] }),
            "NetworkDriver.GetCapabilities" => json!({ "Scope": "local" }),
            "IpamDriver.GetCapabilities" => json!({ "RequiresMACAddress": true }),
            "NetworkDriver.Join" => {
                let (near, far) = cable(&text("EndpointID"));
                let bridge = &self.bridge;
                host(&format!(
                    "ip link add {near} type veth peer name {far} && ip link set {near} master {bridge} && ip link set {near} up"
                ));
                json!({
                    "InterfaceName": { "SrcName": far, "DstPrefix": "plug" },
                    "Gateway": format!("{subnet}.1"),
                    "StaticRoutes": [
                        { "Destination": "10.98.0.0/16", "RouteType": 0, "NextHop": format!("{subnet}.1") },
                        { "Destination": "10.97.0.0/16", "RouteType": 1 },
                    ],
                })
            }
            "NetworkDriver.Leave" => {
                let (near, _) = cable(&text("EndpointID"));
                attempt(&format!("ip link del {near}"));
                json!({})
            }
            "NetworkDriver.EndpointOperInfo" => json!({ "Value": {} }),
            "IpamDriver.GetDefaultAddressSpaces" => {
                json!({ "LocalDefaultAddressSpace": "near", "GlobalDefaultAddressSpace": "far" })
            }
            "IpamDriver.RequestPool" => {
                let asked = text("Pool");
                let pool = if asked.is_empty() { format!("{subnet}.0/24") } else { asked };
                json!({ "PoolID": format!("pool-{pool}"), "Pool": pool, "Data": {} })
            }
            "IpamDriver.RequestAddress" => {
                let asked = text("Address");
                let gateway = body["Options"]["RequestAddressType"] == "com.docker.network.gateway";
                let address = match (asked.is_empty(), gateway) {
                    (false, _) => asked,
                    (true, true) => format!("{subnet}.1"),
                    (true, false) => format!("{subnet}.{}", self.next.fetch_add(1, Ordering::Relaxed)),
                };
                json!({ "Address": format!("{address}/24"), "Data": {} })
            }
            "NetworkDriver.CreateNetwork"
            | "NetworkDriver.DeleteNetwork"
            | "NetworkDriver.CreateEndpoint"
            | "NetworkDriver.DeleteEndpoint"
            | "IpamDriver.ReleasePool"
            | "IpamDriver.ReleaseAddress" => json!({}),
            _ => return None,
        })
    }
}

/// The two ends of an endpoint's cable.
fn cable(endpoint: &str) -> (String, String) {
    let short = endpoint.get(..9).unwrap_or(endpoint);
    (format!("gpn{short}"), format!("gpf{short}"))
}
