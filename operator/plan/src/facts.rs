//! What a Platform knows of the AWS account, the cluster and the network, as the builders use it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{allowed::Allowed, aws::Tags, quota::Quotas};

/// An existing VPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VpcFacts {
    /// Id.
    pub id: String,
    /// Primary IPv4 block.
    pub cidr: String,
}

/// An existing subnet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetFacts {
    /// Id.
    pub id: String,
    /// Availability zone, `eu-west-1a`.
    pub zone: String,
    /// IPv4 block.
    pub cidr: String,
}

/// The identity provider in IAM for the issuer of a cluster's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OidcProvider {
    /// It is there and accepts tokens that are meant for STS.
    Active,
    /// It is not there.
    Missing,
    /// It is there and does not accept them.
    WrongAudience,
}

impl OidcProvider {
    /// As the status of a Platform has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Missing => "Missing",
            Self::WrongAudience => "WrongAudience",
        }
    }

    /// From the status of a Platform.
    #[must_use]
    pub fn from_status(text: &str) -> Option<Self> {
        [Self::Active, Self::Missing, Self::WrongAudience]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Where in a cluster pods find the Pod Identity agent, without which associations give them no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodIdentityAgent {
    /// On all nodes: it is there as an add-on.
    AddOn,
    /// On nodes of EKS Auto Mode, which have it built in, and not on those of node groups.
    AutoModeNodes,
    /// Nowhere.
    Missing,
}

impl PodIdentityAgent {
    /// As the status of a Platform has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddOn => "ACTIVE",
            Self::AutoModeNodes => "AutoModeNodes",
            Self::Missing => "Missing",
        }
    }

    /// From the status of a Platform. Where it does not say, nothing is missed.
    #[must_use]
    pub fn from_status(text: Option<&str>) -> Self {
        [Self::AutoModeNodes, Self::Missing]
            .into_iter()
            .find(|agent| Some(agent.as_str()) == text)
            .unwrap_or(Self::AddOn)
    }

    /// Whether pods find it where they run, which is on nodes of node groups or elsewhere.
    #[must_use]
    pub const fn serves(self, on_node_groups: bool) -> bool {
        match self {
            Self::AddOn => true,
            Self::AutoModeNodes => !on_node_groups,
            Self::Missing => false,
        }
    }
}

/// The ARN of an EKS cluster: the one name of it that no other cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterArn(String);

impl ClusterArn {
    /// That of a cluster in an account and region.
    #[must_use]
    pub fn new(account_id: &str, region: &str, name: &str) -> Self {
        let partition = partition(region);
        Self(format!(
            "arn:{partition}:eks:{region}:{account_id}:cluster/{name}"
        ))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An existing EKS cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFacts {
    /// ARN.
    pub arn: String,
    /// EKS's status: `ACTIVE` and others.
    pub status: String,
    /// Kubernetes version, `1.36`.
    pub version: String,
    /// Address of the API server.
    pub endpoint: String,
    /// VPC it lives in.
    pub vpc_id: String,
    /// The security group that EKS gives to nodes and control plane, open to itself.
    pub security_group_id: Option<String>,
    /// Issuer of its service account tokens.
    pub oidc_issuer: Option<String>,
    /// The identity provider in IAM for the issuer, as far as that is known.
    pub oidc_provider: Option<OidcProvider>,
    /// Where pods find the Pod Identity agent.
    pub pod_identity_agent: PodIdentityAgent,
}

/// A KMS key that is brought along, in KMS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// `Enabled`, `Disabled`, `PendingDeletion` and others.
    pub state: String,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY` and others.
    pub usage: String,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048` and others.
    pub spec: String,
    /// Whether it is one that an AWS service made for itself, `aws/s3`.
    pub is_managed_by_aws: bool,
}

/// The pods of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusFacts {
    /// Their namespace.
    pub namespace: String,
    /// Labels that they have.
    pub labels: BTreeMap<String, String>,
}

