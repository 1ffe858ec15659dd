//! Whatever comes first: it ends the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::properties;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    properties::arrive(properties::kind(&mut choices), &mut choices);
});
