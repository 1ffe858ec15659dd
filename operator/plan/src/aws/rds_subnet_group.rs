//! RDS subnet group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// The subnets a database may be placed in; RDS wants at least two zones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RdsSubnetGroup {
    /// Name, at most 255 characters, lower case.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Subnets.
    pub subnets: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for RdsSubnetGroup {
    const KIND: AwsKind = AwsKind::RdsSubnetGroup;
    const FIELDS: &'static [Field] = &[Field::harmless("description"), Field::harmless("subnets")];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
