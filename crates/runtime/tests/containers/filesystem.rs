//! What the container sees of files.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::Test;
use crate::host::{Bundle, finish, remove};

/// All of them.
pub const TESTS: &[Test] = &[
    ("binds_carry_their_options", binds_carry_their_options),
    ("binds_of_files_make_their_target", binds_of_files_make_their_target),
    ("recursive_readonly_reaches_below", recursive_readonly_reaches_below),
    ("tmpfs_keeps_the_mode_of_its_place", tmpfs_keeps_the_mode_of_its_place),
    ("tmpfs_copies_up", tmpfs_copies_up),
    ("the_root_can_be_an_overlay", the_root_can_be_an_overlay),
    ("an_overlay_can_have_125_layers", an_overlay_can_have_125_layers),
    ("the_root_can_be_readonly", the_root_can_be_readonly),
    ("mount_targets_stay_inside", mount_targets_stay_inside),
    ("proc_is_masked_and_readonly", proc_is_masked_and_readonly),
    ("default_devices_work", default_devices_work),
    ("configured_devices_appear", configured_devices_appear),
    ("mounts_do_not_reach_the_host", mounts_do_not_reach_the_host),
    ("propagation_is_as_asked", propagation_is_as_asked),
    ("cgroups_show_the_container_itself", cgroups_show_the_container_itself),
    ("a_missing_source_is_named", a_missing_source_is_named),
    ("idmapped_binds_change_owners", idmapped_binds_change_owners),
    ("the_root_can_be_moved_instead_of_pivoted", the_root_can_be_moved_instead_of_pivoted),
];

