//! SQS.

mod emptied;
mod queue;

pub use emptied::COUNTS_LAG;
pub(crate) use emptied::Emptied;
pub(crate) use queue::QueueApi;
