//! References from one custom resource to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// Names the Platform that a custom resource runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformReference {
    /// Name of the Platform.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub name: String,
}

/// Kinds that run a workload others can call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::schema::without_description)]
pub enum ServiceKind {
    /// A catalog.
    CatalogService,
    /// Orders.
    OrderService,
}

impl ServiceKind {
    /// The kind as written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceKind::CatalogService => "CatalogService",
            ServiceKind::OrderService => "OrderService",
        }
    }
}

/// Names a service of this shop.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Kind of the service.
    pub kind: ServiceKind,
    /// Name of the service.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Namespace of the service. Default: the namespace of the custom resource that refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
}

/// Names a frontend of a Storefront.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct FrontendReference {
    /// Name of the Storefront.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub storefront: String,
    /// Name of the frontend in it.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// Namespace of the Storefront. Default: the namespace of the custom resource that refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
}
