//! What must not be possible, and the errors that users read.

use std::os::unix::fs::PermissionsExt as _;

use runtime::Error;
use runtime::spec::{Seccomp, SeccompAction, SeccompRule};

use crate::Test;
use crate::host::Bundle;

/// All of them.
pub const TESTS: &[Test] = &[
    ("commands_are_refused_in_dockers_words", commands_are_refused_in_dockers_words),
    ("no_descriptor_leaks", no_descriptor_leaks),
    ("the_directory_cannot_be_a_leaked_descriptor", the_directory_cannot_be_a_leaked_descriptor),
    ("system_calls_are_filtered", system_calls_are_filtered),
    ("no_new_privileges_is_set", no_new_privileges_is_set),
    ("the_programs_file_cannot_be_written", the_programs_file_cannot_be_written),
    ("masks_use_the_real_null_device", masks_use_the_real_null_device),
    ("invalid_configurations_touch_nothing", invalid_configurations_touch_nothing),
];

fn commands_are_refused_in_dockers_words() {
    let refusal = |command: &str| {
        let bundle = Bundle::new(&[command]);
        std::fs::write(bundle.root().join("plain"), "x").unwrap();
        std::fs::write(bundle.root().join("script"), "#!/no/interpreter\n").unwrap();
        std::fs::write(bundle.root().join("garbage"), "garbage").unwrap();
        for file in ["script", "garbage"] {
            std::fs::set_permissions(bundle.root().join(file), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let error = bundle.try_run().unwrap_err();
        (crate::host::chain(&error), error.exit_status())
    };
    for (command, text, status) in [
        ("foo", "exec: \"foo\": executable file not found in $PATH", 127),
        ("/no/such", "exec: \"/no/such\": stat /no/such: no such file or directory", 127),
        ("/plain", "exec: \"/plain\": permission denied", 126),
        ("/etc", "exec: \"/etc\": is a directory", 126),
        ("/script", "exec /script: No such file or directory (os error 2)", 127),
        ("/garbage", "exec /garbage: Exec format error (os error 8)", 126),
        ("/plain/x", "exec /plain/x: Not a directory (os error 20)", 126),
    ] {
        assert_eq!(refusal(command), (text.to_owned(), status), "{command}");
    }
}

fn no_descriptor_leaks() {
    // Open without close-on-exec, as a careless parent would have it.
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    // Not through a pipe: the shell may still have an end of it.
    let output = Bundle::sh("ls /proc/$$/fd >/tmp/list; tr '\\n' ' ' </tmp/list").output();
    drop(leaked);
    assert!(["0 1 2 ", "0 1 10 2 "].contains(&output.as_str()), "{output}");
}

fn the_directory_cannot_be_a_leaked_descriptor() {
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    use std::os::fd::AsRawFd as _;
    let number = leaked.as_raw_fd();
    for path in [format!("/proc/self/fd/{number}"), format!("/proc/1/fd/{number}"), "/link".to_owned()] {
        let mut bundle = Bundle::sh("ls");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{number}"), bundle.root().join("link")).unwrap();
        bundle.process().cwd = path.clone().into();
        match bundle.try_run() {
            Err(Error::WorkingDirectory { .. }) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
}

fn system_calls_are_filtered() {
    let mut bundle = Bundle::sh("mkdir /tmp/x 2>&1; echo $?; grep Seccomp: /proc/self/status");
    bundle.linux().seccomp = Some(Seccomp {
        default_action: SeccompAction::Allow,
        architectures: vec!["SCMP_ARCH_X86_64".into(), "SCMP_ARCH_AARCH64".into()],
        syscalls: vec![SeccompRule {
            names: vec!["mkdir".into(), "mkdirat".into()],
            action: SeccompAction::Errno,
            errno_ret: Some(95),
            args: vec![],
        }],
        ..Seccomp::default()
    });
    let expected = "mkdir: can't create directory '/tmp/x': Operation not supported\n1\nSeccomp:\t2\n";
    assert_eq!(bundle.output(), expected);
    bundle.process().no_new_privileges = true;
    bundle.process().user.uid = 1000;
    assert_eq!(bundle.output(), expected);
}

fn no_new_privileges_is_set() {
    let mut bundle = Bundle::sh("grep NoNewPrivs /proc/self/status");
    assert_eq!(bundle.output(), "NoNewPrivs:\t0\n");
    bundle.process().no_new_privileges = true;
    assert_eq!(bundle.output(), "NoNewPrivs:\t1\n");
}

fn the_programs_file_cannot_be_written() {
    let sealed = sys::sealed_exe::SealedDirectory::of_current_exe().unwrap();
    let exe = std::env::current_exe().unwrap();
    let own = exe.file_name().unwrap().to_str().unwrap();
    assert!(std::fs::metadata(sealed.program(own)).unwrap().len() > 0);
    // A running program cannot be written in any case: a neighbour shows it.
    let mut siblings = std::fs::read_dir(exe.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let sibling = siblings.find(|entry| entry.path() != exe && entry.path().is_file()).unwrap();
    let program = sealed.program(sibling.file_name().to_str().unwrap());
    let error = std::fs::OpenOptions::new().append(true).open(&program).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(30), "EROFS, not {error}");
}

fn masks_use_the_real_null_device() {
    let mut bundle = Bundle::sh("wc -c < /proc/keys");
    // An image that brings its own /dev/null, through a bind of /dev.
    let dev = bundle.outside("dev");
    std::fs::create_dir(&dev).unwrap();
    std::fs::write(dev.join("null"), "not the null device").unwrap();
    bundle.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    bundle.mount("/dev", "bind", dev.to_str().unwrap(), "bind");
    assert_eq!(bundle.output(), "0\n");
}

fn invalid_configurations_touch_nothing() {
    let mut bundle = Bundle::sh("true");
    bundle.process().cwd = "relative".into();
    assert!(matches!(bundle.try_run(), Err(Error::InvalidSpec { .. })));
    let mut bundle = Bundle::sh("true");
    bundle.linux().namespaces.clear();
    assert!(matches!(bundle.try_run(), Err(Error::InvalidSpec { .. })));
    let group = runtime::cgroup::Cgroup::open(&bundle.linux().cgroups_path).unwrap();
    assert!(!group.exists());
}
