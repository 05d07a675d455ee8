//! Volumes of plugins (VOL-18): the whole life of a named volume, with another driver than `local`.

use privileged_tests::containers::Made;
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, Options, Plugin, until};
use serde_json::{Value, json};

/// A shell command of a container that goes with it.
fn busybox<'a>(options: &[&'a str], command: &'a str) -> Vec<&'a str> {
    [&["run", "--rm"], options, &["busybox", "sh", "-c", command]].concat()
}

#[test]
fn vol_18_a_plugin_s_volume_is_made_used_and_removed() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    for client in daemon.clients() {
        let plugin = Plugin::volumes();
        let name = daemon.name("vol");
        let create = ["volume", "create", "-d", &plugin.name, "-o", "colour=red", "--label", "tier=1", &name];
        assert_eq!(client.run(&create).ok(), name);
        // Again is fine.
        assert_eq!(client.run(&create).ok(), name);
        assert_eq!(plugin.body("Create"), json!({ "Name": name, "Opts": { "colour": "red" } }));
        let shown = client.run(&["volume", "inspect", &name]).ok().to_owned();
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(
            shown[0],
            json!({
                "CreatedAt": "2020-01-02T03:04:05Z", "Driver": plugin.name, "Labels": { "tier": "1" },
                "Mountpoint": "", "Name": name, "Options": { "colour": "red" }, "Scope": "global",
                "Status": { "colour": "blue" },
            })
        );
        let mount = format!("{name}:/data");
        client.run(&busybox(&["-v", &mount], "echo kept > /data/file")).exits(0);
        let file = plugin.directory(&name).join("file");
        assert_eq!(std::fs::read_to_string(file).expect("the file is the plugin's"), "kept\n");
        assert_eq!(client.run(&busybox(&["-v", &mount], "cat /data/file")).ok(), "kept");
        assert_eq!(plugin.counts(&["Create", "Mount", "Unmount", "Remove"]), [1, 2, 2, 0]);
        let listed = client.run(&["volume", "ls", "-f", &format!("driver={}", plugin.name)]);
        assert!(listed.ok().contains(&format!("{}   {name}", plugin.name)), "{}", listed.stdout);
        assert!(client.run(&["info", "-f", "{{.Plugins.Volume}}"]).ok().contains(&plugin.name));
        // Only what is on this machine is pruned or measured.
        let all = if daemon.is_reference() { "-f" } else { "-af" };
        client.run(&["volume", "prune", all, "--filter", "label=tier=1"]).exits(0);
        assert!(!client.run(&["system", "df", "-v"]).ok().contains(&name));
        client.run(&["volume", "rm", &name]).exits(0);
        assert_eq!(plugin.counts(&["Create", "Mount", "Unmount", "Remove"]), [1, 2, 2, 1]);
        client.run(&["volume", "inspect", &name]).exits(1).says(&format!("get {name}: no such volume"));
        client.run(&["volume", "rm", &name]).exits(1);
    }
}

