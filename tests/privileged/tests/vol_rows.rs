//! Volumes: anonymous and named, shared, inherited, filled, backed up, and gone with their last user.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use privileged_tests::{Client, Daemon};

const MOUNTS: &str = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Source}} {{.Destination}}\n{{end}}";

/// The mounts of a container: kind, name, source, destination.
fn mounts(client: &Client, container: &str) -> Vec<[String; 4]> {
    let shown = client.run(&["inspect", "-f", MOUNTS, container]);
    let mut lines: Vec<[String; 4]> = shown
        .ok()
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap())
        .collect();
    lines.sort_by(|one, other| one[3].cmp(&other[3]));
    lines
}

fn names(client: &Client, arguments: &[&str]) -> Vec<String> {
    let run = client.run(&[&["volume", "ls", "-q"], arguments].concat());
    run.ok().lines().map(str::to_owned).collect()
}

/// An image whose `/data` is a volume with files of several owners.
fn data_image(daemon: &Daemon) -> String {
    let (image, maker) = (daemon.name("data"), daemon.name("maker"));
    let script = "mkdir -p /data/sub; echo one >/data/file; echo two >/data/sub/file; ln /data/file /data/same; \
                  ln -s file /data/link; mkfifo /data/pipe; chown 33:34 /data /data/sub; chmod 2750 /data/sub; chmod 1777 /data; \
                  chmod 4711 /data/same; touch -d '2001-02-03 04:05:06' /data/file";
    daemon.docker(&["run", "--name", &maker, "busybox", "sh", "-c", script]).ok();
    daemon.docker(&["commit", "-c", "VOLUME /data", "-c", "CMD [\"sleep\",\"1000\"]", &maker, &image]).ok();
    daemon.docker(&["rm", "-v", &maker]).ok();
    image
}

#[test]
fn vol_01_an_anonymous_volume_survives_a_restart() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("anonymous");
        client.run(&["run", "-d", "--name", &name, "-v", "/opt/data", "busybox", "sleep", "1000"]).ok();
        client.run(&["exec", &name, "touch", "/opt/data/kept"]).ok();
        let [mount] = mounts(&client, &name).try_into().unwrap();
        let [kind, volume, source, target] = &mount;
        assert_eq!((kind.as_str(), target.as_str()), ("volume", "/opt/data"));
        assert!(volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit()), "{volume}");
        assert!(source.ends_with(&format!("/volumes/{volume}/_data")), "{source}");
        client.run(&["restart", "-t", "0", &name]).ok();
        assert_eq!(client.run(&["exec", &name, "ls", "/opt/data"]).ok(), "kept");
        assert_eq!(mounts(&client, &name)[0], mount);
        client.run(&["rm", "-fv", &name]).ok();
        client.run(&["volume", "inspect", volume]).exits(1).says("no such volume");
    }
}

