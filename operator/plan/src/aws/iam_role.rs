//! IAM role.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// A role with the policies written for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IamRole {
    /// Name, at most 64 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who may assume it, as a policy document.
    pub trust_policy: serde_json::Value,
    /// Inline policies by name, as policy documents. Inline, because they belong to this role alone and go with it.
    pub inline_policies: BTreeMap<String, serde_json::Value>,
    /// ARNs of the managed policies that are attached.
    pub managed_policy_arns: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for IamRole {
    const KIND: AwsKind = AwsKind::IamRole;
    const FIELDS: &'static [Field] = &[
        Field::harmless("description"),
        Field::harmless("trustPolicy"),
        Field::harmless("inlinePolicies"),
        Field::harmless("managedPolicyArns"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
