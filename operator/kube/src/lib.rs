//! Everything Shopkeeper needs from Kubernetes as such: watching with stores, a work queue, the workers behind it, server-side
//! apply, status, events and leader election.
//!
//! May touch: the API server. Must not: know Shopkeeper's custom resources, decide what to write, or talk to AWS.
//!
//! Why not `kube::runtime::Controller`: it delays every trigger of a controller while one of its watches fails, its pending set
//! has no order and no lanes, it does not announce what was deleted while a watch was down, and a panic in one pass ends it.
//! Here each watched kind has a task of its own ([`watch`]) that keeps a [`store`] and feeds a [`queue`], and
//! [`controller::run_workers`] takes passes from that queue.

pub mod apply;
pub mod client;
pub mod controller;
pub mod error;
pub mod events;
pub mod lease;
pub mod managers;
pub mod metrics;
pub mod packed;
pub mod queue;
pub mod status;
pub mod store;
pub mod tenure;
#[cfg(test)]
mod testing;
pub mod watch;

pub use error::Error;

/// The field manager of everything applied to objects that are not our own status.
pub const FIELD_MANAGER: &str = "shopkeeper";

/// The field manager of status. It differs from [`FIELD_MANAGER`] since a manager that applies without a field gives that field
/// up, and the two are never applied together.
pub const STATUS_FIELD_MANAGER: &str = "shopkeeper-status";