#[test]
fn vol_02_several_volumes_of_one_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, volume) = (daemon.name("several"), daemon.name("v"));
        let named = format!("{volume}:/b");
        client.run(&["create", "--name", &name, "-v", "/a", "-v", &named, "-v", "/tmp:/c", "busybox"]).ok();
        let mounts = mounts(&client, &name);
        let shown: Vec<(&str, &str)> = mounts.iter().map(|mount| (mount[0].as_str(), mount[3].as_str())).collect();
        assert_eq!(shown, [("volume", "/a"), ("volume", "/b"), ("bind", "/c")]);
        assert_eq!(mounts[1][1], volume);
        client.run(&["rm", "-v", &name]).ok();
        client.run(&["volume", "inspect", &mounts[0][1]]).exits(1);
        client.run(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn vol_12_a_volume_of_the_image_is_anonymous_unless_it_is_given() {
    let daemon = Daemon::shared();
    let image = data_image(daemon);
    for client in daemon.clients() {
        let (one, two, host) = (daemon.name("one"), daemon.name("two"), daemon.scratch(&daemon.name("instead")));
        client.run(&["run", "-d", "--name", &one, &image]).ok();
        let [mount] = mounts(&client, &one).try_into().unwrap();
        assert_eq!((mount[0].as_str(), mount[1].len(), mount[3].as_str()), ("volume", 64, "/data"));
        assert!(Path::new(&mount[2]).join("file").exists());
        let bind = format!("{}:/data", host.display());
        client.run(&["run", "-d", "--name", &two, "-v", &bind, &image]).ok();
        let [other] = mounts(&client, &two).try_into().unwrap();
        assert_eq!((other[0].as_str(), other[2].as_str()), ("bind", host.to_str().unwrap()));
        assert_eq!(client.run(&["exec", &two, "ls", "/data"]).ok(), "", "a directory of the host is never filled");
        client.run(&["rm", "-fv", &one, &two]).ok();
    }
    daemon.docker(&["rmi", &image]).ok();
}

#[test]
fn vol_13_an_empty_volume_is_filled_from_the_image() {
    let daemon = Daemon::shared();
    let image = data_image(daemon);
    for client in daemon.clients() {
        let volume = daemon.name("filled");
        let named = format!("{volume}:/data");
        let script =
            "cd /data; stat -c '%n %u:%g %a %h %F' . file link pipe same sub sub/file; date -r file +%s; cat sub/file";
        let direct = client.run(&["run", "--rm", "-v", &named, &image, "sh", "-c", script]);
        let expected = ". 33:34 1777 3 directory\nfile 0:0 4711 2 regular file\nlink 0:0 777 1 symbolic link\npipe 0:0 644 1 fifo\n\
                        same 0:0 4711 2 regular file\nsub 33:34 2750 2 directory\nsub/file 0:0 644 1 regular file\n981173106\ntwo";
        assert_eq!(direct.ok(), expected);
        // Whoever comes later finds what is there, and no file of the image comes back.
        let script = "rm /data/file; echo mine >/data/sub/file";
        client.run(&["run", "--rm", "-v", &named, &image, "sh", "-c", script]).ok();
        let later = client.run(&["run", "--rm", "-v", &named, &image, "sh", "-c", "cat /data/sub/file; ls /data"]);
        assert_eq!(later.ok(), "mine\nlink\npipe\nsame\nsub");
        client.run(&["volume", "rm", &volume]).ok();
        for mount in [
            &["-v", &format!("{volume}:/data:nocopy")][..],
            &["--mount", &format!("src={volume},dst=/data,volume-nocopy")],
        ] {
            let arguments = [&["run", "--rm"], mount, &[&image, "ls", "/data"]].concat();
            assert_eq!(client.run(&arguments).ok(), "");
            client.run(&["volume", "rm", &volume]).ok();
        }
    }
    daemon.docker(&["rmi", &image]).ok();
}

#[test]
fn vol_14_changes_are_seen_at_once_by_all_who_share() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (one, two, volume) = (daemon.name("one"), daemon.name("two"), daemon.name("shared"));
        let named = format!("{volume}:/v");
        for name in [&one, &two] {
            client.run(&["run", "-d", "--name", name, "-v", &named, "busybox", "sleep", "1000"]).ok();
        }
        client.run(&["exec", &one, "sh", "-c", "echo first >/v/file"]).ok();
        assert_eq!(client.run(&["exec", &two, "cat", "/v/file"]).ok(), "first");
        client.run(&["exec", &two, "sh", "-c", "echo second >>/v/file"]).ok();
        assert_eq!(client.run(&["exec", &one, "cat", "/v/file"]).ok(), "first\nsecond");
        client.run(&["rm", "-f", &one, &two]).ok();
        client.run(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn vol_15_what_is_in_a_volume_is_in_no_commit_and_no_diff() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("outside"), daemon.name("image"));
        let script = "echo in >/v/file; echo out >/file";
        client.run(&["run", "--name", &name, "-v", "/v", "busybox", "sh", "-c", script]).ok();
        let changes = client.run(&["diff", &name]);
        let mut changes: Vec<&str> = changes.ok().lines().collect();
        changes.sort_unstable();
        assert_eq!(changes, ["A /file", "A /v"]);
        client.run(&["commit", &name, &image]).ok();
        let script = "cat /file; ls -A /v";
        assert_eq!(client.run(&["run", "--rm", &image, "sh", "-c", script]).ok(), "out");
        client.run(&["rm", "-v", &name]).ok();
        client.run(&["rmi", &image]).ok();
    }
}

