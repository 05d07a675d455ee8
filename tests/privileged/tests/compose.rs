//! Compose runs an application: the first edition (Debian's `docker-compose`, on the Python SDK) and the second (the
//! plugin of the `docker` command, on Docker's own Go client).
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use privileged_tests::client::{Client, Run};
use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::free_port;
use privileged_tests::{Daemon, Options, skip, until};

const FIRST: [&str; 1] = ["/usr/bin/docker-compose"];
/// The plugin works by itself too.
const SECOND: [&str; 3] = [
    "/usr/libexec/docker/cli-plugins/docker-compose",
    "/usr/lib/docker/cli-plugins/docker-compose",
    "/usr/local/lib/docker/cli-plugins/docker-compose",
];

/// Every kind of thing that compose asks an engine for. `PORT` and `LETTER` are put in by the test.
const FILE: &str = r#"
services:
  db:
    image: busybox
    command: ["sh", "-c", "touch /data/ready; exec sleep 1000"]
    init: true
    volumes: ["data:/data"]
    networks: {back: {aliases: [database]}}
    healthcheck: {test: ["CMD", "test", "-f", "/data/ready"], interval: 1s, timeout: 20s, retries: 60}
    stop_grace_period: 0s
  web:
    image: web:v1
    depends_on: {db: {condition: service_healthy}}
    ports: ["127.0.0.1:PORT:80"]
    networks: [front, back]
    environment: {LETTER: LETTER}
    restart: unless-stopped
    mem_limit: 64m
    cpus: 0.5
    logging: {driver: json-file, options: {max-size: 1m}}
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    extra_hosts: ["elsewhere:192.0.2.3"]
    tmpfs: /run/extra
    cap_add: [NET_ADMIN]
    sysctls: {net.core.somaxconn: 128}
    stop_grace_period: 0s
  worker:
    image: busybox
    command: ["sh", "-c", "echo at work; exec sleep 1000"]
    scale: 2
    networks: [back]
    labels: {role: worker}
    stop_grace_period: 0s
networks:
  front: {}
  back: {driver: bridge, labels: {layer: back}}
volumes:
  data: {labels: {kept: "no"}}
"#;

/// A directory with the file above and the client that works there.
struct Project {
    client: Client,
    directory: PathBuf,
    port: u16,
}

// === impl Project ===

impl Project {
    fn new(daemon: &Daemon, program: PathBuf) -> Self {
        let directory = daemon.scratch("shop");
        Self { client: Client { name: "compose", program, ..daemon.stock() }, directory, port: free_port() }
    }

    fn write(&self, letter: &str) {
        let text = FILE.replace("PORT", &self.port.to_string()).replace("LETTER: LETTER", &format!("LETTER: {letter}"));
        // The first edition knows `scale`, conditions and limits only in files of this version.
        fs::write(self.directory.join("docker-compose.yml"), format!("version: \"2.4\"\n{text}")).unwrap();
    }

    fn compose(&self, arguments: &[&str]) -> Run {
        let file = self.directory.join("docker-compose.yml").display().to_string();
        let all: Vec<&str> = ["-f", &file, "-p", "shop"].iter().chain(arguments).copied().collect();
        self.client.run(&all)
    }
}

/// The second edition writes dashes where the first wrote underscores.
fn container(name: &str, separator: &str) -> String {
    ["shop", name, "1"].join(separator)
}

fn runs_an_application(places: &[&str], separator: &str) {
    let Some(program) = places.iter().map(PathBuf::from).find(|path| path.exists()) else {
        return skip("compose is not installed");
    };
    let daemon = Daemon::start(Options { images: vec![Fixture::Busybox, Fixture::Web], ..Options::default() });
    let mut project = Project::new(&daemon, program);
    project.write("a");
    if separator == "_" {
        // It reads a field of images that newer APIs no longer have.
        project.client.program = through(&daemon, "COMPOSE_API_VERSION=1.41", &project.client.program);
    }
    up(&daemon, &project, separator);
    work(&project);
    change(&daemon, &project, separator);
    // Each command of the first edition takes a second of Python's: not all of them once more.
    if separator == "-" {
        everyday(&daemon, &project, separator);
    }
    project.compose(&["down", "-v", "-t", "0"]).exits(0);
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).ok(), "");
    assert_eq!(daemon.docker(&["network", "ls", "-q", "--filter", "type=custom"]).ok(), "");
}

