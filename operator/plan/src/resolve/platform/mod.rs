//! Platform: what it adopts, and the facts that everything else is built from.

mod key;

use std::collections::BTreeSet;

use shopkeeper_api::{
    Platform, defaults,
    platform::{ExistingNetwork, Prometheus, PrometheusPods, PrometheusType, SubnetSelector},
    policy::Policy,
};

pub use self::key::{KeyNeed, deletion_of_key, existing_key_arn, existing_key_denied, key_alias};
use self::key::{check_existing_key, managed_key};
use super::owner_of;
use crate::{
    allowed::Allowed,
    aws::KmsKey,
    blueprint::{Remark, Section},
    facts::{
        ClusterArn, ClusterFacts, KeyFacts, OidcProvider, PlatformFacts, PodIdentityAgent,
        PrometheusFacts, SubnetFacts, VpcFacts,
    },
    failure::{Class, Failure},
    names::Owner,
    quota::{FARGATE_PROFILES_PER_CLUSTER, Quotas},
};

/// What was looked up in AWS for a Platform.
#[derive(Clone, Debug, Default)]
pub struct PlatformLookups {
    /// The account that the credentials belong to, where that could be told.
    pub account_id: Option<String>,
    /// The cluster.
    pub cluster: Option<ClusterFacts>,
    /// VPCs that match the selector.
    pub vpcs: Vec<VpcFacts>,
    /// Private subnets that match.
    pub private_subnets: Vec<SubnetFacts>,
    /// Public subnets that match.
    pub public_subnets: Vec<SubnetFacts>,
    /// Quotas of the account; `None` where the operator may not read them.
    pub quotas: Option<Quotas>,
    /// The key that is brought along, where there is one.
    pub existing_key: Option<KeyFacts>,
}

/// A Platform, resolved.
#[derive(Clone, Debug)]
pub struct ResolvedPlatform {
    /// Who owns what is made.
    pub owner: Owner,
    /// Its EKS cluster, found and usable.
    pub cluster: ClusterFacts,
    /// Its VPC.
    pub vpc: VpcFacts,
    /// Private subnets.
    pub private_subnets: Vec<SubnetFacts>,
    /// Public subnets.
    pub public_subnets: Vec<SubnetFacts>,
    /// Quotas of the account, where they could be read.
    pub quotas: Option<Quotas>,
    /// The key to make; `None` where one is brought along.
    pub key: Option<KmsKey>,
    /// The key that was brought along.
    pub existing_key_arn: Option<String>,
    /// What people should hear of, though it stops nothing.
    pub remarks: Vec<Remark>,
}

/// Fewest zones of subnets: RDS and the load balancers want two.
const FEWEST_ZONES: usize = 2;

/// Checks what was looked up, and names what is missing.
///
/// # Errors
/// `Invalid` or `NotReady` with the field and the remedy.
pub fn resolve(
    platform: &Platform,
    lookups: &PlatformLookups,
) -> Result<ResolvedPlatform, Failure> {
    let owner = owner_of(platform);
    let spec = &platform.spec;
    if let Some(actual) = lookups
        .account_id
        .as_ref()
        .filter(|actual| **actual != spec.aws.account_id)
    {
        return Err(Failure::invalid(
            "spec.aws.accountId",
            &format!(
                "is {}, but the credentials belong to {actual}",
                spec.aws.account_id
            ),
            "correct the number, or give the operator credentials for that account",
        ));
    }
    let cluster = cluster(platform, lookups)?;
    let vpc = vpc(lookups, &cluster)?;
    let private_subnets = subnets("privateSubnets", &lookups.private_subnets, &vpc)?;
    let public = spec
        .network
        .existing
        .as_ref()
        .is_some_and(|network| network.public_subnets.is_some());
    let public_subnets = if public {
        subnets("publicSubnets", &lookups.public_subnets, &vpc)?
    } else {
        Vec::new()
    };
    let network = spec.network.existing.as_ref();
    let remarks = network.and_then(|network| both(network, &private_subnets, &public_subnets));
    let existing_key_arn = existing_key_arn(platform).map(str::to_owned);
    if let Some(arn) = &existing_key_arn {
        check_existing_key(arn, lookups.existing_key.as_ref())?;
    }
    let key = existing_key_arn
        .is_none()
        .then(|| managed_key(platform, &owner));
    Ok(ResolvedPlatform {
        owner,
        cluster,
        vpc,
        private_subnets,
        public_subnets,
        quotas: lookups.quotas,
        key,
        existing_key_arn,
        remarks: remarks.into_iter().collect(),
    })
}

