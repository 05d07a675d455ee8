//! Small images: made of a few files in a moment, and what events tell about them.

use crate::archive::Layer;
use crate::{Client, Daemon, Run, until};

/// Imports an image of one file; changes are lines of a Dockerfile. Gives its full id.
pub fn import(client: &Client, name: &str, content: &str, changes: &[&str]) -> String {
    let layer = Layer::of_files(&[("file", content.as_bytes())]);
    let mut arguments = vec!["import"];
    changes.iter().for_each(|change| arguments.extend(["-c", change]));
    arguments.push("-");
    if !name.is_empty() {
        arguments.push(name);
    }
    let run = client.run_with_input(&arguments, layer.bytes());
    run.ok().to_owned()
}

/// Lines of `images` with these arguments, each as its words.
pub fn rows(client: &Client, arguments: &[&str]) -> Vec<Vec<String>> {
    let run = client.run(&[&["images"], arguments].concat());
    run.ok().lines().map(words).collect()
}

/// The columns of a line: they stand at least three blanks apart.
pub fn words(line: &str) -> Vec<String> {
    line.split("   ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What happened to images since the daemon started, oldest first, as `action name`; waits until `last` was told.
pub fn events(daemon: &Daemon, filters: &[&str], last: &str) -> Vec<String> {
    let mut arguments = vec!["events", "--since", "1h", "--until", "0s", "--filter", "type=image"];
    filters.iter().for_each(|filter| arguments.extend(["--filter", filter]));
    arguments.extend(["--format", "{{.Action}} {{.Actor.Attributes.name}}"]);
    until(&format!("the event {last}"), 30, || {
        let told: Run = daemon.docker(&arguments);
        let lines: Vec<String> = told.ok().lines().map(str::to_owned).collect();
        lines.iter().any(|line| line == last).then_some(lines)
    })
}
