//! EKS Fargate profile.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// Which pods a profile takes: those of a namespace that have all of the labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FargateSelector {
    /// The namespace.
    pub namespace: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

/// A Fargate profile. EKS changes nothing of one but its tags: its name ends in a hash of the rest (see
/// `crate::names::with_hash`), so that another wish asks for another profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FargateProfile {
    /// The EKS cluster.
    pub cluster: String,
    /// Name, at most 63 characters: EKS makes it the value of a label of the pods.
    pub name: String,
    /// ARN of the role by which Fargate pulls images and joins the cluster.
    pub pod_execution_role_arn: String,
    /// Private subnets of the pods.
    pub subnets: BTreeSet<String>,
    /// The pods that it takes.
    pub selectors: BTreeSet<FargateSelector>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for FargateProfile {
    const KIND: AwsKind = AwsKind::FargateProfile;
    const FIELDS: &'static [Field] = &[
        Field::replace("podExecutionRoleArn"),
        Field::replace("subnets"),
        Field::replace("selectors"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
