//! Namespaces made and joined.

use std::path::PathBuf;

use runtime::Stdio;
use runtime::spec::{IdMapping, Namespace, NamespaceKind, Pids, TimeOffset};

use crate::Test;
use crate::host::{Bundle, finish, kill, remove};

/// All of them.
pub const TESTS: &[Test] = &[
    ("everything_is_the_containers_own", everything_is_the_containers_own),
    ("hooks_run_in_order", hooks_run_in_order),
    ("a_failing_hook_stops_the_start", a_failing_hook_stops_the_start),
    ("a_failing_poststart_hook_leaves_nothing", a_failing_poststart_hook_leaves_nothing),
    ("kernel_parameters_are_set", kernel_parameters_are_set),
    ("namespaces_of_another_are_joined", namespaces_of_another_are_joined),
    ("users_are_mapped", users_are_mapped),
    ("mapped_users_join_a_network_and_mount_an_overlay", mapped_users_join_a_network_and_mount_an_overlay),
    ("a_mapped_root_file_system_keeps_its_owners", a_mapped_root_file_system_keeps_its_owners),
    ("user_namespaces_are_joined", user_namespaces_are_joined),
    ("clocks_are_offset", clocks_are_offset),
    ("one_process_is_enough", one_process_is_enough),
    ("an_unstarted_container_ends_with_its_owner", an_unstarted_container_ends_with_its_owner),
];

fn everything_is_the_containers_own() {
    let bundle = Bundle::sh("echo $$; hostname; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | grep -c :");
    let output = bundle.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["1", "inside"]);
    assert_eq!(lines[3], "1", "only the loopback device: {output}");
    assert_ne!(rustix::system::uname().nodename().to_str().unwrap(), "inside");
}

fn hook(bundle: &Bundle, name: &str, script: &str) -> runtime::spec::Hook {
    let log = bundle.outside("hooks");
    let script = format!("{{ echo {name}; {script}; }} >> {} 2>&1", log.display());
    runtime::spec::Hook {
        path: "/bin/busybox".into(),
        args: vec!["sh".into(), "-c".into(), script],
        env: vec!["PATH=/usr/bin:/bin".into()],
        timeout: Some(10),
    }
}

fn hooks_run_in_order() {
    let mut bundle = Bundle::sh("echo started");
    let spec = runtime::spec::Hooks {
        prestart: vec![hook(&bundle, "prestart", "cat | grep -o '\"status\":\"[a-z]*\"'")],
        create_runtime: vec![hook(&bundle, "createRuntime", "true")],
        create_container: vec![hook(&bundle, "createContainer", "hostname")],
        start_container: vec![runtime::spec::Hook {
            path: "/bin/sh".into(),
            args: vec!["sh".into(), "-c".into(), "echo startContainer > /hooked".into()],
            ..Default::default()
        }],
        poststart: vec![hook(&bundle, "poststart", "cat | grep -o '\"status\":\"[a-z]*\"'")],
        poststop: vec![],
    };
    bundle.spec.hooks = Some(runtime::spec::Hooks { prestart: spec.prestart.clone(), ..spec });
    assert_eq!(bundle.output(), "started\n");
    let log = std::fs::read_to_string(bundle.outside("hooks")).unwrap();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert_eq!(
        log,
        format!(
            "prestart\n\"status\":\"creating\"\ncreateRuntime\ncreateContainer\n{host}\npoststart\n\
             \"status\":\"running\"\n"
        )
    );
    assert_eq!(std::fs::read_to_string(bundle.root().join("hooked")).unwrap(), "startContainer\n");
}

fn a_failing_hook_stops_the_start() {
    let mut bundle = Bundle::sh("echo started");
    let mut failing = hook(&bundle, "x", "true");
    failing.args[2] = "echo because >&2; exit 3".into();
    bundle.spec.hooks = Some(runtime::spec::Hooks { create_runtime: vec![failing], ..Default::default() });
    assert_eq!(
        bundle.refusal(),
        "error running createRuntime hook \"/bin/busybox\": exit status 3, stdout: , stderr: because"
    );
    let mut slow = hook(&bundle, "x", "sleep 10");
    slow.timeout = Some(1);
    bundle.spec.hooks = Some(runtime::spec::Hooks { create_container: vec![slow], ..Default::default() });
    assert!(bundle.refusal().ends_with("timed out after 1 s"));
}