#[test]
fn vol_16_a_volume_outlives_its_containers() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, volume) = (daemon.name("user"), daemon.name("outlives"));
        client
            .run(&["run", "--name", &name, "-v", &format!("{volume}:/v"), "-v", "/w", "busybox", "touch", "/w/x"])
            .ok();
        let anonymous = mounts(&client, &name).swap_remove(1);
        client.run(&["rm", &name]).ok();
        let all = names(&client, &[]);
        assert!(all.contains(&volume) && all.contains(&anonymous[1]));
        assert!(Path::new(&anonymous[2]).join("x").exists());
        client.run(&["volume", "rm", &volume, &anonymous[1]]).ok();
        assert!(!Path::new(&anonymous[2]).exists());
    }
}

#[test]
fn vol_17_every_type_of_mount() {
    let daemon = Daemon::shared();
    let host = daemon.scratch("types");
    fs::write(host.join("file"), "host").unwrap();
    for client in daemon.clients() {
        let volume = daemon.name("types");
        let bind = format!("type=bind,source={},target=/b,readonly", host.display());
        let arguments = [
            "run",
            "--rm",
            "--mount",
            &format!("type=volume,src={volume},dst=/v"),
            "--mount",
            &bind,
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1750",
            "busybox",
            "sh",
            "-c",
            "touch /v/x; cat /b/file; touch /b/x; df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t; grep ' /t ' /proc/mounts | cut -d' ' -f3",
        ];
        let run = client.run(&arguments);
        run.says("touch: /b/x: Read-only file system");
        assert_eq!(run.stdout.trim_end(), "host1024\n1750\ntmpfs");
        assert_eq!(names(&client, &["-f", &format!("name={volume}")]), [volume.as_str()]);
        client.run(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn vol_18_the_life_of_a_named_volume() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (volume, name) = (daemon.name("named"), daemon.name("user"));
        assert_eq!(client.run(&["volume", "create", "--label", "a=b", &volume]).ok(), volume);
        let table = client.run(&["volume", "ls"]);
        let lines = table.lines();
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["DRIVER", "VOLUME", "NAME"]);
        assert!(lines.iter().any(|line| line.split_whitespace().eq(["local", &volume])), "{lines:?}");
        assert_eq!(
            client.run(&["volume", "ls", "-q", "-f", "label=a=b", "-f", &format!("name={volume}")]).ok(),
            volume
        );
        let shown = client.run(&[
            "volume",
            "inspect",
            "-f",
            "{{.Driver}} {{.Scope}} {{json .Labels}} {{.Mountpoint}}",
            &volume,
        ]);
        let (words, place) = shown.ok().rsplit_once(' ').unwrap();
        assert_eq!(words, "local local {\"a\":\"b\"}");
        assert!(Path::new(place).is_dir());
        let id = client.run(&["create", "--name", &name, "-v", &format!("{volume}:/v"), "busybox"]);
        let refused = client.run(&["volume", "rm", &volume]);
        refused.exits(1).says(&format!("remove {volume}: volume is in use - [{}]", id.ok()));
        client.run(&["rm", "-v", &name]).ok();
        assert!(Path::new(place).is_dir(), "rm -v takes anonymous volumes only");
        assert_eq!(client.run(&["volume", "rm", &volume]).ok(), volume);
        assert!(!Path::new(place).exists());
        client.run(&["volume", "rm", &volume]).exits(1).says("no such volume");
        client.run(&["volume", "rm", "-f", &volume]).ok();
    }
}

#[test]
fn vol_18_prune_takes_anonymous_volumes_and_with_all_named_ones() {
    let daemon = Daemon::start(privileged_tests::Options::default());
    daemon.image(privileged_tests::fixtures::Fixture::Busybox);
    for client in daemon.clients() {
        let before = names(&client, &[]);
        let anonymous = client.run(&["volume", "create"]).ok().to_owned();
        client.run(&["volume", "create", "free"]).ok();
        client.run(&["create", "--name", "user", "-v", "used:/v", "-v", "/w", "busybox"]).ok();
        let pruned = client.run(&["volume", "prune", "-f"]);
        assert!(pruned.ok().contains(&anonymous));
        if !daemon.is_reference() {
            // Before API 1.42 all that nobody used went.
            assert!(names(&client, &[]).contains(&"free".to_owned()));
            assert!(client.run(&["volume", "prune", "-af"]).ok().contains("free"));
        }
        let left: Vec<String> = names(&client, &[]).into_iter().filter(|name| !before.contains(name)).collect();
        assert!(left.len() == 2 && left.contains(&"used".to_owned()), "{left:?}");
        client.run(&["rm", "-v", "user"]).ok();
        client.run(&["volume", "rm", "used"]).ok();
    }
}

