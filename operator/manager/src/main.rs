//! manager.

fn main() {}
