//! Application Auto Scaling.

mod target;
mod targets_of;

pub(crate) use target::TargetApi;
pub(crate) use targets_of::targets_of;
