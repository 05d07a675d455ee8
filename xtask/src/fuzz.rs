//! `cargo xtask fuzz [SECONDS]`: the targets in `fuzz/`, each for so long.
//!
//! cargo-fuzz wants a nightly compiler for its sanitizers; the counters that lead the search are in the stable one too,
//! and nothing here is `unsafe`, so a panic, an endless loop and memory without end are what there is to be found.

use anyhow::{Context as _, Result};
use privileged_tests::fixtures::workspace;

use crate::cargo::{cargo, command, run as run_command};

const TARGETS: [&str; 4] = ["reference", "challenge", "manifest", "unpack"];
const SECONDS: u32 = 20;
/// What counts the branches that an input takes, and what is compared with what.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds and runs all targets; fails at the first input that breaks one, which is kept in `target/fuzz`.
pub fn run(arguments: &[String]) -> Result<()> {
    let seconds: u32 = arguments.first().map_or(Ok(SECONDS), |text| text.parse()).context("SECONDS is a number")?;
    let (fuzz, made) = (workspace().join("fuzz"), workspace().join("target/fuzz"));
    let mut build = cargo();
    build.args(["build", "--manifest-path"]).arg(fuzz.join("Cargo.toml"));
    build.arg("--target-dir").arg(&made).args(["--target", "host-tuple"]).env("RUSTFLAGS", FLAGS);
    run_command(&mut build)?;
    let triple = std::env::consts::ARCH.to_owned() + "-unknown-linux-gnu";
    for target in TARGETS {
        let corpus = made.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
        let mut fuzzer = command(made.join(&triple).join("debug").join(target));
        fuzzer.arg(&corpus).arg(fuzz.join("corpus").join(target));
        fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", made.display()));
        // A slow machine is no finding; memory without end is.
        fuzzer.args(["-timeout=60", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1", "-verbosity=0"]);
        // In memory: layers are unpacked there, thousands a second.
        let place = std::path::PathBuf::from(format!("/dev/shm/gantry-fuzz-{}", std::process::id()));
        let result = run_command(fuzzer.env("GANTRY_FUZZ_PLACE", &place));
        if place.exists() {
            std::fs::remove_dir_all(&place).with_context(|| format!("remove {}", place.display()))?;
        }
        result?;
    }
    Ok(())
}