#[test]
fn vol_18_a_run_names_the_driver_in_every_way() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let mut made = Made::new(daemon, daemon.stock());
    let (named, mounted) = (daemon.name("vol"), daemon.name("vol"));
    let flag = made.sleeper(&["--volume-driver", &plugin.name, "-v", &format!("{named}:/etc"), "-v", "/nameless"]);
    // The image's files are in it, also those that the container does not have any more.
    assert!(plugin.directory(&named).join("passwd").exists() || plugin.directory(&named).join("group").exists());
    let format = "{{range .Mounts}}{{.Driver}} {{.Type}} {{.Mode}}|{{end}}";
    assert_eq!(daemon.inspect(&flag, format), format!("{0} volume |{0} volume |", plugin.name));
    assert_eq!(daemon.inspect(&flag, "{{.HostConfig.VolumeDriver}}"), plugin.name);
    let option = format!("type=volume,src={mounted},dst=/m,volume-driver={},volume-opt=rack=7", plugin.name);
    let mount = made.sleeper(&["--mount", &option]);
    assert_eq!(plugin.body("Create"), json!({ "Name": mounted, "Opts": { "rack": "7" } }));
    made.exec(&mount, "echo one > /m/file");
    // Another one, by its name alone, and through the first one.
    let second = made.sleeper(&["-v", &format!("{mounted}:/n:ro")]);
    assert_eq!(made.exec(&second, "cat /n/file"), "one");
    daemon.docker(&["exec", &second, "touch", "/n/new"]).exits(1).says("Read-only file system");
    let from = made.sleeper(&["--volumes-from", &mount]);
    assert_eq!(made.exec(&from, "cat /m/file"), "one");
    assert_eq!(plugin.mounts()[&mounted], 3);
    daemon.docker(&["volume", "rm", &mounted]).exits(1).says(&format!("remove {mounted}: volume is in use - ["));
    daemon.docker(&["volume", "rm", "-f", &mounted]).exits(1);
    daemon.docker(&["stop", "-t", "0", &second, &from]).exits(0);
    assert_eq!(plugin.mounts()[&mounted], 1);
    // A container that does not run lends its volume for a copy.
    daemon.docker(&["cp", &format!("{second}:/n/file"), "-"]).exits(0);
    assert_eq!(plugin.mounts()[&mounted], 1);
    daemon.docker(&["start", &second]).exits(0);
    assert_eq!(plugin.mounts()[&mounted], 2);
    // With it goes what has no name.
    daemon.docker(&["rm", "-fv", &flag, &mount, &second, &from]).exits(0);
    assert_eq!(plugin.mounts(), [(mounted, 0), (named, 0)].into_iter().collect());
    let counts = plugin.counts(&["Mount", "Unmount"]);
    assert_eq!(counts[0], counts[1], "{:?}", plugin.asked());
}

#[test]
fn vol_18_a_name_belongs_to_one_driver() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    let (one, two) = (Plugin::volumes(), Plugin::volumes());
    let (name, local) = (daemon.name("vol"), daemon.name("vol"));
    daemon.docker(&["volume", "create", "-d", &one.name, &name]).exits(0);
    daemon.docker(&["volume", "create", &local]).exits(0);
    let taken = |driver: &str, name: &str| {
        format!("create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")
    };
    for driver in [&two.name, "local"] {
        let refused = daemon.docker(&["volume", "create", "-d", driver, &name]);
        refused.exits(1).says(&taken(&one.name, &name));
        let mount = format!("{name}:/x");
        let refused = daemon.docker(&["run", "--rm", "--volume-driver", driver, "-v", &mount, "busybox", "true"]);
        refused.exits(125).says(&taken(&one.name, &name));
    }
    daemon.docker(&["volume", "create", "-d", &one.name, &local]).exits(1).says(&taken("local", &local));
    let missing =
        |name: &str| format!("create {name}: error looking up volume plugin nosuch: plugin \"nosuch\" not found");
    for name in [&name, &local, "fresh"] {
        daemon.docker(&["volume", "create", "-d", "nosuch", name]).exits(1).says(&missing(name));
    }
    let mut api = daemon.api();
    for host in [
        json!({ "VolumeDriver": "nosuch", "Binds": ["fresh:/x"] }),
        json!({ "Mounts": [{ "Type": "volume", "Source": "fresh", "Target": "/x",
                             "VolumeOptions": { "DriverConfig": { "Name": "nosuch" } } }] }),
    ] {
        let body = json!({ "Image": "busybox", "HostConfig": host });
        let refused = api.request("POST", "/containers/create", Some(&body)).expect("an answer");
        assert_eq!((refused.status, refused.json()["message"].as_str()), (404, Some(missing("fresh").as_str())));
    }
    // Without a driver the name alone says whose it is; and what only the plugin knows of is found too.
    let found = api.call("POST", "/volumes/create", Some(&json!({ "Name": name })));
    assert_eq!((&found["Driver"], &found["Scope"]), (&one.name.clone().into(), &"global".into()));
    let own = daemon.name("own");
    two.keep(&own);
    assert!(daemon.docker(&["volume", "ls", "-q"]).lines().contains(&own.as_str()));
    daemon.docker(&busybox(&["-v", &format!("{own}:/x")], "touch /x/here")).exits(0);
    assert!(two.directory(&own).join("here").exists());
    assert_eq!(two.counts(&["Create"]), [0]);
    // Names may be what they like.
    for odd in ["x", "rack/7 é", "name=a,size=1"] {
        let odd = format!("{odd}{}", if odd.len() > 1 { daemon.name("") } else { String::new() });
        let made = api.call("POST", "/volumes/create", Some(&json!({ "Name": odd, "Driver": two.name })));
        assert_eq!(made["Name"], odd);
        daemon.docker(&["volume", "rm", &odd]).exits(0);
    }
    daemon.docker(&["volume", "rm", &name, &local, &own]).exits(0);
    assert_eq!((one.mounts().len(), two.mounts().len()), (0, 0));
}

