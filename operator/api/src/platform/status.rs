//! What Shopkeeper says about a Platform.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{schema, status::Status};

/// What Shopkeeper says about a Platform.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformStatus {
    /// What it says about every kind.
    #[serde(flatten)]
    pub shared: Status,
    /// The network that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkStatus>,
    /// The key in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionStatus>,
    /// The cluster that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterStatus>,
    /// Quotas of the account in the region that are checked before AWS refuses. Absent where the operator may not read them; AWS's
    /// defaults are assumed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<QuotaStatus>,
    /// Custom resources that left data in AWS (`OrderService/shop/orders`), kept or in a last snapshot or backup, and the deletion policy
    /// under which they did. None of it can be read without the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::by_owner")]
    pub retained: BTreeMap<String, String>,
}

/// Most entries of `status.retained`. One is enough to keep the key.
pub const MOST_RETAINED: usize = 64;

/// The network that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
    /// Id of the VPC.
    #[schemars(length(max = 32))]
    pub vpc_id: String,
    /// Network of the VPC in CIDR notation.
    #[schemars(length(max = 49))]
    pub cidr: String,
    /// Subnets without a way in from the internet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub private_subnets: Vec<SubnetStatus>,
    /// Subnets with a way in from the internet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub public_subnets: Vec<SubnetStatus>,
}

/// A subnet that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubnetStatus {
    /// Id of the subnet.
    #[schemars(length(max = 32))]
    pub id: String,
    /// Availability zone.
    #[schemars(length(max = 32))]
    pub zone: String,
    /// Network of the subnet in CIDR notation.
    #[schemars(length(max = 49))]
    pub cidr: String,
}

/// The key in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionStatus {
    /// ARN of the key.
    #[schemars(length(max = 256))]
    pub key_arn: String,
    /// Alias of the key, where Shopkeeper made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub alias: Option<String>,
}

/// The cluster that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// ARN of the cluster.
    #[schemars(length(max = 256))]
    pub arn: String,
    /// Kubernetes version of the control plane.
    #[schemars(length(max = 16))]
    pub version: String,
    /// Address of the API server.
    #[schemars(length(max = 512))]
    pub endpoint: String,
    /// Issuer of the tokens of service accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub oidc_issuer: Option<String>,
    /// State of the issuer's identity provider in IAM, which IRSA needs: `ACTIVE`, `Missing`, or `WrongAudience` where it does not
    /// accept `sts.amazonaws.com`. Absent where the operator may not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub oidc_provider: Option<String>,
    /// Security group that EKS gives to nodes and control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub security_group_id: Option<String>,
    /// State of the add-on that gives pods their identity: `ACTIVE`, `Missing`, or `AutoModeNodes` where it is missing and the nodes of EKS
    /// Auto Mode, which have it built in, are the only ones with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub pod_identity_agent: Option<String>,
}

/// Quotas of the account in the region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaStatus {
    /// Managed node groups per cluster (L-6D54EA21).
    pub node_groups_per_cluster: i32,
    /// Nodes per managed node group (L-BD136A63).
    pub nodes_per_node_group: i32,
    /// Fargate profiles per cluster (L-33415657). Left out by versions that did not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fargate_profiles_per_cluster: Option<i32>,
}
