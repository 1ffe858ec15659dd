//! Whatever is there: the plan keeps what every plan has to keep, and is the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::properties;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let kind = properties::kind(&mut choices);
    if let Some((before, after)) = properties::before_and_after(kind, &mut choices) {
        properties::plan(&before, &after, &mut choices);
    }
});