#[test]
fn vol_18_what_a_plugin_refuses_leaves_no_trace() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let name = daemon.name("vol");
    let create = ["volume", "create", "-d", &plugin.name, &name];
    plugin.spoil("Create", "the rack is full");
    daemon.docker(&create).exits(1).says(&format!("create {name}: the rack is full"));
    daemon.docker(&["volume", "inspect", &name]).exits(1);
    plugin.heal();
    daemon.docker(&create).exits(0);
    let (mount, container) = (format!("{name}:/x"), daemon.name("ctr"));
    plugin.spoil("VolumeDriver.Mount", "the cable is cut");
    let refused = daemon.docker(&["run", "--name", &container, "-v", &mount, "busybox", "true"]);
    refused.exits(125).says("error while mounting volume '': the cable is cut");
    let refused = daemon.docker(&busybox(&["-v", &format!("{name}:/etc")], "true"));
    refused.exits(125).says("the cable is cut");
    plugin.heal();
    daemon.docker(&["start", "-a", &container]).exits(0);
    daemon.docker(&["rm", &container]).exits(0);
    assert_eq!(plugin.mounts()[&name], 0);
    plugin.spoil("Remove", "it is precious");
    daemon.docker(&["volume", "rm", &name]).exits(1).says(&format!("remove {name}: it is precious"));
    daemon.docker(&["volume", "inspect", &name]).exits(0);
    // What stays at the plugin is listed, whatever is forgotten here.
    daemon.docker(&["volume", "rm", "-f", &name]).exits(1).says("it is precious");
    assert!(daemon.docker(&["volume", "ls", "-q"]).lines().contains(&name.as_str()));
    plugin.spoil("List", "out of order");
    let listed = daemon.api().call("GET", "/volumes", None);
    assert!(listed["Warnings"].to_string().contains(&format!("list {}: out of order", plugin.name)), "{listed}");
    plugin.heal();
    daemon.docker(&["volume", "rm", &name]).exits(0);
}