fn a_failing_poststart_hook_leaves_nothing() {
    let mut bundle = Bundle::sh("exec sleep 1000");
    let mut failing = hook(&bundle, "x", "true");
    failing.args[2] = "exit 4".into();
    bundle.spec.hooks = Some(runtime::spec::Hooks { poststart: vec![failing], ..Default::default() });
    let mut pid = 0;
    let made = runtime::run(bundle.request(Stdio::Inherit), |found| {
        pid = found;
        Ok::<(), runtime::Error>(())
    });
    let error = made.map(drop).unwrap_err().to_string();
    assert!(error.starts_with("error running poststart hook"), "{error}");
    assert!(pid > 0 && !std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    let group = bundle.spec.linux.as_ref().unwrap().cgroups_path.trim_start_matches('/').to_owned();
    assert!(!std::path::Path::new("/sys/fs/cgroup/memory").join(group).exists());
}

fn kernel_parameters_are_set() {
    let mut bundle =
        Bundle::sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max");
    for (name, value) in [("net.ipv4.ip_forward", "1"), ("kernel.shmmni", "123"), ("fs.mqueue.msg_max", "7")] {
        bundle.linux().sysctl.insert(name.into(), value.into());
    }
    assert_eq!(bundle.output(), "1\n123\n7\n");
    bundle.linux().sysctl.insert("kernel.panic".into(), "1".into());
    assert!(bundle.refusal().contains("is not in a separate kernel namespace"));
}

fn path(pid: i32, name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(format!("/proc/{pid}/ns/{name}")))
}

fn namespaces_of_another_are_joined() {
    let first = Bundle::sh("sleep 60");
    let (mut created, ..) = first.create().unwrap();
    created.start().unwrap();
    let mut second = Bundle::sh("ps | grep -c 'sleep 60$'; for n in net ipc uts; do readlink /proc/self/ns/$n; done");
    second.spec.hostname = String::new();
    let expected: String = ["net", "ipc", "uts"]
        .map(|kind| format!("{}\n", std::fs::read_link(path(created.pid, kind).unwrap()).unwrap().display()))
        .concat();
    for namespace in &mut second.linux().namespaces {
        let name = match namespace.kind {
            NamespaceKind::Pid => "pid",
            NamespaceKind::Network => "net",
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Uts => "uts",
            _ => continue,
        };
        namespace.path = path(created.pid, name);
    }
    let output = second.output();
    kill(&created);
    assert_eq!(output, format!("1\n{expected}"));
}

pub fn map(bundle: &mut Bundle) {
    let ids = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
    let linux = bundle.linux();
    (linux.uid_mappings, linux.gid_mappings) = (ids.clone(), ids);
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    // The way to the root must be open to the mapped ids, and the root be theirs.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(bundle.directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::process::Command::new("chown").args(["-Rh", "100000:100000"]).arg(bundle.root()).status().unwrap();
}

fn users_are_mapped() {
    let mut bundle = Bundle::sh(
        "id -u; cat /proc/self/uid_map; touch /made; echo x > /dev/null; cat /bound/file; stat -c %u /bound",
    );
    map(&mut bundle);
    let source = bundle.outside("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "bound\n").unwrap();
    bundle.mount("/bound", "bind", source.to_str().unwrap(), "rbind,ro");
    let output = bundle.output();
    let words: Vec<&str> = output.split_ascii_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "bound", "65534"]);
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(bundle.root().join("made")).unwrap().uid(), 100_000);
}

fn mapped_users_join_a_network_and_mount_an_overlay() {
    let first = Bundle::sh("sleep 60");
    let (mut created, ..) = first.create().unwrap();
    created.start().unwrap();
    let net = std::fs::read_link(path(created.pid, "net").unwrap()).unwrap().display().to_string();
    let mut bundle = Bundle::sh("readlink /proc/self/ns/net; touch /made; stat -c %u:%g /made; echo $$");
    map(&mut bundle);
    bundle.linux().namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    let network = Namespace { kind: NamespaceKind::Network, path: path(created.pid, "net") };
    bundle.linux().namespaces.push(network);
    // sysfs shows a network namespace, and only its owner may mount it.
    bundle.spec.mounts.retain(|mount| !mount.destination.starts_with("/sys"));
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| bundle.outside(name));
    for directory in [&upper, &work, &merged] {
        std::fs::create_dir(directory).unwrap();
        std::os::unix::fs::chown(directory, Some(100_000), Some(100_000)).unwrap();
    }
    bundle.rootfs.mounts = vec![types::Mount {
        destination: merged.to_str().unwrap().to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        options: vec![
            format!("lowerdir={}", bundle.root().display()),
            format!("upperdir={}", upper.display()),
            format!("workdir={}", work.display()),
        ],
    }];
    bundle.rootfs.path = merged;
    let result = bundle.try_run();
    kill(&created);
    let outcome = result.unwrap_or_else(|error| panic!("{}", crate::host::chain(&error)));
    assert_eq!(outcome.stdout, format!("{net}\n0:0\n1\n"), "{outcome:?}");
    assert!(upper.join("made").exists());
}

