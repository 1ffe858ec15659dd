//! The plan of what was carried out is empty, from whatever there was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::properties;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let kind = properties::kind(&mut choices);
    if let Some((before, after)) = properties::before_and_after(kind, &mut choices) {
        properties::converge(&before, &after, &mut choices);
    }
});
