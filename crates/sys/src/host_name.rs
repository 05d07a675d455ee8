//! Addresses of hosts by their names: from `/etc/hosts`, then from the servers of `/etc/resolv.conf`.
//!
//! The C library's resolver would load modules of the host into a static program.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a name server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Name servers that are asked at most (resolv.conf(5)).
const SERVERS: usize = 3;

/// The addresses of a name; those of an address are itself. Servers are asked for IPv4 addresses only.
///
/// # Errors
/// `NotFound`, `no such host`.
pub fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = in_hosts(&hosts, host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let servers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = servers.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    for server in servers.take(SERVERS) {
        if let Ok(found) = ask(server, host)
            && !found.is_empty()
        {
            return Ok(found);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(host)).then_some(address)
    };
    text.lines().filter_map(line).collect()
}

/// One question for A records, RFC 1035.
fn ask(server: IpAddr, host: &str) -> io::Result<Vec<IpAddr>> {
    let any: IpAddr = if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(SocketAddr::new(server, 53))?;
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id[..], rustix::rand::GetRandomFlags::empty())?;
    // Recursion desired, one question.
    let mut question = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.trim_end_matches('.').split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send(&question)?;
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer)?;
    Ok(answers(&answer[..length], question.len(), id).unwrap_or_default())
}

/// The A records of an answer whose question has this length.
fn answers(bytes: &[u8], question: usize, id: [u8; 2]) -> Option<Vec<IpAddr>> {
    if bytes.get(..2)? != id {
        return None;
    }
    let count = u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?]);
    let (mut at, mut found) = (question, Vec::new());
    for _ in 0..count {
        // A name: labels, or a pointer.
        loop {
            match *bytes.get(at)? {
                0 => break at += 1,
                length if length & 0xc0 == 0xc0 => break at += 2,
                length => at += 1 + usize::from(length),
            }
        }
        let head = bytes.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let data = bytes.get(at + 10..at + 10 + length)?;
        if let (1, Ok(address)) = (u16::from_be_bytes([head[0], head[1]]), <[u8; 4]>::try_from(data)) {
            found.push(Ipv4Addr::from(address).into());
        }
        at += 10 + length;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n10.0.0.9 Collector c # a comment\n";
        assert_eq!(in_hosts(hosts, "collector"), [IpAddr::from([10, 0, 0, 9])]);
        assert!(in_hosts(hosts, "comment").is_empty());
        assert_eq!(look_up("10.0.0.1").ok(), Some(vec![IpAddr::from([10, 0, 0, 1])]));
    }

    #[test]
    fn answers_are_read() {
        let question = b"\x01\x02\x81\x80\0\x01\0\x02\0\0\0\0\x01a\0\0\x01\0\x01";
        let records = b"\xc0\x0c\0\x05\0\x01\0\0\0\x09\0\x03\x01b\0\x01b\0\0\x01\0\x01\0\0\0\x09\0\x04\x0a\0\0\x07";
        let answer = [&question[..], records].concat();
        assert_eq!(answers(&answer, question.len(), [1, 2]), Some(vec![IpAddr::from([10, 0, 0, 7])]));
        assert_eq!(answers(&answer, question.len(), [1, 3]), None);
        assert_eq!(answers(&answer[..answer.len() - 1], question.len(), [1, 2]), None);
    }
}
