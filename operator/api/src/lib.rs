//! The custom resources of Shopkeeper: types, CEL rules, bounds and printer columns of group `shopkeeper.dev`.
//!
//! This crate may touch nothing but its own types: no client, no IO, no clock. Everything that reads or writes the world
//! depends on it, so it must stay cheap to build and free of surprises.
//!
//! One file holds one kind, one file holds one shared block. [`crd::all_crds`] is what gets installed: the derived
//! definitions, finished with what a derive cannot know (bounds, list types, the default status). [`definition`] compares them with
//! installed ones.

pub mod bindings;
pub mod cache;
pub mod catalog_service;
pub mod crd;
pub mod database;
pub mod defaults;
pub mod definition;
pub mod disruption;
pub mod exposures;
pub mod external;
pub mod identity;
pub mod media;
pub mod network;
pub mod nodes;
pub mod notifications;
pub mod order_service;
pub mod pattern;
pub mod platform;
pub mod pod;
pub mod policy;
pub mod reference;
pub mod resource;
pub mod scaling;
mod schema;
pub mod status;
pub mod storefront;
pub mod table;
pub mod tracing;
pub mod volume;
pub mod workload;

pub use catalog_service::{CatalogService, CatalogServiceSpec};
pub use crd::{all_crds, crds};
pub use order_service::{OrderService, OrderServiceSpec};
pub use platform::{Platform, PlatformSpec, PlatformStatus};
pub use resource::{Managed, Tier};
pub use status::Status;
pub use storefront::{Frontend, Storefront, StorefrontSpec};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// API group of every custom resource.
pub const GROUP: &str = "shopkeeper.dev";
/// API version served and stored.
pub const VERSION: &str = "v1alpha1";
/// Category that lists every kind: `kubectl get shopkeeper`.
pub const CATEGORY: &str = "shopkeeper";
/// Annotation that asks for a reconciliation now. Its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "shopkeeper.dev/reconcile-requested-at";
/// Annotation that approves one plan. Its value is the plan's hash, so that an approval cannot outlive what was read.
pub const APPROVE: &str = "shopkeeper.dev/approve";
/// Annotation on a node that Shopkeeper cordoned, with the custom resource it did so for. What does not carry it was cordoned by
/// somebody else, and is not uncordoned.
pub const CORDONED_FOR: &str = "shopkeeper.dev/cordoned-for";
/// Tag and label that names the owner of a resource: `<kind>/<namespace>/<name>`.
pub const OWNER: &str = "shopkeeper.dev/owner";
/// Tag and label with the uid of the owner: names come back after a deletion, a uid does not.
pub const OWNER_UID: &str = "shopkeeper.dev/owner-uid";
/// Finalizer that keeps a custom resource until what it made outside the cluster is gone or handed over.
pub const FINALIZER: &str = "shopkeeper.dev/finalizer";

/// Whether an option is on. An enum and not a bool, since AWS has turned such switches into three-way choices before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum Toggle {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

impl Toggle {
    /// True for [`Toggle::Enabled`].
    pub fn is_enabled(self) -> bool {
        self == Toggle::Enabled
    }
}

impl From<bool> for Toggle {
    fn from(on: bool) -> Self {
        if on {
            Toggle::Enabled
        } else {
            Toggle::Disabled
        }
    }
}