fn binds_carry_their_options() {
    let mut bundle = Bundle::sh(
        "cat /ro/file; touch /ro/x 2>/dev/null || echo refused; touch /rw/made; grep -E ' /(ro|rw) ' /proc/mounts",
    );
    let source = bundle.outside("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "content\n").unwrap();
    let source = source.to_str().unwrap().to_owned();
    bundle.mount("/ro", "bind", &source, "rbind,ro,nosuid,nodev,noexec,noatime,rprivate");
    bundle.mount("/rw", "bind", &source, "bind");
    let output = bundle.output();
    assert!(output.starts_with("content\nrefused\n"), "{output}");
    let line = |place: &str| output.lines().find(|line| line.contains(place)).unwrap().to_owned();
    for option in ["ro,", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(line(" /ro ").contains(option), "{output}");
    }
    assert!(line(" /rw ").contains("rw,"), "{output}");
    assert!(bundle.outside("source/made").exists());
}

fn binds_of_files_make_their_target() {
    let mut bundle = Bundle::sh("cat /etc/deep/er/hosts");
    let file = bundle.outside("hosts");
    std::fs::write(&file, "127.0.0.1 localhost\n").unwrap();
    bundle.mount("/etc/deep/er/hosts", "bind", file.to_str().unwrap(), "rbind,rprivate");
    assert_eq!(bundle.output(), "127.0.0.1 localhost\n");
    assert!(bundle.root().join("etc/deep/er/hosts").is_file());
}

fn recursive_readonly_reaches_below() {
    let script = |option: &str| {
        let mut bundle = Bundle::sh("touch /bound/below/x 2>/dev/null && echo written || echo refused");
        // The second mount sits below the source of the first by the time that is opened.
        bundle.mount("/proc/self", "tmpfs", "unused", "");
        bundle.spec.mounts.pop();
        let source = bundle.outside("source");
        std::fs::create_dir_all(source.join("below")).unwrap();
        let below = types::Mount {
            destination: source.join("below").to_str().unwrap().to_owned(),
            kind: "tmpfs".to_owned(),
            source: "tmpfs".to_owned(),
            options: vec![],
        };
        bundle.rootfs.mounts.push(below);
        bundle.mount("/bound", "bind", source.to_str().unwrap(), option);
        bundle.output()
    };
    assert_eq!(script("rbind,ro"), "written\n");
    assert_eq!(script("rbind,rro"), "refused\n");
}

fn tmpfs_keeps_the_mode_of_its_place() {
    let mut bundle = Bundle::sh("stat -c %a /tmp /set /var; touch /late/x 2>/dev/null || echo refused");
    std::fs::set_permissions(bundle.root().join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    bundle.mount("/tmp", "tmpfs", "tmpfs", "nosuid,size=1m");
    bundle.mount("/set", "tmpfs", "tmpfs", "mode=700");
    bundle.mount("/late", "tmpfs", "tmpfs", "ro");
    assert_eq!(bundle.output(), "1777\n700\n755\nrefused\n");
}

fn tmpfs_copies_up() {
    let mut bundle = Bundle::sh("cat /var/file /var/d/e; stat -c %u:%g:%a /var/d; readlink /var/link; touch /var/new");
    let var = bundle.root().join("var");
    std::fs::create_dir(var.join("d")).unwrap();
    std::fs::write(var.join("file"), "one\n").unwrap();
    std::fs::write(var.join("d/e"), "two\n").unwrap();
    symlink("file", var.join("link")).unwrap();
    std::os::unix::fs::chown(var.join("d"), Some(7), Some(8)).unwrap();
    std::fs::set_permissions(var.join("d"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    bundle.mount("/var", "tmpfs", "tmpfs", "tmpcopyup");
    assert_eq!(bundle.output(), "one\ntwo\n7:8:2750\nfile\n");
    assert!(!var.join("new").exists());
}

/// Puts an overlay with this many layers on the root; the lowest is the busybox one.
fn overlay(bundle: &mut Bundle, layers: usize) {
    let links = bundle.outside("overlay2/l");
    std::fs::create_dir_all(&links).unwrap();
    let mut names = Vec::new();
    for number in 0..layers {
        let link = links.join(format!("{number:0>26}"));
        if number == 0 {
            symlink(bundle.root(), &link).unwrap();
        } else {
            std::fs::create_dir(&link).unwrap();
            std::fs::write(link.join(format!("layer-{number}")), "").unwrap();
        }
        names.insert(0, link.to_str().unwrap().to_owned());
    }
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| bundle.outside(name));
    for directory in [&upper, &work, &merged] {
        std::fs::create_dir(directory).unwrap();
    }
    bundle.rootfs.mounts = vec![types::Mount {
        destination: merged.to_str().unwrap().to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        options: vec![
            format!("lowerdir={}", names.join(":")),
            format!("upperdir={}", upper.display()),
            format!("workdir={}", work.display()),
        ],
    }];
    bundle.rootfs.path = merged;
}

fn the_root_can_be_an_overlay() {
    let mut bundle = Bundle::sh("echo new > /file; head -n1 /proc/mounts");
    overlay(&mut bundle, 2);
    assert!(bundle.output().starts_with("overlay / overlay rw"));
    assert_eq!(std::fs::read_to_string(bundle.outside("upper/file")).unwrap(), "new\n");
    let host = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!host.contains(bundle.directory.path().to_str().unwrap()), "left on the host");
}

fn an_overlay_can_have_125_layers() {
    let mut bundle = Bundle::sh("ls / | grep -c layer-");
    overlay(&mut bundle, 126);
    assert_eq!(bundle.output(), "125\n");
}

fn the_root_can_be_readonly() {
    let mut bundle = Bundle::sh("touch /x 2>&1; touch /dev/x && echo dev");
    bundle.spec.root.as_mut().unwrap().readonly = true;
    assert_eq!(bundle.output(), "touch: /x: Read-only file system\ndev\n");
}

fn mount_targets_stay_inside() {
    let mut bundle = Bundle::sh("ls /mounted /trap/");
    let outside = bundle.outside("victim");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.root().join("trap")).unwrap();
    symlink("../../../../../../../../etc", bundle.root().join("up")).unwrap();
    let source = bundle.outside("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("seen"), "").unwrap();
    bundle.mount("/trap", "bind", source.to_str().unwrap(), "bind");
    bundle.mount("/up/mounted-by-runtime-test", "bind", source.to_str().unwrap(), "bind");
    let output = bundle.run();
    assert!(output.stdout.contains("seen"), "{output:?}");
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    assert!(!std::path::Path::new("/etc/mounted-by-runtime-test").exists());
    // A link in place of /proc would leave writes to the real one unguarded.
    let bundle = Bundle::sh("true");
    std::fs::remove_dir(bundle.root().join("proc")).unwrap();
    symlink("tmp", bundle.root().join("proc")).unwrap();
    let refusal = bundle.refusal();
    assert!(refusal.contains("error mounting \"proc\" to rootfs at \"/proc\""), "{refusal}");
}

fn proc_is_masked_and_readonly() {
    let output = Bundle::sh(
        "wc -c < /proc/keys; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | tr -d '\\n'; \
         echo 1 > /proc/sys/kernel/domainname || echo refused; echo b > /proc/sysrq-trigger || echo refused",
    )
    .output();
    assert_eq!(output, "0\nrefused\nrefused\n");
}

fn default_devices_work() {
    let output = Bundle::sh(
        "cd /dev; stat -c '%n %a %F' null zero full random urandom tty; head -c2 zero | wc -c; echo x > null; \
         echo x > full 2>/dev/null || echo full; readlink fd; readlink ptmx; readlink stdin; stat -c %a shm mqueue",
    )
    .output();
    let expected = "null 666 character special file\nzero 666 character special file\nfull 666 character special file\n\
        random 666 character special file\nurandom 666 character special file\ntty 666 character special file\n2\nfull\n\
        /proc/self/fd\npts/ptmx\n/proc/self/fd/0\n1777\n1777\n";
    assert_eq!(output, expected);
}

fn configured_devices_appear() {
    let mut bundle = Bundle::sh("stat -c '%t:%T %a %u:%g' /dev/dir/fuse");
    bundle.linux().devices.push(runtime::spec::Device {
        kind: "c".into(),
        path: "/dev/dir/fuse".into(),
        major: 10,
        minor: 229,
        file_mode: Some(0o620),
        uid: Some(3),
        gid: Some(4),
    });
    assert_eq!(bundle.output(), "a:e5 620 3:4\n");
}

fn mounts_do_not_reach_the_host() {
    for propagation in ["", "rprivate", "rslave", "shared", "rshared"] {
        let mut bundle = Bundle::sh("mount -t tmpfs x /tmp; true");
        bundle.linux().rootfs_propagation = propagation.to_owned();
        let (mut created, stdout, stderr) = bundle.create().unwrap();
        let host = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!host.contains(bundle.directory.path().to_str().unwrap()), "{propagation}: {host}");
        created.start().unwrap();
        finish(created.pid, stdout, stderr);
        remove(&created);
    }
}

fn propagation_is_as_asked() {
    for (option, mark) in [("rshared", "shared:"), ("rprivate", ""), ("runbindable", "unbindable")] {
        let mut bundle = Bundle::sh("grep ' /bound ' /proc/self/mountinfo");
        let source = bundle.outside("source");
        std::fs::create_dir(&source).unwrap();
        bundle.mount("/bound", "bind", source.to_str().unwrap(), &format!("rbind,{option}"));
        let output = bundle.output();
        let optional = output.split(" - ").next().unwrap().split(' ').skip(6).collect::<Vec<_>>().join(" ");
        assert!(if mark.is_empty() { optional.is_empty() } else { optional.starts_with(mark) }, "{option}: {output}");
    }
}

fn cgroups_show_the_container_itself() {
    let script = "cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | head -n1; \
                  touch /sys/fs/cgroup/x 2>/dev/null || echo refused";
    assert_eq!(Bundle::sh(script).output(), "1\nrefused\n");
    // Nothing of the host's other groups, whichever hierarchies the container has a group of its own in.
    let shown = "find /sys/fs/cgroup -mindepth 2 -type d | grep -v '^/sys/fs/cgroup/[^/]*$'; true";
    assert_eq!(Bundle::sh(shown).output(), "");
    let mut bundle = Bundle::sh(&format!("{script}; cat /proc/self/cgroup | cut -d: -f3 | grep -v '^/$'; true"));
    bundle.linux().namespaces.push(runtime::spec::Namespace { kind: runtime::spec::NamespaceKind::Cgroup, path: None });
    let output = bundle.output();
    assert!(output.starts_with("1\nrefused\n"), "{output}");
    assert!(!output.contains("gantry"), "{output}");
}

fn a_missing_source_is_named() {
    let mut bundle = Bundle::sh("true");
    bundle.mount("/bound", "bind", "/no/such/source", "bind");
    let expected = "error mounting \"/no/such/source\" to rootfs at \"/bound\": No such file or directory (os error 2)";
    assert_eq!(bundle.refusal(), expected);
}

fn idmapped_binds_change_owners() {
    let mut bundle = Bundle::sh("stat -c %u:%g /bound/file");
    let source = bundle.outside("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "").unwrap();
    std::os::unix::fs::chown(source.join("file"), Some(5), Some(6)).unwrap();
    bundle.mount("/bound", "bind", source.to_str().unwrap(), "bind,idmap");
    let map = vec![runtime::spec::IdMapping { container_id: 0, host_id: 1000, size: 100 }];
    let mount = bundle.spec.mounts.last_mut().unwrap();
    (mount.uid_mappings, mount.gid_mappings) = (map.clone(), map);
    assert_eq!(bundle.output(), "1005:1006\n");
}

fn the_root_can_be_moved_instead_of_pivoted() {
    let bundle = Bundle::sh("ls / | grep -c usr; echo $$");
    let (stdout, writer) = std::io::pipe().unwrap();
    let (stderr, error_writer) = std::io::pipe().unwrap();
    let mut request = bundle.request(runtime::Stdio::Pipes {
        stdin: std::fs::File::open("/dev/null").unwrap().into(),
        stdout: writer.into(),
        stderr: error_writer.into(),
    });
    request.options.no_pivot = true;
    let mut created = runtime::create(request).unwrap();
    created.start().unwrap();
    let outcome = finish(created.pid, stdout.into(), stderr.into());
    remove(&created);
    assert_eq!(outcome.stdout, "0\n1\n", "{outcome:?}");
}
