//! The daemon killed with SIGKILL while containers, images and volumes come and go: afterwards the records agree with
//! what is on the disk, every byte of it is accounted for, and nothing is left that nobody owns.

use serde_json::{Value, json};

use crate::archive::Layer;
use crate::daemon::Daemon;
use crate::http::{Connection, Request};
use crate::killed;
use crate::random::Random;
use crate::until;

/// Names that are used again and again, of each kind.
const NAMES: u64 = 4;
/// Bytes are counted at the end of so many rounds.
const COUNTED: u32 = 25;

/// Kills and restarts the daemon `rounds` times; panics when something is lost, broken or left behind. The same seed does
/// the same requests, though not at the same moments.
pub fn run(daemon: &Daemon, rounds: u32, seed: u64) {
    let before = daemon.traces();
    let mut random = Random::new(seed);
    let mut seen = [false; 3];
    for round in 1..=rounds {
        killed::round(daemon, &mut random, 400, step);
        let what = format!("round {round}, seed {seed}");
        demand_whole(daemon, &what);
        let made = [&["ps", "-aqf", "name=c"][..], &["images", "-qf", "reference=made*"], &["volume", "ls", "-q"]];
        seen.iter_mut().zip(made).for_each(|(seen, list)| *seen |= !daemon.docker(list).ok().is_empty());
        if round % COUNTED == 0 || round == rounds {
            demand_account(daemon, &what);
        }
    }
    assert_eq!(seen, [true; 3], "containers, images and volumes were there when the daemon was killed");
    clear(daemon);
    until("nothing is left that was not there before", 120, || {
        let mut left = daemon.traces();
        left.retain(|path| !before.contains(path));
        if left.is_empty() { Some(()) } else { None }
    });
    demand_account(daemon, &format!("at the end, seed {seed}"));
}

/// `system fsck` finds nothing.
fn demand_whole(daemon: &Daemon, what: &str) {
    let run = daemon.gantry(&["system", "fsck"]);
    assert!(run.code == 0, "{what}: {run}");
}

/// What `system df` accounts for is what `du` says, to the block. Containers that run may write meanwhile, and what was
/// removed is freed in a quiet moment.
fn demand_account(daemon: &Daemon, what: &str) {
    until(&format!("{what}: du and the account agree"), 120, || {
        let usage = daemon.api().call("GET", "/gantry/usage", None);
        let kinds = usage["Kinds"].as_array().expect("a list");
        let sum: u64 = kinds.iter().filter_map(|kind| kind["Allocated"].as_u64()).sum();
        (sum == crate::host::disk_usage(daemon.data_root())).then_some(())
    });
}

/// One change; refusals are fine, only a lost daemon ends it.
fn step(api: &mut Connection, random: &mut Random) -> std::io::Result<()> {
    let name = |random: &mut Random, stem: &str| format!("{stem}{}", random.below(NAMES));
    let (container, volume, image) = (name(random, "c"), name(random, "volume"), name(random, "made"));
    match random.below(10) {
        0..=2 => run_one(api, &container, &volume, random.below(2) == 0),
        3 => drop_answer(api, "POST", &format!("/commit?container={container}&repo={image}"), Some(json!({}))),
        4 => build(api, &image, random.below(3)),
        5 => drop_answer(api, "DELETE", &format!("/containers/{container}?v=1&force=1"), None),
        6 => drop_answer(api, "DELETE", &format!("/volumes/{volume}"), None),
        7 => drop_answer(api, "DELETE", &format!("/images/{image}?force=1"), None),
        _ => {
            const ALL: &str = "?filters=%7B%22all%22%3A%5B%22true%22%5D%7D";
            let paths = ["/containers/prune", "/images/prune", "/volumes/prune", &format!("/volumes/prune{ALL}")];
            drop_answer(api, "POST", paths[random.below(4) as usize], None)
        }
    }
}

fn run_one(api: &mut Connection, name: &str, volume: &str, wait: bool) -> std::io::Result<()> {
    let script = "head -c 20000 /dev/zero >/v/file; echo x >/w/file; echo y >/file; rm /bin/vi; echo said";
    let host = json!({"NetworkMode": "none", "Binds": [format!("{volume}:/v")]});
    let body =
        json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "Volumes": {"/w": {}, "/etc": {}}, "HostConfig": host});
    drop_answer(api, "POST", &format!("/containers/create?name={name}"), Some(body))?;
    drop_answer(api, "POST", &format!("/containers/{name}/start"), None)?;
    if wait { drop_answer(api, "POST", &format!("/containers/{name}/wait"), None) } else { Ok(()) }
}

fn build(api: &mut Connection, image: &str, variant: u64) -> std::io::Result<()> {
    let file = format!("FROM busybox\nCOPY data /data\nRUN echo {variant} >/made\nVOLUME /data\n");
    let context = Layer::of_files(&[("Dockerfile", file.as_bytes()), ("data", b"content")]);
    let body = String::from_utf8(context.bytes().to_vec()).expect("a tar of text is text");
    let headers = [("Content-Type".to_owned(), "application/x-tar".to_owned())];
    let path = format!("/build?t={image}&rm=1&networkmode=none");
    api.send(&Request { method: "POST", path: &path, headers: &headers, body: Some(body), chunked: false }).map(drop)
}

fn drop_answer(api: &mut Connection, method: &str, path: &str, body: Option<Value>) -> std::io::Result<()> {
    api.request(method, path, body.as_ref()).map(drop)
}

/// Removes all containers, volumes and images but busybox.
fn clear(daemon: &Daemon) {
    let listed = daemon.docker(&["ps", "-aq"]);
    let containers: Vec<&str> = listed.lines();
    if !containers.is_empty() {
        daemon.docker(&[&["rm", "-fv"][..], &containers].concat()).exits(0);
    }
    daemon.docker(&["volume", "prune", "-af"]).exits(0);
    let listed = daemon.docker(&["images", "-q", "--no-trunc"]);
    let kept = daemon.inspect("busybox", "{{.Id}}");
    let mut images: Vec<&str> = listed.lines().into_iter().filter(|id| *id != kept).collect();
    images.dedup();
    if !images.is_empty() {
        daemon.docker(&[&["rmi", "-f"][..], &images].concat());
    }
    daemon.docker(&["image", "prune", "-af"]).exits(0);
    daemon.docker(&["builder", "prune", "-af"]).exits(0);
}
