//! Rows BLD-20 … BLD-26, 33, 37: files that a build brings into an image, with the stock client and with Gantry's own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use privileged_tests::building::{build, context, daemon, gone, image, output, refuses};

#[test]
fn bld_20_files_and_directories_are_added() {
    let daemon = daemon();
    let archive = |flag: &str| {
        let directory = context(daemon, &[("in/file", "packed")]);
        let run = std::process::Command::new("tar").args([flag, "-", "-C", &directory, "in"]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        run.stdout
    };
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nWORKDIR /usr/local\nCOPY f .\nCOPY [\"with space\",\"/dst dir/\"]\nCOPY *.txt /txt/\nADD dir /dir\nCOPY dir/sub/ /moved\nADD p.tgz p.tbz p.txz /unpacked/\nCOPY p.tgz /packed\nRUN echo bob:x:44:45::/: >>/etc/passwd && echo bob:x:77: >>/etc/group\nCOPY --chown=bob:bob f /owned/f\n";
        let directory = context(
            daemon,
            &[
                ("Dockerfile", dockerfile),
                ("f", "eff"),
                ("with space", "space"),
                ("a.txt", "a"),
                ("b.txt", "b"),
                ("dir/x", "x"),
                ("dir/sub/y", "y"),
                ("left.log", ""),
                (".dockerignore", "*.log\n"),
            ],
        );
        for (name, flag) in [("p.tgz", "-czf"), ("p.tbz", "-cjf"), ("p.txz", "-cJf")] {
            fs::write(Path::new(&directory).join(name), archive(flag)).unwrap();
        }
        fs::set_permissions(Path::new(&directory).join("f"), fs::Permissions::from_mode(0o755)).unwrap();
        let name = daemon.name("files");
        build(&client, &["-t", &name, &directory]).exits(0);
        let script = "stat -c '%n %a %u %g' /usr/local/f '/dst dir/with space' /txt/* /dir/x /dir/sub/y /moved/y /owned /owned/f; cat /unpacked/in/file; head -c 2 /packed | od -An -tx1";
        let expected = "/usr/local/f 755 0 0\n/dst dir/with space 644 0 0\n/txt/a.txt 644 0 0\n/txt/b.txt 644 0 0\n/dir/x 644 0 0\n/dir/sub/y 644 0 0\n/moved/y 644 0 0\n/owned 755 44 77\n/owned/f 755 44 77\npacked 1f 8b";
        assert_eq!(output(daemon, &name, &["sh", "-c", script]), expected);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_20_several_sources_need_a_directory() {
    refuses("ADD f dir /x", "the destination must be a directory and end with a /");
}

#[test]
fn bld_21_archives_are_unpacked_by_add_alone() {
    let daemon = daemon();
    let packed = context(daemon, &[("in/file", "packed")]);
    let directory = context(daemon, &[("Dockerfile", "FROM busybox\nADD p.tar /a/\nCOPY p.tar /b\n")]);
    let tar = std::process::Command::new("tar").args(["-cf", "-", "-C", &packed, "in"]).output().unwrap();
    fs::write(Path::new(&directory).join("p.tar"), tar.stdout).unwrap();
    for client in daemon.clients() {
        let name = daemon.name("unpacked");
        build(&client, &["-t", &name, &directory]).exits(0);
        assert_eq!(output(daemon, &name, &["sh", "-c", "cat /a/in/file; test -f /b && echo whole"]), "packedwhole");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_23_a_directorys_content_lands_in_the_destination() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nRUN mkdir /there && echo old >/there/old\nADD tree /there\nCOPY tree/ /new\n";
        let name = image(daemon, &client, dockerfile, &[("tree/a", "a"), ("tree/sub/b", "b")]);
        let found = output(daemon, &name, &["sh", "-c", "cd /there; find . -type f | sort; ls /new"]);
        assert_eq!(found, "./a\n./old\n./sub/b\na\nsub");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_24_copy_takes_no_address() {
    refuses("COPY http://127.0.0.1:1/f /", "source can't be a URL for COPY");
}

#[test]
fn bld_25_a_relative_destination_is_below_the_directory() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nWORKDIR /usr/local/\nCOPY f .\nCOPY f sub/g\n", &[("f", "x")]);
        assert_eq!(
            output(daemon, &name, &["ls", "/usr/local/f", "/usr/local/sub/g"]),
            "/usr/local/f\n/usr/local/sub/g"
        );
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_26_sources_are_inside_the_context() {
    refuses("COPY ../f /", "forbidden path outside the build context");
    refuses("COPY nosuch /", "stat nosuch: file does not exist");
    refuses("COPY left.log /", "excluded by .dockerignore");
    refuses("COPY --from=9 /f /", "invalid from flag value 9: index out of bounds");
}

#[test]
fn bld_22_a_file_from_a_web_server() {
    let daemon = daemon();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLast-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"hello"));
        }
    });
    for client in daemon.clients() {
        let dockerfile = format!("FROM busybox\nADD http://{address}/dir/name.tar.gz?x=1 /d/\n");
        let name = image(daemon, &client, &dockerfile, &[]);
        assert_eq!(output(daemon, &name, &["stat", "-c", "%a %u %Y %s", "/d/name.tar.gz"]), "600 0 1420070400 5");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_33_a_deleted_file_still_takes_its_space() {
    let daemon = daemon();
    let client = daemon.stock();
    let dockerfile = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3\nRUN rm /big\n";
    let name = image(daemon, &client, dockerfile, &[]);
    let size = |name: &str| daemon.inspect(name, "{{.Size}}").parse::<u64>().unwrap();
    assert!(size(&name) >= size("busybox") + (3 << 20));
    assert!(daemon.docker(&["run", "--rm", &name, "ls", "/big"]).code != 0);
    gone(daemon, &[&name]);
}

#[test]
fn bld_37_modes_stay_and_owners_become_root() {
    let daemon = daemon();
    for client in daemon.clients() {
        let directory = context(
            daemon,
            &[
                ("Dockerfile", "FROM busybox\nCOPY tree /tree\n"),
                ("tree/run", "#!/bin/sh\necho ran\n"),
                ("tree/sub/secret", "s"),
            ],
        );
        for (name, mode) in [("tree/run", 0o755), ("tree/sub/secret", 0o600), ("tree/sub", 0o711)] {
            let path = Path::new(&directory).join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
        }
        std::os::unix::fs::symlink("run", Path::new(&directory).join("tree/link")).unwrap();
        let name = daemon.name("modes");
        build(&client, &["-t", &name, &directory]).exits(0);
        let script = "stat -c '%n %a %u %g %F' /tree/run /tree/sub /tree/sub/secret /tree/link; /tree/link";
        let expected = "/tree/run 755 0 0 regular file\n/tree/sub 711 0 0 directory\n/tree/sub/secret 600 0 0 regular file\n/tree/link 777 0 0 symbolic link\nran";
        assert_eq!(output(daemon, &name, &["sh", "-c", script]), expected);
        gone(daemon, &[&name]);
    }
}
