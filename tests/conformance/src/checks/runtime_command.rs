//! The same through the command line of the runtime: `gantry-runtime run`, `exec`, `pause`, `kill`, `delete`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Place, bundle};
use crate::report::Outcome;

/// A bundle on disk and the runtime that runs it.
struct Bundle<'a> {
    place: &'a Place,
    runtime: &'a Path,
    busybox: &'a Path,
    name: String,
    directory: PathBuf,
}

/// Prepares a bundle and hands it to a check; deletes the container and the bundle whatever happened.
fn with_bundle(
    place: &Place,
    name: &str,
    resources: &Value,
    command: &[&str],
    check: impl FnOnce(&Bundle<'_>) -> Result<()>,
) -> Result<Outcome> {
    let (Some(runtime), Some(busybox)) = (&place.runtime, &place.busybox) else {
        return Ok(Outcome::Skipped("no gantry-runtime or no static busybox was given".to_owned()));
    };
    let features = Command::new(runtime).arg("features").output().context("starting gantry-runtime")?;
    if !features.status.success() || features.stdout.is_empty() {
        return Ok(Outcome::Skipped("this gantry-runtime answers no features command".to_owned()));
    }
    let name = format!("conformance-{}-{name}", std::process::id());
    let directory = place.scratch.join(&name);
    bundle::make_root(&directory.join("rootfs"), busybox)?;
    let spec = bundle::configuration(&format!("{}/{name}", place.parent), resources, command);
    fs::write(directory.join("config.json"), serde_json::to_vec_pretty(&spec)?).context("writing config.json")?;
    let bundle = Bundle { place, runtime, busybox, name, directory };
    let result = check(&bundle);
    drop(bundle.call(&["delete", "--force", &bundle.name]));
    drop(fs::remove_dir_all(&bundle.directory));
    result.map(|()| Outcome::Passed)
}

// === impl Bundle ===

impl Bundle<'_> {
    /// Runs the runtime for at most half a minute. Its output goes to a file: a container that is left over keeps a
    /// pipe open.
    fn call(&self, arguments: &[&str]) -> Result<(ExitStatus, String)> {
        let path = self.place.scratch.join(format!("{}.output", self.name));
        let output = File::create(&path).context("making the output file")?;
        let status = Command::new(self.busybox)
            .args(["timeout", "-s", "KILL", "30"])
            .arg(self.runtime)
            .arg("--root")
            .arg(self.place.scratch.join("state"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .context("starting gantry-runtime")?;
        Ok((status, fs::read_to_string(&path)?.trim().to_owned()))
    }

    fn must(&self, arguments: &[&str]) -> Result<String> {
        let (status, output) = self.call(arguments)?;
        ensure!(status.success(), "{arguments:?} ended with {status}: {output}");
        Ok(output)
    }

    fn run(&self) -> Result<String> {
        self.must(&["run", "--bundle", &self.directory.to_string_lossy(), &self.name])
    }

    /// Starts it in the background.
    fn start(&self) -> Result<()> {
        self.must(&["create", "--bundle", &self.directory.to_string_lossy(), &self.name])?;
        self.must(&["start", &self.name]).map(drop)
    }

    fn state(&self) -> Result<(String, i64)> {
        let state: Value = serde_json::from_str(&self.must(&["state", &self.name])?).context("decoding the state")?;
        Ok((state["status"].as_str().unwrap_or_default().to_owned(), state["pid"].as_i64().unwrap_or(0)))
    }
}

pub(super) fn runs_a_bundle(place: &Place) -> Result<Outcome> {
    let command = ["/bin/busybox", "sh", "-c", "busybox hostname; echo $$; busybox ls /"];
    with_bundle(place, "run", &json!({}), &command, |bundle| {
        let output = bundle.run()?;
        ensure!(output.starts_with("conformance\n1\nbin\ndev\n"), "{output}");
        Ok(())
    })
}

pub(super) fn applies_limits(place: &Place) -> Result<Outcome> {
    with_bundle(place, "limits", &bundle::limit_resources(), &bundle::limit_script(), |bundle| {
        bundle::check_limit_output(place, &bundle.run()?)
    })
}

pub(super) fn applies_device_rules(place: &Place) -> Result<Outcome> {
    with_bundle(place, "devices", &bundle::device_resources(), &bundle::device_script(), |bundle| {
        bundle::check_device_output(&bundle.run()?)
    })
}

pub(super) fn pauses_and_kills(place: &Place) -> Result<Outcome> {
    with_bundle(place, "pause", &json!({}), &["/bin/busybox", "sleep", "1000"], |bundle| {
        bundle.start()?;
        let (status, pid) = bundle.state()?;
        ensure!(status == "running" && pid > 0, "{status} {pid}");
        bundle.must(&["pause", &bundle.name])?;
        ensure!(bundle.state()?.0 == "paused", "not paused");
        bundle.must(&["resume", &bundle.name])?;
        ensure!(bundle.state()?.0 == "running", "not resumed");
        bundle.must(&["kill", &bundle.name, "KILL"])?;
        for _ in 0..200 {
            if bundle.state()?.0 == "stopped" {
                return bundle.must(&["delete", &bundle.name]).map(drop);
            }
            sleep(Duration::from_millis(10));
        }
        anyhow::bail!("still {:?} after SIGKILL", bundle.state())
    })
}