/// A program that runs another one with a variable set.
fn through(daemon: &Daemon, variable: &str, program: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = daemon.scratch("bin").join("compose");
    fs::write(&path, format!("#!/bin/sh\nexec env {variable} {} \"$@\"\n", program.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn up(daemon: &Daemon, project: &Project, separator: &str) {
    project.compose(&["up", "-d"]).exits(0);
    // What waits for health was started after it.
    let db = daemon.inspect(&container("db", separator), "{{.State.Health.Status}}");
    assert_eq!(db, "healthy");
    assert_eq!(project.compose(&["ps", "-q"]).lines().len(), 4);
    let page = until("the page is served", 60, || {
        let mut curl = std::process::Command::new("curl");
        let output = curl.args(["-s", "--max-time", "10", &format!("http://127.0.0.1:{}/", project.port)]).output();
        output.ok().filter(|output| output.status.success()).map(|output| output.stdout)
    });
    assert_eq!(page, b"hello\n");
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}";
    let limits = daemon.inspect(&container("web", separator), limits);
    assert_eq!(limits, "67108864 500000000 unless-stopped");
}

fn work(project: &Project) {
    let hosts = project.compose(&["exec", "-T", "web", "getent", "hosts", "database", "elsewhere"]);
    assert!(hosts.ok().contains("192.0.2.3") && hosts.stdout.contains("database"), "{hosts}");
    project.compose(&["exec", "-T", "db", "sh", "-c", "exit 7"]).exits(7);
    until("both workers have said it", 60, || {
        (project.compose(&["logs", "worker"]).stdout.matches("at work").count() == 2).then_some(())
    });
    project.compose(&["run", "--rm", "-T", "worker", "sh", "-c", "exit 3"]).exits(3);
}

/// Another letter makes the web server anew, and nothing else.
fn change(daemon: &Daemon, project: &Project, separator: &str) {
    let before = daemon.inspect(&container("db", separator), "{{.Id}}");
    project.write("b");
    project.compose(&["up", "-d"]).exits(0);
    assert!(daemon.inspect(&container("web", separator), "{{.Config.Env}}").contains("LETTER=b"));
    assert_eq!(daemon.inspect(&container("db", separator), "{{.Id}}"), before, "what has not changed stays");
}

fn everyday(daemon: &Daemon, project: &Project, separator: &str) {
    let address = project.compose(&["port", "web", "80"]);
    assert_eq!(address.ok(), format!("127.0.0.1:{}", project.port));
    assert!(project.compose(&["top", "db"]).ok().contains("sleep 1000"));
    project.compose(&["pause", "worker"]).exits(0);
    assert_eq!(daemon.inspect(&container("worker", separator), "{{.State.Paused}}"), "true");
    project.compose(&["unpause", "worker"]).exits(0);
    project.compose(&["up", "-d", "--scale", "worker=3"]).exits(0);
    assert_eq!(project.compose(&["ps", "-q", "worker"]).lines().len(), 3);
    project.compose(&["restart", "-t", "0", "db"]).exits(0);
    project.compose(&["stop", "-t", "0"]).exits(0);
    project.compose(&["rm", "-f", "worker"]).exits(0);
    assert_eq!(daemon.docker(&["ps", "-aq"]).lines().len(), 2);
}

#[test]
fn compose_of_the_first_edition_runs_an_application() {
    runs_an_application(&FIRST, "_");
}

#[test]
fn compose_of_the_second_edition_runs_an_application() {
    runs_an_application(&SECOND, "-");
}

/// Two services that have the same variables: from a file, and each its own.
const SHARED: &str = r#"
version: "2.4"
services:
  one: {image: busybox, command: [sleep, "1000"], env_file: [shared.env], environment: {OWN: one}, stop_grace_period: 0s}
  two: {image: busybox, command: [sleep, "1000"], env_file: [shared.env], environment: {OWN: two}, stop_grace_period: 0s}
"#;

fn services_share_variables(places: &[&str]) {
    let Some(program) = places.iter().map(PathBuf::from).find(|path| path.exists()) else {
        return skip("compose is not installed");
    };
    let daemon = Daemon::start(Options::default());
    let mut project = Project::new(&daemon, program);
    if places == FIRST {
        project.client.program = through(&daemon, "COMPOSE_API_VERSION=1.41", &project.client.program);
    }
    fs::write(project.directory.join("docker-compose.yml"), SHARED).unwrap();
    fs::write(project.directory.join("shared.env"), "PASSWORD=s3cret\nMODE=test\n").unwrap();
    project.compose(&["up", "-d"]).exits(0);
    for service in ["one", "two"] {
        let env = project.compose(&["exec", "-T", service, "env"]);
        for line in ["PASSWORD=s3cret", "MODE=test", &format!("OWN={service}")] {
            assert!(env.lines().contains(&line), "{line}: {env}");
        }
    }
    // Each finds the other by the name of its service.
    project.compose(&["exec", "-T", "one", "ping", "-c", "1", "-W", "5", "two"]).exits(0);
    project.compose(&["down", "-t", "0"]).exits(0);
}

#[test]
fn net_38_services_share_a_file_of_variables() {
    services_share_variables(if Path::new(FIRST[0]).exists() { &FIRST } else { &SECOND });
}
