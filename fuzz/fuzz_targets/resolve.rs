//! Whatever is declared, in whatever surroundings: resolved or refused with a reason, and never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::properties;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    properties::resolve(properties::kind(&mut choices), &mut choices);
});
