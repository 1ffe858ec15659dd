//! SQS.

mod queue;

pub(crate) use queue::QueueApi;
