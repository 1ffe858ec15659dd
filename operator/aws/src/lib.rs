//! AWS: observe resources and execute steps, one call at a time.
//!
//! This crate may talk to AWS and to nothing else: no Kubernetes client, no custom resources, no decisions. What to do
//! comes as a step of a plan from `shopkeeper-plan`; what was found goes back as an observation. A module never waits for
//! AWS to finish something: it makes one call and returns, and the next pass sees how far AWS has come.
//!
//! One module for each AWS service, one file for each kind of resource; [`registry`] ties them to the kinds.

pub mod account;
pub mod applicationautoscaling;
mod arn;
pub mod budget;
pub mod calls;
pub mod cloudtrail;
pub mod dynamodb;
pub mod eks;
pub mod elasticache;
pub mod error;
pub mod iam;
pub mod kms;
mod listing;
mod made;
pub mod observer;
pub mod owned;
mod parameters;
pub mod parts;
pub mod rds;
pub mod registry;
mod request;
pub mod resource;
mod resourcegroupstagging;
pub mod s3;
pub mod secretsmanager;
pub mod servicequotas;
pub mod sns;
pub mod sqs;
pub mod sts;
pub mod tenure;

pub use account::{Account, Lags, Scope};
pub use observer::{Age, Observer};
pub use owned::Owned;
pub use parts::Parts;
pub use resource::{DeletionToken, Found, ResourceApi};
pub use tenure::Tenure;
