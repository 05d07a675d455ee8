//! What a volume adds to a container's start, and how long the image's files take into a new one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use privileged_tests::archive::LayerBuilder;
use privileged_tests::http::Connection;
use serde_json::{Value, json};

use super::figures::{Figures, median};
use super::work::Subject;

/// Files that are copied, in directories of a hundred.
const FILES: usize = 10_000;
const IMAGE: &str = "bench-files:latest";
const COPIES: usize = 3;

/// Named volumes at the start, and copy-up beside `cp -a`.
pub fn volumes(subject: &Subject, figures: &mut Figures) {
    let mut api = Connection::new(&subject.socket);
    let (mut plain, mut with) = (Vec::new(), Vec::new());
    for number in 0..subject.runs * 2 {
        plain.push(started(&mut api, "busybox:latest", &json!([])).0);
        let (took, _) = started(&mut api, "busybox:latest", &json!([format!("bench-{number}:/v")]));
        with.push(took);
        api.call("DELETE", &format!("/volumes/bench-{number}"), None);
    }
    let (plain, with) = (median(plain), median(with));
    figures.add("start_ms", plain);
    figures.add("start_named_volume_ms", with);
    figures.add("named_volume_adds_ms", with - plain);
    copy_up(subject, &mut api, figures);
}

/// Creates, starts, and removes; how long the first two took in milliseconds, and the paths of the layers.
fn started(api: &mut Connection, image: &str, binds: &Value) -> (f64, Value) {
    let host = json!({"NetworkMode": "none", "Binds": binds});
    let body = json!({"Image": image, "Cmd": ["true"], "HostConfig": host});
    let begin = Instant::now();
    let answer = api.call("POST", "/containers/create", Some(&body));
    let id = answer["Id"].as_str().expect("create answers with an id").to_owned();
    if image != IMAGE {
        api.call("POST", &format!("/containers/{id}/start"), None);
    }
    let took = begin.elapsed().as_secs_f64() * 1e3;
    let shown = api.call("GET", &format!("/containers/{id}/json"), None);
    api.call("DELETE", &format!("/containers/{id}?force=1"), None);
    (took, shown["GraphDriver"]["Data"]["LowerDir"].clone())
}

fn copy_up(subject: &Subject, api: &mut Connection, figures: &mut Figures) {
    let mut layer = LayerBuilder::new();
    layer.directory("data", 0o755);
    for number in 0..FILES {
        if number % 100 == 0 {
            layer.directory(&format!("data/{}", number / 100), 0o755);
        }
        let content = vec![b'x'; 200 + number % 7800];
        layer.file(&format!("data/{}/{number}", number / 100), 0o644, &content);
    }
    subject.client.run_with_input(&["import", "-c", "CMD [\"true\"]", "-", IMAGE], layer.finish().bytes()).ok();
    let (without, lower) = started(api, IMAGE, &json!([]));
    let source = lower.as_str().and_then(|lower| lower.rsplit(':').next()).map(PathBuf::from);
    let (mut copied, mut by_cp) = (Vec::new(), Vec::new());
    for number in 0..COPIES {
        let (took, _) = started(api, IMAGE, &json!([format!("bench-copy-{number}:/data")]));
        copied.push(took - without);
        by_cp.extend(source.as_deref().and_then(cp));
        api.call("DELETE", &format!("/volumes/bench-copy-{number}"), None);
    }
    subject.client.run(&["rmi", "-f", IMAGE]).ok();
    figures.add("copy_up_10k_ms", median(copied.clone()));
    if !by_cp.is_empty() {
        figures.add("cp_a_10k_ms", median(by_cp.clone()));
        figures.add("copy_up_part_of_cp", median(copied) / median(by_cp));
    }
}

/// What `cp -a` takes for the same files on the same file system, in milliseconds.
fn cp(layer: &Path) -> Option<f64> {
    let target = layer.parent()?.with_file_name("bench-cp");
    std::fs::create_dir(&target).ok()?;
    let begin = Instant::now();
    let done = Command::new("cp").arg("-a").arg(layer.join("data")).arg(&target).status().ok()?.success();
    let took = begin.elapsed().as_secs_f64() * 1e3;
    std::fs::remove_dir_all(&target).ok()?;
    done.then_some(took)
}
