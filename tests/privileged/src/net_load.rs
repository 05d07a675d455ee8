//! Many networks with containers made and removed at the same time: nothing may be left.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::http::Connection;
use crate::net_state::NetState;

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct NetLoad {
    /// Networks.
    pub networks: usize,
    /// Containers on each.
    pub containers: usize,
    /// Clients at the same time.
    pub clients: usize,
}

/// The settings of an engine that has enough subnets for it.
pub fn config() -> Value {
    json!({"default-address-pools": [{"base": "10.192.0.0/11", "size": 24}]})
}

// === impl NetLoad ===

impl NetLoad {
    /// Makes and removes everything; panics when a request fails or something is left that was not there before.
    pub fn put(&self, daemon: &Daemon) {
        let before = NetState::of_kernel(daemon, &[]);
        let first = self.lease(daemon);
        self.each(daemon, |api, number| self.make(api, number));
        NetState::demand_agreement(daemon, &[], "everything is made");
        let full = NetState::of_kernel(daemon, &[]);
        let count = |what: &str| full.things.iter().filter(|thing| thing.starts_with(what)).count();
        assert_eq!(count("bridge "), self.networks + 1);
        assert_eq!(count("namespace "), self.networks * self.containers);
        assert_eq!(count("element "), self.networks, "one published port a network");
        self.each(daemon, |api, number| self.unmake(api, number));
        NetState::demand_agreement(daemon, &[], "everything is removed");
        assert_eq!(NetState::of_kernel(daemon, &[]), before);
        assert_eq!(self.lease(daemon), first, "no subnet and no address stays taken");
    }

    /// What a first network and its first container would get.
    fn lease(&self, daemon: &Daemon) -> String {
        let mut api = daemon.api();
        api.call("POST", "/networks/create", Some(&json!({"Name": "lease"})));
        let subnet = api.call("GET", "/networks/lease", None)["IPAM"]["Config"].to_string();
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "lease"}});
        api.call("POST", "/containers/create?name=lease", Some(&body));
        api.call("POST", "/containers/lease/start", None);
        let seen = api.call("GET", "/containers/lease/json", None);
        let address = seen["NetworkSettings"]["Networks"]["lease"]["IPAddress"].to_string();
        api.call("DELETE", "/containers/lease?force=1", None);
        api.call("DELETE", "/networks/lease", None);
        format!("{subnet} {address}")
    }

    /// Does something for every network, by all clients.
    fn each(&self, daemon: &Daemon, work: impl Fn(&mut Connection, usize) + Sync) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.clients {
                scope.spawn(|| {
                    let mut api = daemon.api();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.networks {
                            return;
                        }
                        work(&mut api, number);
                    }
                });
            }
        });
    }

    fn make(&self, api: &mut Connection, number: usize) {
        let network = format!("many{number}");
        api.call("POST", "/networks/create", Some(&json!({"Name": network})));
        for container in 0..self.containers {
            let name = format!("{network}-{container}");
            let mut host = json!({"NetworkMode": network});
            if container == 0 {
                host["PortBindings"] = json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]});
            }
            let body = json!({"Image": "busybox", "Cmd": ["sleep", "100000"], "HostConfig": host,
                "ExposedPorts": {"80/tcp": {}}});
            api.call("POST", &format!("/containers/create?name={name}"), Some(&body));
            api.call("POST", &format!("/containers/{name}/start"), None);
        }
    }

    fn unmake(&self, api: &mut Connection, number: usize) {
        for container in 0..self.containers {
            api.call("DELETE", &format!("/containers/many{number}-{container}?force=1"), None);
        }
        api.call("DELETE", &format!("/networks/many{number}"), None);
    }
}