/// What the builders need to know of a Platform that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformFacts {
    /// Name of the Platform.
    pub name: String,
    /// Account, 12 digits.
    pub account_id: String,
    /// Region.
    pub region: String,
    /// The EKS cluster.
    pub cluster: String,
    /// Issuer of the cluster's service account tokens, for IRSA.
    pub oidc_issuer: Option<String>,
    /// The identity provider in IAM for the issuer, as far as that is known.
    pub oidc_provider: Option<OidcProvider>,
    /// The VPC.
    pub vpc: VpcFacts,
    /// Private subnets, by zone.
    pub private_subnets: Vec<SubnetFacts>,
    /// Public subnets, by zone.
    pub public_subnets: Vec<SubnetFacts>,
    /// Security groups of data tiers: those the Platform names, else the cluster's own, which is open to the pods.
    pub data_security_groups: Vec<String>,
    /// Where pods find the Pod Identity agent.
    pub pod_identity_agent: PodIdentityAgent,
    /// ARNs of the roles that workloads may bring along.
    pub allowed_roles: Allowed,
    /// The pods that may read metrics; `None` where there are none in the cluster.
    pub prometheus: Option<PrometheusFacts>,
    /// Names of the AWS resources without an owner tag that custom resources may take over.
    pub adoptable: Allowed,
    /// ARN of the KMS key that encrypts everything.
    pub key_arn: String,
    /// Whether Shopkeeper makes that key, and says who may use it.
    pub key_is_managed: bool,
    /// What the account may have in the region; `None` where that could not be read.
    pub quotas: Option<Quotas>,
    /// Tag of images that name none.
    pub image_tag: Option<String>,
    /// Tags of the user for every AWS resource.
    pub tags: Tags,
}

impl PlatformFacts {
    /// The partition that a region belongs to, as in ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// An ARN in this account and region.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!(
            "arn:{}:{service}:{}:{}:{resource}",
            self.partition(),
            self.region,
            self.account_id
        )
    }

    /// The ARN of the EKS cluster.
    #[must_use]
    pub fn cluster_arn(&self) -> ClusterArn {
        ClusterArn::new(&self.account_id, &self.region, &self.cluster)
    }

    /// An ARN of IAM, which has no region.
    #[must_use]
    pub fn iam_arn(&self, resource: &str) -> String {
        format!(
            "arn:{}:iam::{}:{resource}",
            self.partition(),
            self.account_id
        )
    }

    /// The ARN of a CloudFront distribution, which has no region.
    #[must_use]
    pub fn distribution_arn(&self, id: &str) -> String {
        distribution_arn(self.partition(), &self.account_id, id)
    }

    /// Ids of the subnets of a load balancer: one of each zone, the first by id, since a load balancer takes no two of one zone.
    #[must_use]
    pub fn load_balancer_subnets(&self, public: bool) -> Vec<&str> {
        let subnets = if public {
            &self.public_subnets
        } else {
            &self.private_subnets
        };
        let mut by_zone: BTreeMap<&str, &str> = BTreeMap::new();
        for subnet in subnets {
            let first = by_zone.entry(&subnet.zone).or_insert(&subnet.id);
            *first = (*first).min(&subnet.id);
        }
        by_zone.into_values().collect()
    }

    /// Ids of the private subnets.
    pub fn private_subnet_ids(&self) -> impl Iterator<Item = String> {
        self.private_subnets.iter().map(|subnet| subnet.id.clone())
    }
}

/// The ARN of a CloudFront distribution.
#[must_use]
pub fn distribution_arn(partition: &str, account_id: &str, id: &str) -> String {
    format!("arn:{partition}:cloudfront::{account_id}:distribution/{id}")
}

/// The partition that a region belongs to, as in ARNs.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else if region.starts_with("eusc-") {
        "aws-eusc"
    } else {
        "aws"
    }
}
