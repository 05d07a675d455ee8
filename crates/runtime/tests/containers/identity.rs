//! Who the container's process is, and what it may.

use runtime::spec::{Capabilities, IoPriority, Personality, Rlimit, Scheduler};

use crate::Test;
use crate::host::Bundle;

/// All of them.
pub const TESTS: &[Test] = &[
    ("users_and_groups", users_and_groups),
    ("home_comes_from_passwd", home_comes_from_passwd),
    ("capabilities_are_as_asked", capabilities_are_as_asked),
    ("capabilities_are_cut_to_what_the_machine_has", capabilities_are_cut_to_what_the_machine_has),
    ("ambient_capabilities_reach_a_user", ambient_capabilities_reach_a_user),
    ("umask_and_directory", umask_and_directory),
    ("a_missing_directory_is_made", a_missing_directory_is_made),
    ("limits_are_set_or_cut", limits_are_set_or_cut),
    ("oom_score_is_set_or_left", oom_score_is_set_or_left),
    ("scheduling_and_personality", scheduling_and_personality),
    ("streams_belong_to_the_user", streams_belong_to_the_user),
    ("the_environment_is_the_configurations", the_environment_is_the_configurations),
    ("signals_are_as_after_boot", signals_are_as_after_boot),
];

fn users_and_groups() {
    let mut bundle = Bundle::sh("id -u; id -g; grep Groups /proc/self/status");
    let user = &mut bundle.process().user;
    (user.uid, user.gid, user.additional_gids) = (1000, 1001, vec![5, 7]);
    assert_eq!(bundle.output(), "1000\n1001\nGroups:\t5 7 \n");
}

fn home_comes_from_passwd() {
    let home = |uid: u32, env: &str| {
        let mut bundle = Bundle::sh("echo $HOME");
        bundle.process().user.uid = uid;
        bundle.process().env.push(env.to_owned());
        bundle.output()
    };
    assert_eq!(home(0, "X=1"), "/root\n");
    assert_eq!(home(1000, "X=1"), "/home/user\n");
    assert_eq!(home(4242, "X=1"), "/\n");
    assert_eq!(home(0, "HOME=/set"), "/set\n");
}

fn status(bundle: &Bundle, field: &str) -> u64 {
    let output = bundle.output();
    let line = output.lines().find(|line| line.starts_with(field)).unwrap();
    u64::from_str_radix(line.split('\t').nth(1).unwrap().trim(), 16).unwrap()
}

fn capabilities_are_as_asked() {
    let mut bundle = Bundle::sh("cat /proc/self/status");
    // Docker's fourteen.
    assert_eq!(status(&bundle, "CapEff"), 0xa804_25fb);
    assert_eq!(status(&bundle, "CapBnd"), 0xa804_25fb);
    assert_eq!(status(&bundle, "CapInh"), 0);
    bundle.process().user.uid = 1000;
    assert_eq!(status(&bundle, "CapEff"), 0, "a user keeps none");
    bundle.process().capabilities = None;
    bundle.process().user.uid = 0;
    assert_eq!((status(&bundle, "CapEff"), status(&bundle, "CapBnd")), (0, 0));
}

fn capabilities_are_cut_to_what_the_machine_has() {
    let mut bundle = Bundle::sh("cat /proc/self/status");
    let all: Vec<String> =
        ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_NOT_YET_KNOWN"].map(str::to_owned).to_vec();
    bundle.process().capabilities = Some(Capabilities {
        bounding: all.clone(),
        effective: all.clone(),
        permitted: all.clone(),
        inheritable: all.clone(),
        ambient: all,
    });
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap();
    let own = u64::from_str_radix(own, 16).unwrap();
    assert_eq!(status(&bundle, "CapEff"), (1 | 1 << 21 | 1 << 24) & own);
}

fn ambient_capabilities_reach_a_user() {
    let mut bundle = Bundle::sh("cat /proc/self/status");
    let one = vec!["CAP_NET_BIND_SERVICE".to_owned()];
    bundle.process().user.uid = 1000;
    bundle.process().capabilities = Some(Capabilities {
        bounding: one.clone(),
        effective: one.clone(),
        permitted: one.clone(),
        inheritable: one.clone(),
        ambient: one,
    });
    assert_eq!(status(&bundle, "CapEff"), 1 << 10);
    assert_eq!(status(&bundle, "CapAmb"), 1 << 10);
}

fn umask_and_directory() {
    let mut bundle = Bundle::sh("umask; pwd; touch /tmp/x; stat -c %a /tmp/x");
    assert_eq!(bundle.output(), "0022\n/\n644\n");
    bundle.process().user.umask = Some(0o077);
    bundle.process().cwd = "/etc".into();
    assert_eq!(bundle.output(), "0077\n/etc\n644\n");
}

fn a_missing_directory_is_made() {
    let mut bundle = Bundle::sh("pwd; stat -c %a:%u .");
    bundle.process().cwd = "/srv/deep/er".into();
    assert_eq!(bundle.output(), "/srv/deep/er\n755:0\n");
    let mut bundle = Bundle::sh("true");
    bundle.process().cwd = "/etc/passwd".into();
    assert_eq!(
        bundle.refusal(),
        "chdir to cwd (\"/etc/passwd\") set in config.json failed: Not a directory (os error 20)"
    );
}

fn limits_are_set_or_cut() {
    let mut bundle = Bundle::sh("ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -Hl");
    let limit = |kind: &str, soft, hard| Rlimit { kind: kind.to_owned(), soft, hard };
    bundle.process().rlimits = vec![
        limit("RLIMIT_NOFILE", 100, 200),
        limit("RLIMIT_CORE", 0, 0),
        // More than a machine without CAP_SYS_RESOURCE can give.
        limit("RLIMIT_MEMLOCK", u64::MAX, u64::MAX),
    ];
    let output = bundle.output();
    assert!(output.starts_with("100\n200\n0\n"), "{output}");
}

fn oom_score_is_set_or_left() {
    let mut bundle = Bundle::sh("cat /proc/self/oom_score_adj");
    bundle.process().oom_score_adj = Some(321);
    assert_eq!(bundle.output(), "321\n");
    bundle.process().oom_score_adj = Some(-900);
    assert!(["-900\n", "0\n"].contains(&bundle.output().as_str()));
}

fn scheduling_and_personality() {
    let mut bundle = Bundle::sh("cat /proc/self/stat | cut -d' ' -f19,41; cat /proc/self/personality");
    bundle.process().scheduler = Some(Scheduler { policy: "SCHED_BATCH".into(), nice: 5, ..Scheduler::default() });
    bundle.process().io_priority = Some(IoPriority { class: "IOPRIO_CLASS_IDLE".into(), priority: 0 });
    bundle.linux().personality = Some(Personality { domain: "LINUX32".into(), flags: vec![] });
    assert_eq!(bundle.output(), "5 3\n00000008\n");
}

fn streams_belong_to_the_user() {
    let mut bundle = Bundle::sh("echo to-stdout > /dev/stdout; echo to-stderr > /dev/stderr");
    bundle.process().user.uid = 1000;
    let outcome = bundle.run();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("to-stdout\n", "to-stderr\n"), "{outcome:?}");
}

fn the_environment_is_the_configurations() {
    let mut bundle = Bundle::new(&["/bin/env"]);
    bundle.process().env = vec!["PATH=/bin".into(), "A=b=c".into(), "EMPTY=".into()];
    assert_eq!(bundle.output(), "PATH=/bin\nA=b=c\nEMPTY=\nHOME=/root\n");
}

fn signals_are_as_after_boot() {
    assert_eq!(
        Bundle::new(&["/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]).output(),
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}
