//! Platform: the AWS account, the EKS cluster and the network that a shop runs on.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, policy::Policy, schema, status::Status};

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
    /// Namespaces whose custom resources may use this Platform. Default: type All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// What Shopkeeper may do by itself to what the Platform owns. What is left out comes from `defaults.policy`, but for `deletion`:
    /// the key is deleted only if `Delete` stands here, and is kept all the same as long as `status.retained` names data that needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Account and region, which are immutable, and how many calls Shopkeeper makes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// Number of the account, which is checked before the first change. Immutable.
    #[schemars(length(equal = 12), regex(pattern = pattern::ACCOUNT_ID))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("accountId is immutable: make another Platform for another account"))]
    pub account_id: String,
    /// Region. Immutable.
    #[schemars(length(min = 5, max = 32), regex(pattern = pattern::REGION))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("region is immutable: make another Platform for another region"))]
    pub region: String,
    /// How many calls Shopkeeper makes to the APIs of AWS, where that is to be other than the default: about half of what AWS lets an
    /// account do, since people and other tools share it. All Platforms of an account and region share one budget for each API; where
    /// several name one, the least holds. IAM has one for all regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["api"]))]
    pub budgets: Vec<AwsBudget>,
}

/// How many calls Shopkeeper makes to one API of AWS: a token bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.burst) || self.burst >= self.callsPerSecond")
    .message("burst must be callsPerSecond or more: a bucket that holds less never gives that many"))]
pub struct AwsBudget {
    /// The API.
    pub api: AwsApi,
    /// Calls a second, in the long run.
    #[schemars(range(min = 1, max = 1000))]
    pub calls_per_second: i32,
    /// Calls at once, after a time with fewer. Default: twice callsPerSecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000))]
    pub burst: Option<i32>,
}

/// An API of AWS that has a limit of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::schema::without_description)]
#[allow(
    clippy::upper_case_acronyms,
    reason = "the names that AWS gives to them, which are also the values in the API"
)]
pub enum AwsApi {
    /// Capacity of tables.
    ApplicationAutoScaling,
    /// Tables.
    DynamoDB,
    /// VPCs and subnets.
    EC2,
    /// Node groups and Pod Identity associations.
    EKS,
    /// Caches and their users.
    ElastiCache,
    /// Roles.
    IAM,
    /// Keys.
    KMS,
    /// Databases.
    RDS,
    /// Tags of everything, by the hundred.
    ResourceGroupsTaggingAPI,
    /// Buckets.
    S3,
    /// Passwords.
    SecretsManager,
    /// Quotas of the account.
    ServiceQuotas,
    /// Topics and subscriptions.
    SNS,
    /// Queues.
    SQS,
}

impl AwsApi {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ApplicationAutoScaling,
        Self::DynamoDB,
        Self::EC2,
        Self::EKS,
        Self::ElastiCache,
        Self::IAM,
        Self::KMS,
        Self::RDS,
        Self::ResourceGroupsTaggingAPI,
        Self::S3,
        Self::SecretsManager,
        Self::ServiceQuotas,
        Self::SNS,
        Self::SQS,
    ];

    /// The value in the API, and of the metric label `api`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplicationAutoScaling => "ApplicationAutoScaling",
            Self::DynamoDB => "DynamoDB",
            Self::EC2 => "EC2",
            Self::EKS => "EKS",
            Self::ElastiCache => "ElastiCache",
            Self::IAM => "IAM",
            Self::KMS => "KMS",
            Self::RDS => "RDS",
            Self::ResourceGroupsTaggingAPI => "ResourceGroupsTaggingAPI",
            Self::S3 => "S3",
            Self::SecretsManager => "SecretsManager",
            Self::ServiceQuotas => "ServiceQuotas",
            Self::SNS => "SNS",
            Self::SQS => "SQS",
        }
    }
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

/// VPC and subnets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
    .message("existing must be set when type is Existing, and left out otherwise"))]
pub struct PlatformNetwork {
    /// `Existing` uses a VPC that is there.
    #[serde(rename = "type")]
    pub type_: NetworkType,
    /// The VPC to use, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingNetwork>,
}

/// Where the network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum NetworkType {
    /// It is there.
    Existing,
}

/// A network that is there and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingNetwork {
    /// The VPC.
    pub vpc: VpcSelector,
    /// Subnets without a way in from the internet, in two zones or more: for nodes and data tiers.
    pub private_subnets: SubnetSelector,
    /// Subnets with a way in from the internet, in two zones or more: for load balancers. Left out: no public Storefront can run
    /// on this Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_subnets: Option<SubnetSelector>,
    /// Security groups of databases and caches, which must let the pods in. Default: the one that EKS made for the cluster and puts
    /// on every node of a managed node group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(min = 11, max = 32), regex(pattern = "^sg-[0-9a-f]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub data_security_group_ids: Vec<String>,
}

/// Finds a VPC, by id or by tags. One of the two, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.id) != has(self.tags)").message("set either id or tags, not both"))]
pub struct VpcSelector {
    /// Id of the VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 32), regex(pattern = "^vpc-[0-9a-f]+$"))]
    pub id: Option<String>,
    /// Tags that exactly one VPC has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::tag_selector")]
    pub tags: BTreeMap<String, String>,
}

/// Finds subnets of the VPC, by id or by tags. One of the two, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.ids) != has(self.tags)").message("set either ids or tags, not both"))]
pub struct SubnetSelector {
    /// Ids of the subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 15, max = 32), regex(pattern = "^subnet-[0-9a-f]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub ids: Vec<String>,
    /// Tags that the subnets have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::tag_selector")]
    pub tags: BTreeMap<String, String>,
}

/// Key that everything at rest is encrypted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
        .message("existing must be set when type is Existing, and left out otherwise"),
    validation = Rule::new("!has(self.managed) || self.type == 'Managed'")
        .message("managed may only be set when type is Managed")
)]
pub struct Encryption {
    /// `Managed` makes a KMS key with rotation, `Existing` uses one of yours.
    #[serde(rename = "type")]
    pub type_: EncryptionType,
    /// Your key, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingKey>,
    /// The key to make, for type Managed. Everything in it has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKey>,
}

/// Where the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum EncryptionType {
    /// Shopkeeper makes it.
    Managed,
    /// It is there.
    Existing,
}

/// A key that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingKey {
    /// ARN of the key (not of an alias, which can be pointed elsewhere). For topics that deliver to queues, its policy must let
    /// `sns.amazonaws.com` use it, and for media behind CloudFront `cloudfront.amazonaws.com` (`kms:Decrypt`).
    #[schemars(length(min = 20, max = 256), regex(pattern = pattern::KEY_ARN))]
    pub key_arn: String,
}

/// A key that Shopkeeper makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKey {
    /// Days between rotations. Default: 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 90, max = 2560))]
    pub rotation_period_days: Option<i32>,
}

/// Which roles of yours pods may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformIdentity {
    /// ARNs of the roles that `identity.existing.roleArn` of a workload may name, with `*` for any text:
    /// `arn:aws:iam::123456789012:role/shop/*`. Whoever may write a custom resource may run pods with any of them. An empty list: none.
    /// Default: all of the account but the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 20, max = 2048), regex(pattern = pattern::ROLE_ARNS)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_roles: Option<Vec<String>>,
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
    /// State of the add-on that gives pods their identity: `ACTIVE`, or `Missing`.
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
