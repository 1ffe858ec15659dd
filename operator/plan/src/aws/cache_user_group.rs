//! ElastiCache user group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// The users of a cache. Its engine is `redis` for every cache (`docs/decisions/0016-cache-users.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheUserGroup {
    /// Id, at most 40 characters, lower case.
    pub id: String,
    /// Ids of its users.
    pub users: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for CacheUserGroup {
    const KIND: AwsKind = AwsKind::CacheUserGroup;
    const FIELDS: &'static [Field] = &[Field::harmless("users")];

    fn name(&self) -> String {
        self.id.clone()
    }
    tagged!();
}