#[test]
fn vol_18_a_plugin_s_volume_is_copied_and_stays_the_plugin_s() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        // It has none of these commands.
        return;
    }
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let (name, copy) = (daemon.name("vol"), daemon.name("vol"));
    daemon.docker(&["volume", "create", "-d", &plugin.name, "-o", "rack=7", "--label", "l=1", &name]).exits(0);
    daemon.docker(&busybox(&["-v", &format!("{name}:/x")], "echo kept > /x/file")).exits(0);
    daemon.gantry(&["volume", "clone", &name, &copy]).exits(0);
    let shown = daemon.docker(&["volume", "inspect", "-f", "{{.Driver}} {{.Labels.l}} {{.Options}}", &copy]);
    assert_eq!(shown.ok(), "local 1 map[]");
    assert_eq!(daemon.docker(&busybox(&["-v", &format!("{copy}:/x")], "cat /x/file")).ok(), "kept");
    daemon.gantry(&["volume", "size", &name]).exits(0);
    let own = format!("{name}: the volume belongs to the driver \"{}\"", plugin.name);
    let other = daemon.name("vol");
    daemon.gantry(&["volume", "rename", &name, &other]).exits(1).says(&format!("rename {own}"));
    daemon.gantry(&["volume", "restore", "--force", "--from", &copy, &name]).exits(1).says(&format!("restore {own}"));
    daemon.gantry(&["volume", "rename", &copy, &name]).exits(1).says("a volume of this name exists");
    assert_eq!(plugin.mounts()[&name], 0);
    daemon.docker(&["volume", "rm", &name, &copy]).exits(0);
}

#[test]
fn vol_18_a_volume_that_its_plugin_has_lost_is_told() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let mut made = Made::new(daemon, daemon.stock());
    let (used, unused) = (daemon.name("vol"), daemon.name("vol"));
    let create = |name: &str| daemon.docker(&["volume", "create", "-d", &plugin.name, "--label", "new=1", name]);
    create(&unused).exits(0);
    let container = made.sleeper(&["--volume-driver", &plugin.name, "-v", &format!("{used}:/x")]);
    plugin.lose(&used);
    plugin.lose(&unused);
    daemon.docker(&["volume", "inspect", &unused]).exits(1).says(&format!("get {unused}: no such volume"));
    create(&unused).exits(0);
    assert_eq!(daemon.docker(&["volume", "inspect", "-f", "{{.Labels.new}}", &unused]).ok(), "1");
    create(&used).exits(1).says("the volume was not found in the driver").says("volume name must be unique");
    daemon.docker(&["rm", "-f", &container]).exits(0);
    daemon.docker(&["volume", "rm", "-f", &used]).exits(0);
    create(&used).exits(0);
    daemon.docker(&["volume", "rm", &used, &unused]).exits(0);
}

#[test]
fn vol_18_a_plugin_that_is_away_is_told_and_keeps_nobody() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        // It waits for 15 seconds for each message to a plugin that is gone, and for ever for one that hangs.
        return;
    }
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let mut made = Made::new(&daemon, daemon.stock());
    let (name, idle, local) = (daemon.name("vol"), daemon.name("vol"), daemon.name("vol"));
    daemon.docker(&["volume", "create", "-d", &plugin.name, &idle]).exits(0);
    let mount = format!("{name}:/x");
    let container = made.sleeper(&["--volume-driver", &plugin.name, "-v", &mount, "-v", "/nameless"]);
    plugin.fall(false);
    let listed = daemon.api().call("GET", "/volumes", None);
    assert!(listed["Warnings"].to_string().contains(&format!("list {}: ", plugin.name)), "{listed}");
    let names: Vec<&str> =
        listed["Volumes"].as_array().expect("a list").iter().filter_map(|it| it["Name"].as_str()).collect();
    assert!(names.contains(&name.as_str()) && names.contains(&idle.as_str()), "{names:?}");
    let unsure = format!("error while checking if volume {idle:?} exists in driver {:?}", plugin.name);
    daemon.docker(&["volume", "inspect", &idle]).exits(1).says(&unsure);
    daemon.docker(&["volume", "rm", &idle]).exits(1).says(&unsure);
    let refused = daemon.docker(&["volume", "create", &idle]);
    refused.exits(1).says("found reference to volume").says("volume name must be unique");
    // Others are not held up, and the container ends and goes.
    daemon.docker(&["volume", "create", &local]).exits(0);
    daemon.docker(&["rm", "-fv", &container]).exits(0);
    daemon.docker(&busybox(&["-v", &format!("{local}:/x")], "true")).exits(0);
    plugin.listen();
    daemon.docker(&["volume", "inspect", &idle]).exits(0);
    // What could not be unmounted is, when the next daemon starts.
    assert_eq!(plugin.mounts()[&name], 1);
    daemon.restart();
    until("the plugin has unmounted", 60, || (plugin.mounts()[&name] == 0).then_some(()));
    // One that hangs holds up nobody but whoever asks it.
    plugin.spoil("VolumeDriver.Mount", "hang");
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| daemon.docker(&busybox(&["-v", &format!("{idle}:/x")], "true")));
        until("the plugin is asked", 60, || (plugin.counts(&["Mount"])[0] >= 3).then_some(()));
        let other = daemon.name("vol");
        daemon.docker(&busybox(&["-v", &format!("{other}:/x")], "true")).exits(0);
        daemon.docker(&["volume", "inspect", &idle]).exits(0);
        daemon.docker(&["volume", "ls"]).exits(0);
        daemon.docker(&["volume", "rm", &other]).exits(0);
        daemon.docker(&["volume", "rm", &idle]).exits(1).says("volume is in use");
        plugin.heal();
        // It hung up.
        waiting.join().expect("ended").exits(125).says("error while mounting volume");
    });
    daemon.docker(&["volume", "rm", &idle, &name]).exits(0);
}

