//! Worlds in which plans are made and carried out: what AWS and Kubernetes do with a step, what becomes of a shop that nobody looks
//! at, and what has to hold in all of them.
//!
//! Everything random is made of [`Choices`](shopkeeper_specifications::Choices), which are bytes: the tests of `shopkeeper-plan` take
//! them from proptest, the targets in `fuzz/` from libFuzzer, and both call the same [`properties`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests and fuzzers use this crate"
)]

pub mod fixture;
pub mod fortunes;
pub mod invariants;
pub mod properties;
pub mod surroundings;
pub mod world;
