//! Images built by the classic builder: contexts, the clients' commands, and what came out.

use std::fs;
use std::path::PathBuf;

use crate::fixtures::Fixture;
use crate::{Client, Daemon, Run};

/// The engine of this file, with its base image.
pub fn daemon() -> &'static Daemon {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    daemon
}

/// The same client with the classic builder chosen.
pub fn classic(client: &Client) -> Client {
    Client { program: PathBuf::from("env"), ..client.clone() }
}

/// The words after `env` that run a client with the classic builder.
pub fn words<'a>(client: &'a Client, arguments: &[&'a str]) -> Vec<&'a str> {
    let program = client.program.to_str().unwrap();
    ["DOCKER_BUILDKIT=0", program].into_iter().chain(arguments.iter().copied()).collect()
}

/// Runs `build` with the classic builder.
pub fn build(client: &Client, arguments: &[&str]) -> Run {
    let all: Vec<&str> = ["build"].iter().chain(arguments).copied().collect();
    classic(client).run(&words(client, &all))
}

/// A context directory with these files.
pub fn context(daemon: &Daemon, files: &[(&str, &str)]) -> String {
    let directory = daemon.scratch(&daemon.name("context"));
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory.display().to_string()
}

/// Builds, and gives the image's name.
pub fn image(daemon: &Daemon, client: &Client, dockerfile: &str, files: &[(&str, &str)]) -> String {
    let all: Vec<(&str, &str)> = [("Dockerfile", dockerfile)].iter().chain(files).copied().collect();
    let name = daemon.name("built");
    build(client, &["-t", &name, &context(daemon, &all)]).exits(0);
    name
}

/// What a command prints in a container of the image.
pub fn output(daemon: &Daemon, image: &str, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["run", "--rm", image].iter().chain(arguments).copied().collect();
    daemon.docker(&all).ok().to_owned()
}

/// Removes images.
pub fn gone(daemon: &Daemon, images: &[&str]) {
    let all: Vec<&str> = ["rmi", "-f"].iter().chain(images).copied().collect();
    daemon.docker(&all).exits(0);
}

/// Builds with every client and looks at what a container of the image prints.
pub fn prints(dockerfile: &str, arguments: &[&str], expected: &str) {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, dockerfile, &[]);
        assert_eq!(output(daemon, &name, arguments), expected, "{dockerfile}");
        gone(daemon, &[&name]);
    }
}

/// Every client refuses a line, with this text.
pub fn refuses(line: &str, text: &str) {
    let daemon = daemon();
    let dockerfile = format!("FROM busybox\n{line}\n");
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("f", "x"),
        ("dir/x", "x"),
        ("left.log", ""),
        (".dockerignore", "*.log\n"),
    ];
    let directory = context(daemon, &files);
    for client in daemon.clients() {
        let run = build(&client, &[&directory]);
        assert!(run.code != 0 && run.stderr.contains(text), "{line}: {run}");
    }
}
