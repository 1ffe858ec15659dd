//! Resolve, build and plan: from what a user declared and what was observed to the steps that close the gap.
//!
//! This crate is pure. It must not depend on tokio, on a Kubernetes client or on an AWS SDK, and it never reads a clock,
//! an environment variable or a random number: the same input gives the same plan, on every machine and in every order of
//! arrival. `.ci/run` checks its dependency tree.
//!
//! The way through it, in the order of a pass:
//! [`resolve`] turns a custom resource and its [`facts::PlatformFacts`] into a typed value on which nothing fails any more;
//! [`build`] turns that into a [`blueprint::Blueprint`], the graph of all desired resources;
//! [`planner`] compares the blueprint with what was [`observed`] and gives a [`plan::Plan`];
//! [`report`] says in conditions what the plan and the observation mean.

pub mod account;
pub mod allowed;
pub mod attempts;
pub mod aws;
pub mod blueprint;
pub mod budget;
pub mod build;
pub mod claims;
pub mod decisions;
pub mod difference;
pub mod duration;
pub mod facts;
pub mod failure;
pub mod found;
pub mod inventory;
pub mod kubernetes;
pub mod last_seen;
pub mod names;
pub mod observed;
pub mod outputs;
pub mod permissions;
pub mod plan;
pub mod planner;
pub mod quota;
pub mod report;
pub mod resolve;
pub mod resource;
pub mod sensitive;
pub mod template;
pub mod version;