#[test]
fn vol_19_a_container_that_is_only_there_for_its_data() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (data, user) = (daemon.name("dbdata"), daemon.name("db"));
        client.run(&["run", "--name", &data, "-v", "/dbdata", "busybox", "echo", "Data-only container"]).ok();
        assert_eq!(client.run(&["inspect", "-f", "{{.State.Status}}", &data]).ok(), "exited");
        client.run(&["run", "--name", &user, "--volumes-from", &data, "busybox", "touch", "/dbdata/table"]).ok();
        assert_eq!(mounts(&client, &user)[0][2], mounts(&client, &data)[0][2]);
        assert!(Path::new(&mounts(&client, &data)[0][2]).join("table").exists());
        client.run(&["rm", "-v", &data, &user]).ok();
    }
}

#[test]
fn vol_20_21_volumes_are_taken_over_from_a_stopped_container_and_in_a_chain() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let [data, db1, db3] = ["dbdata", "db1", "db3"].map(|stem| daemon.name(stem));
        client.run(&["create", "--name", &data, "-v", "/dbdata", "busybox"]).ok();
        client.run(&["create", "--name", &db1, "--volumes-from", &data, "busybox"]).ok();
        let run =
            client.run(&["run", "--name", &db3, "--volumes-from", &db1, "busybox", "sh", "-c", "echo x >/dbdata/x"]);
        run.ok();
        let source = mounts(&client, &data)[0][2].clone();
        assert!(Path::new(&source).join("x").exists());
        assert!([&db1, &db3].iter().all(|name| mounts(&client, name)[0][2] == source));
        let read_only = format!("{data}:ro");
        let refused = client.run(&["run", "--rm", "--volumes-from", &read_only, "busybox", "touch", "/dbdata/y"]);
        refused.exits(1).says("Read-only file system");
        client
            .run(&["create", "--volumes-from", "nobody-at-all", "busybox"])
            .exits(1)
            .says("o such container: nobody-at-all");
        client
            .run(&["create", "--volumes-from", &format!("{data}:what"), "busybox"])
            .exits(1)
            .says("invalid mode: what");
        client.run(&["rm", "-v", &data, &db1, &db3]).ok();
        assert!(!Path::new(&source).exists());
    }
}

#[test]
fn vol_22_volumes_of_several_containers() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let [one, two, both] = ["one", "two", "both"].map(|stem| daemon.name(stem));
        client.run(&["create", "--name", &one, "-v", "/a", "-v", "/common", "busybox"]).ok();
        client.run(&["create", "--name", &two, "-v", "/b", "-v", "/common", "busybox"]).ok();
        client.run(&["create", "--name", &both, "--volumes-from", &one, "--volumes-from", &two, "busybox"]).ok();
        let source = |name: &str, target: &str| {
            mounts(&client, name).into_iter().find(|mount| mount[3] == target).map(|mount| mount[2].clone())
        };
        assert_eq!(source(&both, "/a"), source(&one, "/a"));
        assert_eq!(source(&both, "/b"), source(&two, "/b"));
        assert_eq!(source(&both, "/common"), source(&two, "/common"), "the last one wins");
        client.run(&["rm", "-v", &one, &two, &both]).ok();
    }
}

#[test]
fn vol_23_the_last_user_takes_the_volume_along() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let [first, last] = ["first", "last"].map(|stem| daemon.name(stem));
        client.run(&["create", "--name", &first, "-v", "/data", "busybox"]).ok();
        let source = mounts(&client, &first)[0][2].clone();
        client.run(&["create", "--name", &last, "--volumes-from", &first, "busybox"]).ok();
        client.run(&["rm", "-v", &first]).ok();
        assert!(Path::new(&source).is_dir(), "another container has it");
        client.run(&["rm", "-v", &last]).ok();
        assert!(!Path::new(&source).exists());
    }
}

