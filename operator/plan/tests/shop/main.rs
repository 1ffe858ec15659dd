//! The planner against a world that behaves as AWS and Kubernetes do, and what is built for the example shops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adoption;
mod any_specification;
mod approval;
mod bounds;
mod built;
mod cache_users;
mod contradictions;
mod convergence;
mod dead_letters;
mod drift;
mod exposures;
mod external;
mod fargate;
mod gateways;
mod groups;
mod health;
mod identity;
mod losses;
mod lost_inventories;
mod media;
mod names;
mod names_of_others;
mod network;
mod nodes;
mod other_than_wanted;
mod places;
mod plans_that_change;
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
mod unlisted;
mod versions;
mod what_stays;
mod workload;

use shopkeeper_worlds::{fixture, invariants, world};