#[test]
fn vol_18_a_plugin_s_volumes_outlive_the_daemon() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        // Its containers end with it.
        return;
    }
    daemon.image(Fixture::Busybox);
    let plugin = Plugin::volumes();
    let mut made = Made::new(&daemon, daemon.stock());
    let (name, short) = (daemon.name("vol"), daemon.name("vol"));
    let mount = format!("{name}:/x");
    daemon.docker(&["volume", "create", "-d", &plugin.name, "-o", "k=v", "--label", "l=1", &name]).exits(0);
    let runs = made.sleeper(&["-v", &mount]);
    let ends = daemon.name("ctr");
    made.containers.push(ends.clone());
    let ending = format!("{short}:/x");
    let run = ["run", "-d", "--name", &ends, "--volume-driver", &plugin.name, "-v", &ending, "busybox"];
    daemon.docker(&[&run[..], &["sh", "-c", "until [ -e /x/end ]; do sleep 0.1; done"]].concat()).exits(0);
    assert_eq!(plugin.counts(&["Mount", "Unmount"]), [2, 0]);
    daemon.kill();
    // It ends while no daemon watches.
    std::fs::write(plugin.directory(&short).join("end"), "").expect("written");
    until("it has ended", 60, || {
        let runs = std::fs::read_dir(daemon.exec_root().join("containers")).ok()?.flatten();
        let ended = runs.filter(|run| run.path().join("exit.json").exists()).count();
        (ended == 1).then_some(())
    });
    daemon.launch();
    until("the one that ended is unmounted", 60, || (plugin.mounts()[&short] == 0).then_some(()));
    assert_eq!((plugin.mounts()[&name], plugin.counts(&["Mount", "Unmount"])), (1, vec![2, 1]));
    let format = "{{.Driver}} {{.Options.k}} {{.Labels.l}} {{.Scope}}";
    assert_eq!(daemon.docker(&["volume", "inspect", "-f", format, &name]).ok(), format!("{} v 1 global", plugin.name));
    daemon.docker(&["volume", "rm", &name]).exits(1).says("volume is in use");
    made.exec(&runs, "touch /x/still");
    daemon.docker(&["restart", "-t", "0", &runs]).exits(0);
    made.exec(&runs, "ls /x/still");
    daemon.docker(&["rm", "-f", &runs, &ends]).exits(0);
    assert_eq!(plugin.counts(&["Mount", "Unmount"]), [3, 3], "{:?}", plugin.asked());
    daemon.docker(&["volume", "rm", &name, &short]).exits(0);
}
