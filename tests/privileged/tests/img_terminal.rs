//! Rows IMG-13, IMG-25 and IMG-27 as a person sees them: one line a layer, and a whole screen at the end.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::archive::{Image, Layer};
use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Tmux, skip};
use serde_json::json;

/// Two layers of a few megabytes that no other image has: they would be mounted from its repository.
fn image(reference: &str) -> Image {
    let layer = |name: &str| Layer::of_files(&[(name, format!("{name} of {reference}\n").repeat(100_000).as_bytes())]);
    let layers = vec![layer("one"), layer("two")];
    Image { reference: reference.to_owned(), layers, config: json!({"Cmd": ["sh"]}) }
}

/// The lines of the screen that end in these words.
fn lines(tmux: &Tmux, words: &str) -> usize {
    tmux.screen().lines().filter(|line| line.trim_end().ends_with(words)).count()
}

#[test]
fn img_13_25_27_progress_is_one_line_a_layer() {
    let daemon = Daemon::shared();
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    for client in daemon.clients() {
        let Some(tmux) = Tmux::open(&client) else { return skip("tmux is not installed") };
        let (program, name) =
            (client.program.display().to_string(), registry.reference(&format!("{}:v1", client.name)));
        let archive = daemon.scratch("progress").join(format!("{}.tar", client.name));
        let mut file = std::fs::File::create(&archive).unwrap();
        image(&name).write(&mut file).unwrap();

        tmux.line(&format!("{program} load -i {}; echo code $?", archive.display()));
        tmux.see(r"\ncode 0\nready> $");
        assert_eq!(lines(&tmux, &format!("Loaded image: {name}")), 1, "{}", tmux.screen());
        // Bars come and go in two lines at most; none is drawn below another of the same layer.
        assert!(tmux.screen().matches("Loading layer").count() <= 2, "{}", tmux.screen());
        tmux.clear();

        tmux.line(&format!("{program} push {name}; echo code $?"));
        tmux.see(r"\ncode 0\nready> $");
        assert_eq!(lines(&tmux, ": Pushed"), 2, "{}", tmux.screen());
        tmux.see(
            r"\nThe push refers to repository \[.*\]\n[0-9a-f]{12}: Pushed\s*\n[0-9a-f]{12}: Pushed\s*\nv1: digest: ",
        );
        client.run(&["rmi", &name]).exits(0);
        tmux.clear();

        tmux.line(&format!("{program} pull {name}; echo code $?"));
        tmux.see(r"\ncode 0\nready> $");
        tmux.see(
            r"\nv1: Pulling from .*\n[0-9a-f]{12}: Pull complete\s*\n[0-9a-f]{12}: Pull complete\s*\nDigest: sha256:",
        );
        assert_eq!(lines(&tmux, &format!("Status: Downloaded newer image for {name}")), 1, "{}", tmux.screen());
        assert!(!tmux.screen().contains("Downloading") && !tmux.screen().contains("[===="), "{}", tmux.screen());
        client.run(&["rmi", &name]).exits(0);
    }
}
