use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use ::plugin::Patience;

use super::network::{Interface, Options, StaticRoute};
use super::*;

/// A plugin that gives one answer a connection, in order, and writes down what it was asked.
fn plugin(directory: &Path, answers: &'static [(u16, &'static str)]) -> std::thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(directory.join("mock.sock")).expect("bound");
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // One that is there in one piece: head, empty line, body of the announced length.
            loop {
                let count = stream.read(&mut buffer).expect("read");
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request);
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                if rest.len() >= length.unwrap_or(0) {
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    asked.push(format!("{path} {rest}"));
                    break;
                }
            }
            if *status > 0 {
                let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(head.as_bytes()).expect("written");
            } else {
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        asked
    })
}

fn plugins(directory: &Path) -> Plugins {
    let patience = Patience { connect: Duration::from_millis(100), answer: Duration::from_millis(200) };
    let directories = Directories { sockets: directory.to_owned(), specifications: Vec::new() };
    Plugins(::plugin::Plugins::with_patience(directories, patience))
}

#[test]
fn a_plugin_is_greeted_once_and_told_what_is_wanted() {
    let root = tempfile::tempdir().expect("directory");
    let answers: &[(u16, &str)] = &[
        (200, r#"{"Implements":["NetworkDriver"]}"#),
        (200, r#"{"Scope":"local"}"#),
        (200, r#"{"Interface":{"MacAddress":"02:00:00:00:00:07"}}"#),
        (
            200,
            r#"{"InterfaceName":{"SrcName":"p0","DstPrefix":"eth"},"Gateway":"10.0.0.1",
                "StaticRoutes":[{"Destination":"10.9.0.0/16","RouteType":0,"NextHop":"10.0.0.9"},
                                {"Destination":"10.8.0.0/16","RouteType":1}]}"#,
        ),
        (200, r#"{"Err":"no more"}"#),
        (500, r#"{"Err":"broken"}"#),
        (404, "404 page not found"),
    ];
    let served = plugin(root.path(), answers);
    let plugins = plugins(root.path());
    let found = plugins.find("mock", Role::Network).expect("found");
    assert!(!plugins.find("mock", Role::Network).expect("known").network_capabilities().expect("local"));
    let wanted = Interface { ipv4: Some("10.0.0.2/24".parse().expect("net")), ..Interface::default() };
    let chosen = found.create_endpoint("n", "e", &wanted, &Options::new()).expect("made");
    assert_eq!((chosen.ipv4, chosen.mac.map(|mac| mac.0[5])), (wanted.ipv4, Some(7)));
    let joined = found.join("n", "e", "/key", &Options::new()).expect("joined");
    assert_eq!(joined.device, Some(("p0".to_owned(), "eth".to_owned())));
    let route = |to: &str, hop: Option<&str>| StaticRoute {
        destination: to.parse().expect("net"),
        next_hop: hop.map(|hop| hop.parse().expect("address")),
    };
    assert_eq!(joined.routes, [route("10.9.0.0/16", Some("10.0.0.9")), route("10.8.0.0/16", None)]);
    assert_eq!(found.leave("n", "e").expect_err("refused").to_string(), "remote: no more");
    assert_eq!(found.delete_network("n").expect_err("refused").to_string(), "NetworkDriver.DeleteNetwork: broken");
    assert!(found.unpublish("n", "e").is_ok());
    assert!(matches!(plugins.find("mock", Role::Ipam), Err(PluginError::Lacks { .. })));
    let asked = served.join().expect("served");
    assert_eq!(asked[..2], ["/Plugin.Activate ", "/NetworkDriver.GetCapabilities "]);
    assert!(asked[2].starts_with("/NetworkDriver.CreateEndpoint {") && asked[2].contains("10.0.0.2/24"), "{asked:?}");
}

#[test]
fn a_plugin_that_is_silent_or_gone_is_not_waited_for_for_ever() {
    let root = tempfile::tempdir().expect("directory");
    let served = plugin(root.path(), &[(0, "")]);
    let plugins = plugins(root.path());
    let before = Instant::now();
    let silent = plugins.find("mock", Role::Network).expect_err("silent");
    assert!(silent.to_string().starts_with("plugin mock did not answer Plugin.Activate at unix://"), "{silent}");
    served.join().expect("served");
    // The socket's file is still there; nobody listens.
    assert!(matches!(plugins.find("mock", Role::Network), Err(PluginError::Unreachable { .. })));
    assert!(before.elapsed() < Duration::from_secs(20));
    assert!(matches!(plugins.find("other", Role::Network), Err(PluginError::Missing(_))));
}

#[test]
fn what_was_given_is_not_the_plugin_s_to_change() {
    let root = tempfile::tempdir().expect("directory");
    let answers: &[(u16, &str)] = &[
        (200, r#"{"Implements":["NetworkDriver"]}"#),
        (200, r#"{"Interface":{"Address":"10.0.0.9/24"}}"#),
        // It is told to take the endpoint back.
        (200, "{}"),
    ];
    let served = plugin(root.path(), answers);
    let found = plugins(root.path()).find("mock", Role::Network).expect("found");
    let wanted = Interface { ipv4: Some("10.0.0.2/24".parse().expect("net")), ..Interface::default() };
    let refused = found.create_endpoint("n", "e", &wanted, &Options::new()).expect_err("refused");
    assert!(matches!(refused, PluginError::BadValue { .. }), "{refused}");
    assert!(served.join().expect("served")[2].starts_with("/NetworkDriver.DeleteEndpoint"));
}
