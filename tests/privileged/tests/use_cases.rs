//! Rows USE-08 and USE-10: nginx as users run it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::process::Command;

use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::free_port;
use privileged_tests::{Daemon, until};

fn curl(url: &str) -> Option<String> {
    let output = Command::new("curl").args(["-fs", "--max-time", "3", url]).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn use_08_nginx_with_three_mounts() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Web);
    for client in daemon.clients() {
        let directory = daemon.scratch(&daemon.name("nginx"));
        let path = |name: &str| directory.join(name);
        fs::create_dir_all(path("html")).unwrap();
        fs::write(path("html/index.html"), "nginx main page\n").unwrap();
        let config = "events {}\nhttp { access_log /var/log/nginx/access.log; error_log /var/log/nginx/error.log;\n\
                      server { listen 80; root /usr/share/nginx/html; } }\n";
        fs::write(path("nginx.conf"), config).unwrap();
        let (name, port) = (daemon.name("nginx"), free_port());
        let html = format!("{}:/usr/share/nginx/html", path("html").display());
        let conf = format!("{}:/etc/nginx/nginx.conf:ro", path("nginx.conf").display());
        // The host's directory for the logs does not exist: the engine makes it.
        let logs = format!("{}:/var/log/nginx", path("logs").display());
        let publish = format!("{port}:80");
        client
            .run(&["run", "-d", "--name", &name, "-p", &publish, "-v", &html, "-v", &conf, "-v", &logs, "web:v1"])
            .exits(0);
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(until("nginx answers", 15, || curl(&url)), "nginx main page\n");
        let access = until("the access log", 5, || {
            fs::read_to_string(path("logs/access.log")).ok().filter(|text| !text.is_empty())
        });
        assert!(access.contains("GET / HTTP/1.1"), "{access}");
        fs::write(path("html/index.html"), "changed\n").unwrap();
        assert_eq!(curl(&url).as_deref(), Some("changed\n"));
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn use_10_nginx_installed_by_hand() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    let packages = Fixture::nginx_packages().unwrap();
    for client in daemon.clients() {
        let name = daemon.name("byhand");
        let mount = format!("{}:/packages:ro", packages.display());
        client.run(&["run", "-itd", "--name", &name, "-p", "80", "-v", &mount, "debian:bookworm", "bash"]).exits(0);
        let install = "export DEBIAN_FRONTEND=noninteractive; dpkg -i /packages/*.deb && \
                       echo 'static page' >/var/www/html/index.html && nginx";
        client.run(&["exec", &name, "bash", "-c", install]).exits(0);
        let shown = client.run(&["port", &name, "80"]).ok().to_owned();
        let port: u16 = shown.lines().next().unwrap().strip_prefix("0.0.0.0:").unwrap().parse().unwrap();
        assert!(port >= 32768, "{port}");
        let page = until("nginx answers", 15, || curl(&format!("http://127.0.0.1:{port}/")));
        assert_eq!(page, "static page\n");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}
