//! Containers that do nothing until they are told, and networks for them.

use crate::{Client, Daemon, until};

/// Starts a container that does nothing; gives its name. Who calls it removes it.
pub fn sleeper(daemon: &Daemon, client: &Client, options: &[&str]) -> String {
    let name = daemon.name("ctr");
    sleep(client, &name, options);
    name
}

fn sleep(client: &Client, name: &str, options: &[&str]) {
    client.run(&[&["run", "-d", "--name", name], options, &["busybox", "sleep", "1000"]].concat()).exits(0);
}

/// What a shell command in a container writes, however it ends.
pub fn exec(client: &Client, container: &str, command: &str) -> String {
    client.run(&["exec", container, "sh", "-c", command]).stdout
}

/// The container's IPv4 address on its only network.
pub fn address(client: &Client, container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    client.run(&["inspect", "-f", format, container]).ok().to_owned()
}

/// Removes containers with their volumes, running or not.
pub fn remove(client: &Client, names: &[&str]) {
    client.run(&[&["rm", "-fv"], names].concat()).exits(0);
}

/// Containers and networks of one test, removed at its end whatever happens.
pub struct Made<'a> {
    daemon: &'a Daemon,
    /// By which all is done.
    pub client: Client,
    /// Names of the containers to remove.
    pub containers: Vec<String>,
    networks: Vec<String>,
}

// === impl Made ===

impl<'a> Made<'a> {
    /// Nothing yet.
    pub fn new(daemon: &'a Daemon, client: Client) -> Self {
        Self { daemon, client, containers: Vec::new(), networks: Vec::new() }
    }

    /// Makes a network; gives its name.
    pub fn network(&mut self, options: &[&str]) -> String {
        self.network_with_id(options).0
    }

    /// Makes a network; gives its name and its id.
    pub fn network_with_id(&mut self, options: &[&str]) -> (String, String) {
        let name = self.daemon.name("net");
        self.networks.push(name.clone());
        let id = self.run(&[&["network", "create"], options, &[&name]].concat());
        (name, id)
    }

    /// Starts a container that does nothing; gives its name.
    pub fn sleeper(&mut self, options: &[&str]) -> String {
        let name = self.daemon.name("ctr");
        self.containers.push(name.clone());
        sleep(&self.client, &name, options);
        name
    }

    /// What a command of the client writes; it must succeed.
    pub fn run(&self, words: &[&str]) -> String {
        self.client.run(words).ok().to_owned()
    }

    /// What a shell command in a container writes; it must succeed.
    pub fn exec(&self, container: &str, command: &str) -> String {
        self.run(&["exec", container, "sh", "-c", command])
    }

    /// What a shell command in a container writes, however it ends.
    pub fn output(&self, container: &str, command: &str) -> String {
        exec(&self.client, container, command)
    }

    /// Whether a shell command in a container succeeds.
    pub fn can(&self, container: &str, command: &str) -> bool {
        self.client.run(&["exec", container, "sh", "-c", command]).code == 0
    }

    /// Whether one packet of the container comes back.
    pub fn reaches(&self, container: &str, address: &str) -> bool {
        self.client.run(&["exec", container, "ping", "-c", "1", "-w", "5", address]).code == 0
    }

    /// Waits until the address is reached.
    pub fn meets(&self, container: &str, address: &str) {
        until(&format!("{address} is reached"), 60, || self.reaches(container, address).then_some(()));
    }

    /// One value of `inspect -f`.
    pub fn inspect(&self, thing: &str, format: &str) -> String {
        self.run(&["inspect", "-f", format, thing])
    }

    /// A member of the container's settings on a network.
    pub fn setting(&self, container: &str, network: &str, member: &str) -> String {
        self.inspect(container, &format!("{{{{(index .NetworkSettings.Networks {network:?}).{member}}}}}"))
    }

    /// The container's IPv4 address on a network.
    pub fn address(&self, container: &str, network: &str) -> String {
        self.setting(container, network, "IPAddress")
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for name in &self.containers {
            self.client.run(&["rm", "-f", name]);
        }
        for name in &self.networks {
            self.client.run(&["network", "rm", name]);
        }
    }
}