#[test]
fn vol_24_25_there_and_back_by_tar() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let [test, other] = ["test", "other"].map(|stem| daemon.name(stem));
        let backup = daemon.scratch(&daemon.name("backup"));
        let bind = format!("{}:/backup", backup.display());
        let image = daemon.image(privileged_tests::fixtures::Fixture::Debian);
        client
            .run(&[
                "run",
                "--name",
                &test,
                "-v",
                "/test",
                image,
                "sh",
                "-c",
                "echo kept >/test/file; chown 33 /test/file",
            ])
            .ok();
        let tar = ["tar", "cvf", "/backup/test.tar", "/test"];
        let run = client.run(&[&["run", "--rm", "--volumes-from", &test, "-v", &bind, image], &tar[..]].concat());
        run.says("tar: Removing leading `/' from member names");
        assert_eq!(run.ok(), "/test/\n/test/file");
        assert!(backup.join("test.tar").is_file());
        client
            .run(&[
                "create",
                "--name",
                &other,
                "-v",
                "/test",
                image,
                "sh",
                "-c",
                "cat /test/file; stat -c %u /test/file",
            ])
            .ok();
        let tar = ["tar", "xf", "/backup/test.tar", "-C", "/"];
        client.run(&[&["run", "--rm", "--volumes-from", &other, "-v", &bind, image], &tar[..]].concat()).ok();
        assert_eq!(client.run(&["start", "-a", &other]).ok(), "kept\n33");
        client.run(&["rm", "-v", &test, &other]).ok();
    }
}

#[test]
fn vol_26_where_a_volume_is_on_the_host() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("where");
        client.run(&["run", "--name", &name, "-v", "/data", "busybox", "touch", "/data/here"]).ok();
        let source = mounts(&client, &name)[0][2].clone();
        let data = fs::metadata(&source).unwrap();
        assert_eq!((data.uid(), data.permissions().mode() & 0o777), (0, 0o755));
        assert!(Path::new(&source).join("here").exists());
        if !daemon.is_reference() {
            // What older clients asked for.
            let map = format!("map[/data:{source}]");
            assert_eq!(daemon.gantry(&["inspect", "-f", "{{.Volumes}}", &name]).ok(), map);
            let mut api = privileged_tests::http::Connection::with_version(&daemon.socket(), "/v1.18");
            let old = api.call("GET", &format!("/containers/{name}/json"), None);
            assert_eq!(
                (old["Volumes"]["/data"].as_str(), old["VolumesRW"]["/data"].as_bool()),
                (Some(&*source), Some(true))
            );
        }
        client.run(&["rm", "-v", &name]).ok();
    }
}

#[test]
fn vol_27_df_shows_the_file_system_of_the_host() {
    let daemon = Daemon::shared();
    let image = daemon.image(privileged_tests::fixtures::Fixture::Debian);
    let host =
        std::process::Command::new("df").args(["--output=fstype,size"]).arg(daemon.data_root()).output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "-v", "/data", image, "df", "--output=fstype,size", "/data"]);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(run.ok()), words(&host));
        let run = client.run(&["run", "--rm", "-v", "/data", image, "df", "-Th", "/data"]);
        assert!(run.ok().lines().last().unwrap().ends_with(" /data"), "{run}");
    }
}

#[test]
fn vol_28_the_volumes_that_nobody_uses() {
    let daemon = Daemon::start(privileged_tests::Options::default());
    daemon.image(privileged_tests::fixtures::Fixture::Busybox);
    for client in daemon.clients() {
        let before = names(&client, &[]);
        client.run(&["create", "--name", "user", "-v", "used:/v", "-v", "/w", "busybox"]).ok();
        client.run(&["create", "--name", "gone", "-v", "/x", "busybox"]).ok();
        let left = mounts(&client, "gone")[0][1].clone();
        client.run(&["rm", "gone"]).ok();
        client.run(&["volume", "create", "spare"]).ok();
        let mut dangling = names(&client, &["-f", "dangling=true"]);
        dangling.retain(|name| !before.contains(name));
        dangling.sort_by_key(String::len);
        assert_eq!(dangling, ["spare", &left]);
        let mut used = names(&client, &["-f", "dangling=false"]);
        used.retain(|name| !before.contains(name));
        assert_eq!(used.len(), 2);
        client.run(&["volume", "prune", "-f", "--filter", "label!=nothing"]).ok();
        assert!(!names(&client, &[]).contains(&left));
        assert!(!daemon.data_root().join("volumes").join(&left).exists());
        client.run(&["rm", "-v", "user"]).ok();
        client.run(&["volume", "rm", "-f", "used", "spare"]).ok();
    }
}
