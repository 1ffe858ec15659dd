//! Platform: the AWS account, the EKS cluster and the network that a shop runs on.

mod aws;
mod encryption;
mod network;
mod prometheus;
mod status;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    aws::{Aws, AwsApi, AwsBudget},
    encryption::{Encryption, EncryptionType, ExistingKey, ManagedKey},
    network::{ExistingNetwork, NetworkType, PlatformNetwork, SubnetSelector, VpcSelector},
    prometheus::{Prometheus, PrometheusPods, PrometheusType},
    status::{
        ClusterStatus, EncryptionStatus, MOST_RETAINED, NetworkStatus, PlatformStatus, QuotaStatus,
        SubnetStatus,
    },
};
use crate::{pattern, policy::Policy, schema};

/// The AWS account, region, EKS cluster, network and key that shops run on, with defaults for what they leave out.
#[allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the derive reads one column at a time"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "shopkeeper.dev",
    version = "v1alpha1",
    kind = "Platform",
    plural = "platforms",
    shortname = "skp",
    category = "shopkeeper",
    status = "PlatformStatus",
    derive = "PartialEq",
    doc = "The AWS account, region, EKS cluster, network and key that shops run on, with defaults for what they leave out.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.aws.region"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    cel
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.encryption) && has(self.encryption.existing) ? self.encryption.existing.keyArn : 'Managed') == (has(oldSelf.encryption) && has(oldSelf.encryption.existing) ? oldSelf.encryption.existing.keyArn : 'Managed')")
        .message("the key is immutable: databases and caches cannot be encrypted anew in place; make another Platform and migrate"),
    validation = Rule::new("!has(self.encryption) || !has(self.encryption.existing) || self.encryption.existing.keyArn.contains(':kms:' + self.aws.region + ':')")
        .message("encryption.existing.keyArn must be a key of aws.region: KMS keys serve their own region alone; a multi-Region key has a replica with another ARN in each")
)]
pub struct PlatformSpec {
    /// Account and region.
    pub aws: Aws,
    /// The EKS cluster that Shopkeeper runs in.
    pub cluster: Cluster,
    /// VPC and subnets.
    pub network: PlatformNetwork,
    /// Key that everything at rest is encrypted with. Default: type Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What custom resources on this Platform leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<PlatformDefaults>,
    /// Which roles of yours pods may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PlatformIdentity>,
    /// Where Prometheus runs, which NetworkPolicies let in to the port of `workload.metrics`. Default: type Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// What of yours custom resources may take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<PlatformAdoption>,
    /// Namespaces whose custom resources may use this Platform. Default: type All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// What Shopkeeper may do by itself to what the Platform owns. What is left out comes from `defaults.policy`, but for `deletion`:
    /// the key is deleted only if `Delete` stands here, and is kept all the same as long as `status.retained` names data that needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// An EKS cluster that exists. It is read and not changed: its status shows version, Pod Identity agent and OIDC issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Name of the cluster. Immutable.
    #[schemars(
        length(min = 1, max = 100),
        regex(pattern = "^[0-9A-Za-z][A-Za-z0-9_-]*$")
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cluster.name is immutable: make another Platform for another cluster"))]
    pub name: String,
}

/// Which roles of yours pods may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformIdentity {
    /// ARNs of the roles that `identity.existing.roleArn` of a workload may name, with `*` for any text:
    /// `arn:aws:iam::123456789012:role/shop/*`. Whoever may write a custom resource may run pods with any of them. An empty list: none.
    /// Default: all of the Platform's account but the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 20, max = 2048), regex(pattern = pattern::ROLE_ARNS)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_roles: Option<Vec<String>>,
}

/// What of yours custom resources may take over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformAdoption {
    /// Names of the AWS resources without an owner tag that `policy.adoption: Adopt` may take over, with `*` for any text: `legacy-*`.
    /// Whoever may write a custom resource may change and delete any of them. An empty list: none. Default: all of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255), regex(pattern = pattern::RESOURCE_NAMES)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_names: Option<Vec<String>>,
}

/// What custom resources on a Platform leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDefaults {
    /// What Shopkeeper may do by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Tag of images that name neither tag nor digest: the version of the whole shop. Changing it rolls all workloads that follow
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = pattern::IMAGE_TAG))]
    pub image_tag: Option<String>,
    /// Tags of every AWS resource, beside the owner's. A tag that is taken out of the list stays where it is, as tags of others do:
    /// remove it in AWS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::tags")]
    pub tags: BTreeMap<String, String>,
}

/// Namespaces whose custom resources may use a Platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.names) == (self.type == 'Names')")
        .message("names must be set when type is Names, and left out otherwise"),
    validation = Rule::new("has(self.selector) == (self.type == 'Selector')")
        .message("selector must be set when type is Selector, and left out otherwise")
)]
pub struct AllowedNamespaces {
    /// `All` namespaces, those with certain `Names`, or those whose labels a `Selector` matches.
    #[serde(rename = "type")]
    pub type_: AllowedNamespacesType,
    /// Names of namespaces, for type Names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63), regex(pattern = pattern::LABEL)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
    /// Selector over the labels of namespaces, for type Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Ways to choose namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum AllowedNamespacesType {
    /// All of them.
    All,
    /// By name.
    Names,
    /// By label.
    Selector,
}
