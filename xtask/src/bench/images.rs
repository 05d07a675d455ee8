//! Images: pull, push, save and load of a real one of two layers (Debian, and nginx on it), through the stock client
//! and a registry of Debian on loopback.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use privileged_tests::archive::{Image, Layer};
use privileged_tests::fixtures::{Fixture, cache_directory};
use privileged_tests::registry::Registry;
use serde_json::json;

use super::figures::{Figures, median};
use super::work::Subject;

const NAME: &str = "bench:v1";
/// Repetitions of what takes seconds.
const RUNS: usize = 3;

/// Measures; without Debian's docker-registry there is nothing to measure.
pub fn images(subject: &Subject, figures: &mut Figures) {
    let Some(registry) = Registry::start() else {
        println!("images: docker-registry is not installed");
        return;
    };
    let archive = archive().expect("the image of two layers");
    let load = || subject.timed(&["load", "-q", "-i", &archive.display().to_string()]);
    subject.processes.forget_peak();
    subject.remove(&[NAME]);
    let loads = (0..RUNS).map(|_| {
        subject.remove(&[NAME]);
        load()
    });
    figures.add("load_s", median(loads.collect()));
    let pushed = registry.reference("a/web:v1");
    subject.client.run(&["tag", NAME, &pushed]).exits(0);
    figures.add("push_built_s", subject.timed(&["push", "-q", &pushed]));
    let pulls = (0..RUNS).map(|_| {
        subject.remove(&[NAME, &pushed]);
        subject.timed(&["pull", "-q", &pushed])
    });
    figures.add("pull_s", median(pulls.collect()));
    let pushes = (0..RUNS).filter_map(|_| {
        // One that has nothing of it.
        let other = Registry::start()?;
        let name = other.reference("b/web:v1");
        subject.client.run(&["tag", &pushed, &name]).exits(0);
        let time = subject.timed(&["push", "-q", &name]);
        subject.remove(&[&name]);
        Some(time)
    });
    figures.add("push_pulled_s", median(pushes.collect()));
    let saved = std::env::temp_dir().join(format!("bench-save-{}.tar", std::process::id()));
    let saves = (0..RUNS).map(|_| subject.timed(&["save", "-o", &saved.display().to_string(), &pushed]));
    figures.add("save_s", median(saves.collect()));
    // Best effort: it is below the temporary directory.
    let _ = fs::remove_file(&saved);
    figures.add("images_peak_mb", subject.processes.peak());
    subject.remove(&[NAME, &pushed]);
}

impl Subject {
    /// Seconds that a command of the stock client takes.
    fn timed(&self, arguments: &[&str]) -> f64 {
        let begin = Instant::now();
        self.client.run(arguments).exits(0);
        begin.elapsed().as_secs_f64()
    }

    /// Removes images, as far as they are there.
    fn remove(&self, names: &[&str]) {
        for name in names {
            self.client.run(&["rmi", "-f", name]);
        }
    }
}

/// The archive of the image, made of two fixtures.
fn archive() -> Result<PathBuf> {
    let path = cache_directory().join("bench-two-layers.tar");
    if path.exists() {
        return Ok(path);
    }
    let layers = [layer(&Fixture::Debian.archive()?)?, layer(&Fixture::Web.archive()?)?];
    let image = Image { reference: NAME.to_owned(), layers: layers.into(), config: json!({"Cmd": ["nginx"]}) };
    let partial = path.with_extension("partial");
    image.write(BufWriter::new(File::create(&partial)?))?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

/// The only layer of a fixture.
fn layer(archive: &Path) -> Result<Layer> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with("layer.tar") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(Layer::from_tar(bytes));
        }
    }
    None.context("the fixture has no layer")
}
