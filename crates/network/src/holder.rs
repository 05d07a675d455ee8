//! Which process holds a port: asked only to tell whoever wanted it.
//!
//! Source: proc_pid_net(5), the tables of sockets.

use std::fs;
use std::net::IpAddr;

use crate::Protocol;

/// Of the calling thread's network. `nginx (pid 812)`; `None` when nobody of this machine's processes that we may look into has it.
pub(crate) fn of(protocol: Protocol, address: IpAddr, port: u16) -> Option<String> {
    let table = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => return None,
    };
    let read = |suffix: &str| fs::read_to_string(format!("/proc/thread-self/net/{table}{suffix}")).unwrap_or_default();
    // A socket of IPv6 may have the port of IPv4 too.
    let (ipv4, ipv6) = (read(""), read("6"));
    let own = if address.is_ipv4() { [&ipv4, &ipv6] } else { [&ipv6, &ipv4] };
    own.into_iter().find_map(|table| inodes(table, port).into_iter().find_map(|inode| process(&inode)))
}

/// The inodes of the sockets that hold a port, listeners first.
fn inodes(table: &str, port: u16) -> Vec<String> {
    const LISTENING: &str = "0A";
    let wanted = format!("{port:04X}");
    let mut found: Vec<(bool, String)> = Vec::new();
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(state), Some(inode)) = (words.get(1), words.get(3), words.get(9)) else { continue };
        if local.rsplit_once(':').is_some_and(|(_, number)| number == wanted) && *inode != "0" {
            found.push((*state != LISTENING, (*inode).to_owned()));
        }
    }
    found.sort();
    found.into_iter().map(|(_, inode)| inode).collect()
}

fn process(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == &*wanted))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        let holder = of(Protocol::Tcp, address.ip(), address.port()).expect("this process has it");
        assert!(holder.ends_with(&format!("(pid {})", std::process::id())), "{holder}");
        drop(listener);
        assert_eq!(of(Protocol::Tcp, address.ip(), address.port()), None);
    }
}
