//! Names of images: what is a name is written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use types::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    for shown in [reference.to_string(), reference.familiar()] {
        let again: Reference = shown.parse().unwrap_or_else(|error| panic!("{text:?} shown as {shown:?}: {error}"));
        assert_eq!(again.to_string(), reference.to_string(), "{text:?} shown as {shown:?}");
    }
    let tagged = reference.clone().with_default_tag();
    assert!(tagged.tag().is_some() || tagged.digest().is_some());
});
