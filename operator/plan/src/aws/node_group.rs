//! EKS managed node group.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::{
    plan::Effect,
    version::{Newer, is_newer, is_version_of},
};

/// How the instances are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapacityType {
    /// `ON_DEMAND`
    OnDemand,
    /// `SPOT`
    Spot,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaintEffect {
    /// `NO_SCHEDULE`
    NoSchedule,
    /// `NO_EXECUTE`
    NoExecute,
    /// `PREFER_NO_SCHEDULE`
    PreferNoSchedule,
}

/// A taint of the nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; empty where there is none.
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
}

/// How many nodes a version update may take at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeGroupUpdate {
    /// A number of nodes, 1 to 100.
    MaxUnavailable(i32),
    /// A share of the nodes in percent, 1 to 100.
    MaxUnavailablePercentage(i32),
}

/// A managed node group. Its name ends in a hash of the fields that EKS cannot change (see
/// `crate::names::with_hash`), so that changing one of them asks for another group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeGroup {
    /// The EKS cluster.
    pub cluster: String,
    /// Name, at most 63 characters.
    pub name: String,
    /// ARN of the role of the nodes.
    pub node_role_arn: String,
    /// Subnets, by which its zones are chosen.
    pub subnets: BTreeSet<String>,
    /// Instance types in order of preference.
    pub instance_types: Vec<String>,
    /// How the instances are bought.
    pub capacity_type: CapacityType,
    /// AMI type in EKS's spelling, such as `AL2023_ARM_64_STANDARD`.
    pub ami_type: String,
    /// Size of the root disk in GiB.
    pub disk_size: Option<i32>,
    /// Labels of the nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes.
    pub taints: BTreeSet<Taint>,
    /// Fewest nodes.
    pub min_size: i32,
    /// Most nodes.
    pub max_size: i32,
    /// Nodes to hold; `None` starts with the fewest and leaves it to the cluster autoscaler from then on.
    pub desired_size: Option<i32>,
    /// Nodes that a version update may take at a time.
    pub update: NodeGroupUpdate,
    /// Kubernetes version, `1.36`; `None` follows the cluster's at creation.
    pub version: Option<String>,
    /// AMI release version; `None` takes the newest at creation.
    pub release_version: Option<String>,
    /// Whether a version update goes on where a disruption budget keeps a node from draining. Of the update, not of the group:
    /// EKS does not tell it, and it is not compared.
    pub force_update: bool,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for NodeGroup {
    const KIND: AwsKind = AwsKind::NodeGroup;
    const FIELDS: &'static [Field] = &[
        Field::replace("nodeRoleArn"),
        Field::replace("subnets"),
        Field::replace("instanceTypes"),
        Field::replace("capacityType"),
        Field::replace("amiType"),
        Field::replace("diskSize"),
        Field::harmless("labels"),
        // EKS puts a new one on the nodes that there are, too: see `effect`.
        Field::harmless("taints"),
        Field::harmless("minSize"),
        Field::harmless("maxSize"),
        Field::harmless("desiredSize"),
        Field::harmless("update"),
        // EKS cannot go back to an older version: not reversible.
        Field::one_way("version", Effect::Rolling, 20),
        Field::one_way("releaseVersion", Effect::Rolling, 20),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    /// `NoExecute` ends at once, past every disruption budget, what runs and does not tolerate it. The pods that do tolerate it come by
    /// a rollout, which need not be over.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        let mut added = self.taints.difference(&observed.taints);
        (field == "taints" && added.any(|taint| taint.effect == TaintEffect::NoExecute))
            .then_some(Effect::Downtime)
    }

    /// With a newer version and no release EKS takes the newest, which a release that somebody brought is not one of.
    fn yielding_to(&self, observed: &Self) -> Self {
        let mut yielding = self.clone();
        let upgrades = self
            .version
            .as_deref()
            .zip(observed.version.as_deref())
            .is_some_and(|(declared, found)| {
                !is_newer(found, declared) && !is_version_of(found, declared)
            });
        for newer in self.newer(observed) {
            if newer.field == VERSION {
                yielding.version = Some(newer.observed);
            } else {
                yielding.release_version = Some(newer.observed).filter(|_| !upgrades);
            }
        }
        yielding
    }

    fn newer(&self, observed: &Self) -> Vec<Newer> {
        [
            (VERSION, &self.version, &observed.version),
            (RELEASE, &self.release_version, &observed.release_version),
        ]
        .into_iter()
        .filter_map(|(field, declared, found)| {
            let (declared, found) = (declared.as_ref()?, found.as_ref()?);
            is_newer(found, declared).then(|| Newer {
                field,
                observed: found.clone(),
                declared: declared.clone(),
                // Nodes are never newer than their cluster, which has its version from whoever runs it.
                is_major: false,
            })
        })
        .collect()
    }
    tagged!();
}

/// The fields of the specification with the versions.
const VERSION: &str = "nodes.nodeGroup.version";
const RELEASE: &str = "nodes.nodeGroup.releaseVersion";