fn cluster(platform: &Platform, lookups: &PlatformLookups) -> Result<ClusterFacts, Failure> {
    let name = &platform.spec.cluster.name;
    let cluster = lookups.cluster.clone().ok_or_else(|| {
        Failure::invalid(
            "spec.cluster.name",
            &format!(
                "there is no EKS cluster {name} in {}",
                platform.spec.aws.region
            ),
            "make it; or delete this Platform and apply it with the right cluster.name and spec.aws.region, neither of which can be changed",
        )
    })?;
    if cluster.status != "ACTIVE" && cluster.status != "UPDATING" {
        return Err(Failure::new(
            Class::NotReady,
            format!("EKS cluster {name} is {}", cluster.status),
        ));
    }
    Ok(cluster)
}

fn vpc(lookups: &PlatformLookups, cluster: &ClusterFacts) -> Result<VpcFacts, Failure> {
    let field = "spec.network.existing.vpc";
    match lookups.vpcs.as_slice() {
        [vpc] if vpc.id == cluster.vpc_id => Ok(vpc.clone()),
        [vpc] => Err(Failure::invalid(
            field,
            &format!(
                "finds {}, but the EKS cluster is in {}",
                vpc.id, cluster.vpc_id
            ),
            "select the VPC of the cluster",
        )),
        [] => Err(Failure::invalid(
            field,
            "no VPC matches",
            "correct the id or the tags",
        )),
        several => {
            // EC2 lists them in no order, and what is said must not change each time.
            let ids: BTreeSet<&str> = several.iter().map(|vpc| vpc.id.as_str()).collect();
            let ids: Vec<&str> = ids.into_iter().collect();
            Err(Failure::invalid(
                field,
                &format!("{} VPCs match: {}", several.len(), ids.join(", ")),
                "select one by id, or by tags that only one has",
            ))
        }
    }
}

fn subnets(
    member: &str,
    found: &[SubnetFacts],
    vpc: &VpcFacts,
) -> Result<Vec<SubnetFacts>, Failure> {
    let field = format!("spec.network.existing.{member}");
    let zones: BTreeSet<&str> = found.iter().map(|subnet| subnet.zone.as_str()).collect();
    if zones.len() < FEWEST_ZONES {
        let problem = format!(
            "finds {} subnets in {} zones of {}, and {FEWEST_ZONES} zones are needed",
            found.len(),
            zones.len(),
            vpc.id
        );
        return Err(Failure::invalid(
            &field,
            &problem,
            "correct the ids or tags, or make subnets in further zones",
        ));
    }
    let mut subnets = found.to_vec();
    subnets.sort_by(|one, other| (&one.zone, &one.id).cmp(&(&other.zone, &other.id)));
    Ok(subnets)
}

/// Tells of subnets that are private and public at once: nodes and data tiers are where load balancers are open to the internet. Shops
/// that run so go on: who sends the Platform away would take the network from under them.
fn both(
    network: &ExistingNetwork,
    private: &[SubnetFacts],
    public: &[SubnetFacts],
) -> Option<Remark> {
    let both: Vec<&str> = public
        .iter()
        .filter(|subnet| private.iter().any(|other| other.id == subnet.id))
        .map(|subnet| subnet.id.as_str())
        .collect();
    if both.is_empty() {
        return None;
    }
    let found_by = |selector: &SubnetSelector| {
        if selector.tags.is_empty() {
            return "its id".to_owned();
        }
        let tags = selector.tags.iter();
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        format!("the tag {}", tags.join(", "))
    };
    let by_public = network.public_subnets.as_ref().map(found_by);
    Some(Remark {
        section: Section::Network,
        reason: "SubnetOfBothSides",
        text: format!(
            "spec.network.existing.publicSubnets finds {} by {}, which privateSubnets finds by {}: a subnet has a way in from the internet \
             or has none, and nodes and databases are meant for those without; take each out of the list that it is not of, or the tag off \
             it (EKS tags private ones kubernetes.io/role/internal-elb and public ones kubernetes.io/role/elb)",
            both.join(", "),
            by_public.unwrap_or_default(),
            found_by(&network.private_subnets)
        ),
    })
}

/// The ARN of the EKS cluster that a Platform names.
#[must_use]
pub fn cluster_arn(platform: &Platform) -> ClusterArn {
    let spec = &platform.spec;
    ClusterArn::new(&spec.aws.account_id, &spec.aws.region, &spec.cluster.name)
}

