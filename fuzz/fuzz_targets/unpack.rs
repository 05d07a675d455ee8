//! Layers: whatever the archive says, nothing outside of its directory changes.
#![no_main]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Where the caller says and cleans up; otherwise in memory.
fn place() -> &'static PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let own = || PathBuf::from("/dev/shm").join(format!("gantry-fuzz-{}", std::process::id()));
        let place = std::env::var_os("GANTRY_FUZZ_PLACE").map_or_else(own, PathBuf::from);
        fs::create_dir_all(&place).expect("a directory in memory");
        fs::write(place.join("canary"), "safe").expect("a canary");
        place
    })
}

fuzz_target!(|archive: &[u8]| {
    let place = place();
    let root = place.join("root");
    fs::create_dir_all(&root).expect("a directory");
    let apply = archive.first().is_some_and(|byte| byte % 2 == 0);
    store::fuzzing::unpack(archive, &root, apply);
    fs::remove_dir_all(&root).expect("what was unpacked can be removed");
    let left: Vec<_> = fs::read_dir(place).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(left, ["canary"]);
    let canary = fs::symlink_metadata(place.join("canary")).expect("the canary lives");
    assert_eq!((canary.len(), canary.nlink(), canary.mode()), (4, 1, 0o100_644));
});
