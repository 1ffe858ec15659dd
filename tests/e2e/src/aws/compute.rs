//! Node groups and identities.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Aws, document};

impl Aws {
    /// The names of the node groups of a cluster that an owner tag names, sorted.
    pub async fn node_groups(&self, cluster: &str, owner: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let listed = self
            .eks
            .list_nodegroups()
            .cluster_name(cluster)
            .send()
            .await?;
        for name in listed.nodegroups() {
            let view = self.node_group(cluster, name).await?;
            if view["tags"]["shopkeeper.dev/owner"] == owner {
                names.push(name.clone());
            }
        }
        names.sort();
        Ok(names)
    }

    /// An EKS managed node group.
    pub async fn node_group(&self, cluster: &str, name: &str) -> Result<Value> {
        let answer = self
            .eks
            .describe_nodegroup()
            .cluster_name(cluster)
            .nodegroup_name(name)
            .send()
            .await?;
        let group = answer
            .nodegroup()
            .context("DescribeNodegroup answered no group")?;
        let scaling = group.scaling_config();
        let update = group.update_config();
        let mut taints: Vec<String> = group
            .taints()
            .iter()
            .map(|taint| {
                let effect = taint
                    .effect()
                    .map(|effect| effect.as_str())
                    .unwrap_or_default();
                format!(
                    "{}={}:{effect}",
                    taint.key().unwrap_or_default(),
                    taint.value().unwrap_or_default()
                )
            })
            .collect();
        taints.sort();
        let mut subnets = group.subnets().to_vec();
        subnets.sort();
        Ok(json!({
            "status": group.status().map(|status| status.as_str()),
            "version": group.version(),
            "release": group.release_version(),
            "instanceTypes": group.instance_types(),
            "amiType": group.ami_type().map(|kind| kind.as_str()),
            "capacityType": group.capacity_type().map(|kind| kind.as_str()),
            "diskSize": group.disk_size(),
            "role": group.node_role(),
            "subnets": subnets,
            "labels": group.labels(),
            "taints": taints,
            "min": scaling.and_then(|scaling| scaling.min_size()),
            "max": scaling.and_then(|scaling| scaling.max_size()),
            "desired": scaling.and_then(|scaling| scaling.desired_size()),
            "maxUnavailable": update.and_then(|update| update.max_unavailable()),
            "maxUnavailablePercentage": update.and_then(|update| update.max_unavailable_percentage()),
            "tags": group.tags(),
        }))
    }

    /// The names of all Fargate profiles of a cluster, sorted.
    pub async fn fargate_profiles(&self, cluster: &str) -> Result<Vec<String>> {
        let listed = self.eks.list_fargate_profiles().cluster_name(cluster);
        let mut names = listed.send().await?.fargate_profile_names().to_vec();
        names.sort();
        Ok(names)
    }

    /// An EKS Fargate profile; `null` where there is none.
    pub async fn fargate_profile(&self, cluster: &str, name: &str) -> Result<Value> {
        let call = self
            .eks
            .describe_fargate_profile()
            .cluster_name(cluster)
            .fargate_profile_name(name);
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                return Ok(Value::Null);
            }
            Err(error) => return Err(error.into()),
        };
        let profile = answer
            .fargate_profile()
            .context("DescribeFargateProfile answered no profile")?;
        let mut subnets = profile.subnets().to_vec();
        subnets.sort();
        let selectors: Vec<Value> = profile
            .selectors()
            .iter()
            .map(|selector| json!({"namespace": selector.namespace(), "labels": selector.labels()}))
            .collect();
        Ok(json!({
            "arn": profile.fargate_profile_arn(),
            "status": profile.status().map(|status| status.as_str()),
            "role": profile.pod_execution_role_arn(),
            "subnets": subnets,
            "selectors": selectors,
            "tags": profile.tags(),
        }))
    }

    /// An IAM role with its policies.
    pub async fn role(&self, name: &str) -> Result<Value> {
        let role = self
            .iam
            .get_role()
            .role_name(name)
            .send()
            .await?
            .role
            .context("GetRole answered no role")?;
        let attached = self
            .iam
            .list_attached_role_policies()
            .role_name(name)
            .send()
            .await?;
        let mut managed: Vec<&str> = attached
            .attached_policies()
            .iter()
            .filter_map(|policy| policy.policy_arn())
            .collect();
        managed.sort_unstable();
        let mut inline = Map::new();
        for policy in self
            .iam
            .list_role_policies()
            .role_name(name)
            .send()
            .await?
            .policy_names()
        {
            let answer = self
                .iam
                .get_role_policy()
                .role_name(name)
                .policy_name(policy)
                .send()
                .await?;
            inline.insert(policy.clone(), document(answer.policy_document())?);
        }
        Ok(json!({
            "arn": role.arn(),
            "trust": role.assume_role_policy_document().map(document).transpose()?,
            "inline": inline,
            "managed": managed,
            "tags": super::tags(role.tags().iter().map(|tag| (tag.key(), tag.value()))),
        }))
    }

    /// The Pod Identity associations of a service account.
    pub async fn pod_identity_associations(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<Vec<Value>> {
        let call = self
            .eks
            .list_pod_identity_associations()
            .cluster_name(cluster)
            .namespace(namespace)
            .service_account(service_account);
        let mut found = Vec::new();
        for summary in call.send().await?.associations() {
            let id = summary.association_id().unwrap_or_default();
            let answer = self
                .eks
                .describe_pod_identity_association()
                .cluster_name(cluster)
                .association_id(id)
                .send()
                .await?;
            let association = answer
                .association()
                .context("DescribePodIdentityAssociation answered no association")?;
            found.push(json!({"role": association.role_arn(), "tags": association.tags()}));
        }
        Ok(found)
    }
}
