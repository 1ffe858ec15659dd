//! Application Auto Scaling.

mod target;

pub(crate) use target::TargetApi;
