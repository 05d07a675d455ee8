//! What a registry answers for an image: manifests, indexes, schema 1.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| transfer::fuzzing::manifest(bytes));
