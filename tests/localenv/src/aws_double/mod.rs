//! The AWS double as a process, and what a test asks of the double itself.

mod call;
mod control;
mod fault;
mod hold;
mod process;
mod script;

pub use call::{AwsCall, CallFilter};
pub use control::AwsControl;
pub use fault::{AwsFault, FaultId, FaultKind};
pub use hold::Hold;
pub(crate) use process::AwsDouble;
pub use script::{Outcome, RateLimit};