/// The layers belong to the host's root, behind a directory that only it may enter, and stay so.
fn a_mapped_root_file_system_keeps_its_owners() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let first = Bundle::sh("sleep 60");
    let (mut created, ..) = first.create().unwrap();
    created.start().unwrap();
    let mut bundle = Bundle::sh(
        "id -u; stat -c %u:%g /bin /volume; touch /made /volume/made; chown 7:8 /made; rm /etc/passwd; \
         cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net",
    );
    let ids = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
    let linux = bundle.linux();
    (linux.uid_mappings, linux.gid_mappings) = (ids.clone(), ids);
    linux.sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    linux.namespaces.push(Namespace { kind: NamespaceKind::Network, path: path(created.pid, "net") });
    std::fs::set_permissions(bundle.directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::process::Command::new("chown").args(["-Rh", "0:0"]).arg(bundle.root()).status().unwrap();
    let [upper, work, merged, volume] = ["upper", "work", "merged", "volume"].map(|name| bundle.outside(name));
    for directory in [&upper, &work, &merged, &volume] {
        std::fs::create_dir(directory).unwrap();
    }
    bundle.mount("/volume", "bind", volume.to_str().unwrap(), "rbind,idmap");
    let data = bundle.directory.path().to_str().unwrap().to_owned();
    let mapped = types::Mount {
        destination: data.clone(),
        kind: "bind".to_owned(),
        source: data,
        options: vec!["bind".to_owned(), "idmap".to_owned()],
    };
    let overlay = types::Mount {
        destination: merged.to_str().unwrap().to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        options: vec![
            format!("lowerdir={}", bundle.root().display()),
            format!("upperdir={}", upper.display()),
            format!("workdir={}", work.display()),
        ],
    };
    bundle.rootfs.mounts = vec![mapped, overlay];
    bundle.rootfs.path = merged;
    let result = bundle.try_run();
    kill(&created);
    let outcome = result.unwrap_or_else(|error| panic!("{}", crate::host::chain(&error)));
    assert_eq!(outcome.stdout, "0\n0:0\n0:0\n1\nlo\n", "{outcome:?}");
    let owner = |path: PathBuf| std::fs::symlink_metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
    assert_eq!(owner(upper.join("made")), (7, 8));
    assert_eq!(owner(upper.join("etc/passwd")), (0, 0), "the mark of what is gone");
    assert_eq!(owner(volume.join("made")), (0, 0));
}

fn user_namespaces_are_joined() {
    let mut first = Bundle::sh("sleep 60");
    map(&mut first);
    let (mut created, ..) = first.create().unwrap();
    created.start().unwrap();
    let mut second = Bundle::sh("readlink /proc/self/ns/user; id -u; echo $$");
    map(&mut second);
    let expected = std::fs::read_link(path(created.pid, "user").unwrap()).unwrap().display().to_string();
    second.linux().uid_mappings.clear();
    second.linux().gid_mappings.clear();
    second.linux().namespaces.last_mut().unwrap().path = path(created.pid, "user");
    let result = second.try_run();
    kill(&created);
    let outcome = result.unwrap_or_else(|error| panic!("{}", crate::host::chain(&error)));
    assert_eq!(outcome.stdout, format!("{expected}\n0\n1\n"), "{outcome:?}");
}

fn clocks_are_offset() {
    let mut bundle = Bundle::sh("cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets | tr -s ' '");
    bundle.linux().namespaces.push(Namespace { kind: NamespaceKind::Time, path: None });
    bundle.linux().time_offsets.insert("boottime".into(), TimeOffset { secs: 864_000, nanosecs: 0 });
    let output = bundle.output();
    assert!(output.lines().next().unwrap().parse::<u64>().unwrap() >= 864_000, "{output}");
    assert!(output.contains("boottime 864000 0"), "{output}");
}

fn one_process_is_enough() {
    let mut bundle = Bundle::new(&["/bin/echo", "alone"]);
    bundle.linux().resources.as_mut().unwrap().pids = Some(Pids { limit: 1 });
    assert_eq!(bundle.output(), "alone\n");
    let mut bundle = Bundle::sh("/bin/true; echo not reached");
    bundle.linux().resources.as_mut().unwrap().pids = Some(Pids { limit: 1 });
    assert!(!bundle.run().stdout.contains("not reached\n") || bundle.run().stderr.contains("fork"));
}

fn an_unstarted_container_ends_with_its_owner() {
    let bundle = Bundle::sh("echo never");
    let (created, stdout, stderr) = bundle.create().unwrap();
    let (pid, cgroup) = (created.pid, created.cgroup.clone().unwrap());
    drop(created);
    let outcome = finish(pid, stdout, stderr);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    cgroup.remove().unwrap();
    // Twice cannot be.
    let (mut created, stdout, stderr) = bundle.create().unwrap();
    created.start().unwrap();
    finish(created.pid, stdout, stderr);
    assert!(created.start().is_err());
    remove(&created);
}
