//! What there is to know of an EKS cluster. Shopkeeper makes none and changes none.

use aws_sdk_eks::types::AddonStatus;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use shopkeeper_plan::{
    facts::{ClusterFacts, PodIdentityAgent},
    failure::{Class, Failure},
};

use super::NOT_FOUND;
use crate::{
    account::Account,
    error::{CallError, classify, is_code},
    parts::part,
};

/// The add-on that gives pods the credentials of their Pod Identity association.
const POD_IDENTITY_AGENT: &str = "eks-pod-identity-agent";

/// Looks up a cluster by name; `None` where EKS says that there is none.
///
/// # Errors
/// Any other answer. A cluster that is still being made has neither an endpoint nor a VPC yet: `NotReady`.
pub async fn cluster_facts(account: &Account, name: &str) -> Result<Option<ClusterFacts>, Failure> {
    let (cluster, agent) = futures::join!(
        part(
            "DescribeCluster",
            account.eks.describe_cluster().name(name).send()
        ),
        part("DescribeAddon", has_agent(account, name))
    );
    let cluster = match cluster {
        Ok(answer) => answer.cluster,
        Err(error) if is_code(&error, NOT_FOUND) => return Ok(None),
        Err(error) => return Err(classify("DescribeCluster", &error)),
    };
    let Some(cluster) = cluster else {
        return Ok(None);
    };
    let agent = agent?;
    let status = cluster
        .status()
        .map_or("UNKNOWN", |status| status.as_str())
        .to_owned();
    let network = cluster.resources_vpc_config();
    let (Some(arn), Some(version), Some(endpoint), Some(vpc_id)) = (
        cluster.arn(),
        cluster.version(),
        cluster.endpoint(),
        network.and_then(|network| network.vpc_id()),
    ) else {
        return Err(Failure::new(
            Class::NotReady,
            format!("DescribeCluster: the cluster {name} is {status} and has no endpoint yet"),
        ));
    };
    // EKS Auto Mode has the agent built into its own nodes, and lists no add-on for it. The nodes of node groups get nothing of it.
    let auto_mode = cluster
        .compute_config()
        .and_then(|compute| compute.enabled())
        .unwrap_or_default();
    Ok(Some(ClusterFacts {
        arn: arn.to_owned(),
        status,
        version: version.to_owned(),
        endpoint: endpoint.to_owned(),
        vpc_id: vpc_id.to_owned(),
        security_group_id: network
            .and_then(|network| network.cluster_security_group_id())
            .map(str::to_owned),
        oidc_issuer: cluster
            .identity()
            .and_then(|identity| identity.oidc())
            .and_then(|oidc| oidc.issuer())
            .map(str::to_owned),
        // That is IAM's to say.
        oidc_provider: None,
        pod_identity_agent: match (agent, auto_mode) {
            (true, _) => PodIdentityAgent::AddOn,
            (false, true) => PodIdentityAgent::AutoModeNodes,
            (false, false) => PodIdentityAgent::Missing,
        },
    }))
}

/// How many managed node groups the cluster has, whoever made them, and whatever their state.
///
/// # Errors
/// AWS's refusal.
pub async fn count_node_groups(account: &Account, cluster: &str) -> Result<u32, Failure> {
    let call = account.eks.list_nodegroups().cluster_name(cluster);
    let names = call.into_paginator().items().send();
    counted("ListNodegroups", names.collect().await)
}

/// How many Fargate profiles the cluster has, whoever made them, and whatever their state.
///
/// # Errors
/// AWS's refusal.
pub async fn count_fargate_profiles(account: &Account, cluster: &str) -> Result<u32, Failure> {
    let call = account.eks.list_fargate_profiles().cluster_name(cluster);
    let names = call.into_paginator().items().send();
    counted("ListFargateProfiles", names.collect().await)
}

/// How many names a call listed.
fn counted<E>(call: &str, names: Result<Vec<String>, CallError<E>>) -> Result<u32, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let names = names.map_err(|error| classify(call, &error))?;
    Ok(u32::try_from(names.len()).unwrap_or(u32::MAX))
}

/// Whether the agent is installed as an add-on. A degraded one still serves most nodes.
async fn has_agent(account: &Account, cluster: &str) -> Result<bool, Failure> {
    match account
        .eks
        .describe_addon()
        .cluster_name(cluster)
        .addon_name(POD_IDENTITY_AGENT)
        .send()
        .await
    {
        Ok(answer) => Ok(answer
            .addon()
            .and_then(|addon| addon.status())
            .is_some_and(|status| {
                !matches!(status, AddonStatus::CreateFailed | AddonStatus::Deleting)
            })),
        Err(error) if is_code(&error, NOT_FOUND) => Ok(false),
        Err(error) => Err(classify("DescribeAddon", &error)),
    }
}
