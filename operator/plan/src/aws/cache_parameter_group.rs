//! ElastiCache parameter group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// The parameters of a cache engine that differ from its defaults. The name ends in the family, because a group cannot
/// change its family and a major upgrade brings another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheParameterGroup {
    /// Name, at most 255 characters, lower case.
    pub name: String,
    /// Family, such as `valkey8`.
    pub family: String,
    /// What it is for.
    pub description: String,
    /// Values set by the user, by parameter name. A parameter that is taken out goes back to the engine's default.
    pub parameters: BTreeMap<String, String>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for CacheParameterGroup {
    const KIND: AwsKind = AwsKind::CacheParameterGroup;
    const FIELDS: &'static [Field] = &[
        Field::replace("family"),
        Field::create_only("description"),
        // A dynamic parameter takes hold at once, a static one with the next reboot, which is never ours to start.
        Field::harmless("parameters"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
