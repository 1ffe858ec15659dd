//! The planner against a world that behaves as AWS and Kubernetes do, and what is built for the example shops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adoption;
mod any_specification;
mod approval;
mod bounds;
mod built;
mod cache_users;
mod convergence;
mod drift;
mod exposures;
mod external;
mod fargate;
mod fixture;
mod gateways;
mod identity;
mod invariants;
mod losses;
mod lost_inventories;
mod names;
mod names_of_others;
mod network;
mod nodes;
mod places;
mod pod_template_patches;
mod pods_that_end;
mod properties;
mod references;
mod regions;
mod remarks;
mod removal;
mod replicas;
mod reported;
mod reported_while_aws_is_silent;
mod resolving;
mod resolving_storefronts;
mod retail_store;
mod scaling;
mod subscriptions;
mod teardown;
mod versions;
mod workload;
mod world;
