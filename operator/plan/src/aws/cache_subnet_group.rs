//! ElastiCache subnet group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// The subnets a cache may be placed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheSubnetGroup {
    /// Name, at most 255 characters; ElastiCache stores it in lower case.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Subnets.
    pub subnets: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for CacheSubnetGroup {
    const KIND: AwsKind = AwsKind::CacheSubnetGroup;
    const FIELDS: &'static [Field] = &[Field::harmless("description"), Field::harmless("subnets")];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
