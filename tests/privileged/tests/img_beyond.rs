//! Beyond Docker: images compared, sent to another host, and saved without what is there already (wants #15, #25).
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt as _;

use privileged_tests::{Client, Daemon, Options, building, skip};

/// Two engines, and Gantry's client of each; none on the reference.
fn pair() -> Option<(Daemon, Client, Daemon, Client)> {
    let (one, other) =
        (Daemon::start(Options::default()), Daemon::start(Options { images: Vec::new(), ..Options::default() }));
    if one.is_reference() {
        skip("Docker has no such command");
        return None;
    }
    let (mine, theirs) = (one.clients().pop().unwrap(), other.clients().pop().unwrap());
    Some((one, mine, other, theirs))
}

/// An image of busybox and a layer of about a megabyte that does not compress.
fn grown(daemon: &Daemon, client: &Client, base: &str) -> String {
    building::image(daemon, client, &format!("FROM {base}\nRUN head -c 1000000 /dev/urandom > /grown\n"), &[])
}

#[test]
fn x_10_save_only_what_is_new() {
    let Some((one, mine, other, theirs)) = pair() else { return };
    let image = grown(&one, &mine, "busybox");
    let archive = |arguments: &[&str]| {
        let output = mine.command(&[&["save"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let (whole, new) = (archive(&[&image]), archive(&["--since", "busybox", &image]));
    let base: usize = one.inspect("busybox", "{{.Size}}").parse().unwrap();
    assert!(new.len() + base / 4 < whole.len() && new.len() > 1_000_000, "{} of {}", new.len(), whole.len());
    // Without the base it is of no use, and leaves nothing behind.
    let before = other.traces();
    let refused = theirs.run_with_input(&["load"], &new);
    refused.exits(1).says("it holds only what is new since busybox, which must be loaded first");
    assert_eq!(other.traces(), before);
    theirs.run_with_input(&["load"], &archive(&["busybox"])).exits(0);
    for client in other.clients() {
        let load = client.run_with_input(&["load"], &new);
        assert_eq!(load.ok(), format!("Loaded image: {image}:latest"));
        assert_eq!(other.inspect(&image, "{{.Id}}"), one.inspect(&image, "{{.Id}}"));
        let size = client.run(&["run", "--rm", &image, "stat", "-c", "%s", "/grown"]);
        assert_eq!(size.ok(), "1000000");
        client.run(&["rmi", &image]).exits(0);
    }
    mine.run(&["save", "--since", "nosuch", "-o", "/dev/shm/never", &image]).exits(1).says("o such image: nosuch");
    assert!(!std::path::Path::new("/dev/shm/never").exists());
}

#[test]
fn x_10_send_moves_only_what_the_other_side_lacks() {
    let Some((one, mine, other, theirs)) = pair() else { return };
    let image = grown(&one, &mine, "busybox");
    // As ssh: the words after the options are the host and a command there.
    let directory = one.scratch("ssh");
    let (script, seen) = (directory.join("ssh"), directory.join("seen"));
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec {} -H {} system dial-stdio\n",
        seen.display(),
        theirs.program.display(),
        other.host()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let send = |arguments: &[&str]| {
        let output = mine.command(&[&["image", "send"], arguments].concat()).env("PATH", &path).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    };
    let first = send(&["me@far:2222", "busybox"]);
    assert!(
        first.starts_with("Loaded image: busybox:latest\nSent ") && first.ends_with(" to me@far:2222\n"),
        "{first}"
    );
    assert!(std::fs::read_to_string(&seen).unwrap().contains("-l me -p 2222 -- far docker system dial-stdio"));
    // Only the layer on top, which is a megabyte.
    let second = send(&["far", &image]);
    assert!(second.contains("Sent 1.0"), "{second}");
    assert_eq!(other.inspect(&image, "{{.Id}}"), one.inspect(&image, "{{.Id}}"));
    let size = theirs.run(&["run", "--rm", &image, "stat", "-c", "%s", "/grown"]);
    assert_eq!(size.ok(), "1000000");
    // Nothing but documents; and without names all tagged images.
    one.docker(&["tag", &image, "renamed:v2"]).exits(0);
    assert!(send(&["far"]).contains("kB to far"));
    assert_eq!(other.inspect("renamed:v2", "{{.Id}}"), one.inspect(&image, "{{.Id}}"));
    assert_eq!(send(&["-q", "far", "busybox"]), "busybox\n");
    mine.run(&["image", "send", &other.host(), "nosuch"]).exits(1).says("o such image: nosuch");
    mine.run(&["image", "send", "nobody://x", "busybox"]).exits(1).says("is no host to send images to");
    mine.run(&["image", "send"]).exits(1).says("requires at least 1 argument");
}

#[test]
fn x_10_what_distinguishes_two_images() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Docker has no such command");
    }
    let client = daemon.clients().pop().unwrap();
    let base = "FROM busybox\nENV A=1 B=2\nLABEL old=x\nCMD one\n\
                RUN echo same > /same; echo one > /changed; echo x > /gone; mkdir /d; echo y > /d/inner; ln -s a /link\n";
    let first = building::image(&daemon, &client, base, &[]);
    let steps = "RUN echo 222 > /changed; rm /gone; rm -r /d; mkdir /d; echo z > /d/other; ln -sf b /link\n\
                 RUN chmod 600 /same; echo new > /new\nENV B=3\nLABEL new=y\nCMD two\n";
    let second = building::image(&daemon, &client, &format!("FROM {first}\n{steps}"), &[]);
    let quiet = client.run(&["image", "diff", "-q", &first, &second]);
    let lines = ["C /changed", "A /d/other", "D /d/inner", "D /gone", "C /link", "A /new", "C /same"];
    for line in lines {
        assert!(quiet.exits(0).lines().contains(&line), "{line}: {quiet}");
    }
    assert_eq!(quiet.lines().len(), lines.len(), "{quiet}");
    let answer = client.run(&["image", "diff", "--format", "json", &first, &second]);
    let answer: serde_json::Value = serde_json::from_str(answer.ok()).unwrap();
    let file = |path: &str| {
        let files = answer["Files"].as_array().unwrap();
        files.iter().find(|file| file["Path"] == path).unwrap_or_else(|| panic!("{path}: {answer}")).clone()
    };
    assert_eq!((file("/changed")["From"].as_u64(), file("/changed")["To"].as_u64()), (Some(4), Some(4)));
    assert_eq!(file("/changed")["Aspects"], serde_json::json!(["content"]));
    assert_eq!(file("/same")["Aspects"], serde_json::json!(["mode"]));
    assert_eq!((&file("/new")["Layer"], &file("/gone")["To"]), (&3.into(), &serde_json::Value::Null));
    // What the second one has in vain: the old /changed, /gone, /d/inner, and /same, which has another mode.
    assert_eq!((answer["To"]["Hidden"].as_u64(), answer["From"]["Hidden"].as_u64()), (Some(4 + 2 + 2 + 5), Some(0)));
    let shared: Vec<bool> =
        answer["To"]["Layers"].as_array().unwrap().iter().map(|layer| layer["Shared"].as_bool().unwrap()).collect();
    assert_eq!(shared, [true, true, false, false]);
    let table = client.run(&["image", "diff", &first, &second]);
    let text = table.exits(0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["C Env B \"2\" -> \"3\"", "A Labels new \"y\"", "C Cmd", "A /new 4B", "C /same 5B, mode"] {
        assert!(text.contains(part), "{part}: {table}");
    }
    // An image is like itself.
    assert_eq!(client.run(&["image", "diff", "-q", &second, &second]).ok(), "");
    client.run(&["image", "diff", &first, "nosuch"]).exits(1).says("o such image: nosuch");
    client.run(&["image", "diff", "--format", "x", &first, &second]).exits(1).says("it must be table or json");
}