/// The quotas that the Platform's status tells.
#[must_use]
pub fn known_quotas(platform: &Platform) -> Option<Quotas> {
    let known = platform.status.as_ref()?.quotas.as_ref()?;
    Some(Quotas {
        node_groups_per_cluster: u32::try_from(known.node_groups_per_cluster).ok()?,
        nodes_per_node_group: u32::try_from(known.nodes_per_node_group).ok()?,
        fargate_profiles_per_cluster: known
            .fargate_profiles_per_cluster
            .and_then(|profiles| u32::try_from(profiles).ok())
            .unwrap_or(FARGATE_PROFILES_PER_CLUSTER.default),
    })
}

/// What Shopkeeper may do by itself to what a Platform owns: what it says, and else its defaults. Those are for what runs on it, and say
/// nothing of the deletion of the key, which all that is left of that needs.
#[must_use]
pub fn policy(platform: &Platform) -> Policy {
    let spec = &platform.spec;
    let own = spec.policy.clone().unwrap_or_default();
    let defaults = spec.defaults.as_ref();
    let merged = own.or(&defaults
        .and_then(|defaults| defaults.policy.clone())
        .unwrap_or_default());
    Policy {
        deletion: own.deletion,
        ..merged
    }
}

/// The pods that may read metrics.
#[must_use]
pub fn prometheus(declared: Option<&Prometheus>) -> Option<PrometheusFacts> {
    if declared.is_some_and(|declared| declared.type_ == PrometheusType::None) {
        return None;
    }
    let pods = declared.and_then(|declared| declared.pods.clone());
    let PrometheusPods { namespace, labels } = pods.unwrap_or_default();
    let default = defaults::PROMETHEUS_LABELS.map(|(key, value)| (key.into(), value.into()));
    Some(PrometheusFacts {
        namespace: namespace.unwrap_or_else(|| defaults::PROMETHEUS_NAMESPACE.to_owned()),
        labels: if labels.is_empty() {
            default.into()
        } else {
            labels
        },
    })
}

/// The facts of a Platform for those that run on it, from its status.
///
/// # Errors
/// `NotReady` while the Platform has not found or made what it needs.
pub fn facts(platform: &Platform) -> Result<PlatformFacts, Failure> {
    let name = platform.metadata.name.clone().unwrap_or_default();
    let not_ready = || {
        Failure::new(Class::NotReady, format!("Platform {name} is not ready"))
            .with_remedy(format!("see kubectl describe platform {name}"))
    };
    let status = platform.status.as_ref().ok_or_else(not_ready)?;
    let network = status.network.as_ref().ok_or_else(not_ready)?;
    let encryption = status.encryption.as_ref().ok_or_else(not_ready)?;
    let cluster = status.cluster.as_ref().ok_or_else(not_ready)?;
    let subnets = |found: &[shopkeeper_api::platform::SubnetStatus]| {
        found
            .iter()
            .map(|subnet| SubnetFacts {
                id: subnet.id.clone(),
                zone: subnet.zone.clone(),
                cidr: subnet.cidr.clone(),
            })
            .collect()
    };
    let declared = platform
        .spec
        .network
        .existing
        .as_ref()
        .map(|network| network.data_security_group_ids.clone())
        .unwrap_or_default();
    Ok(PlatformFacts {
        account_id: platform.spec.aws.account_id.clone(),
        region: platform.spec.aws.region.clone(),
        cluster: platform.spec.cluster.name.clone(),
        oidc_issuer: cluster.oidc_issuer.clone(),
        oidc_provider: cluster
            .oidc_provider
            .as_deref()
            .and_then(OidcProvider::from_status),
        vpc: VpcFacts {
            id: network.vpc_id.clone(),
            cidr: network.cidr.clone(),
        },
        private_subnets: subnets(&network.private_subnets),
        public_subnets: subnets(&network.public_subnets),
        data_security_groups: if declared.is_empty() {
            cluster.security_group_id.iter().cloned().collect()
        } else {
            declared
        },
        pod_identity_agent: PodIdentityAgent::from_status(cluster.pod_identity_agent.as_deref()),
        allowed_roles: Allowed::of(
            platform
                .spec
                .identity
                .as_ref()
                .and_then(|identity| identity.allowed_roles.clone()),
        ),
        prometheus: prometheus(platform.spec.prometheus.as_ref()),
        adoptable: Allowed::of(
            platform
                .spec
                .adoption
                .as_ref()
                .and_then(|adoption| adoption.allowed_names.clone()),
        ),
        key_arn: encryption.key_arn.clone(),
        key_is_managed: existing_key_arn(platform).is_none(),
        quotas: known_quotas(platform),
        image_tag: platform
            .spec
            .defaults
            .as_ref()
            .and_then(|defaults| defaults.image_tag.clone()),
        tags: platform
            .spec
            .defaults
            .as_ref()
            .map(|defaults| defaults.tags.clone())
            .unwrap_or_default(),
        name,
    })
}
