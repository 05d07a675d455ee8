//! The header with which a registry asks for a login.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| transfer::fuzzing::challenge(bytes));
