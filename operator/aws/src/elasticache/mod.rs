//! ElastiCache.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use aws_sdk_elasticache::types::Tag;
use shopkeeper_plan::{
    aws::Tags,
    failure::{Class, Failure},
    observed::Lifecycle,
};

use crate::{
    account::Account,
    error::{classify, is_code},
    parts::setting,
};

mod change;
mod parameter_group;
mod replication_group;
mod subnet_group;
mod user;
mod user_group;

pub(crate) use parameter_group::ParameterGroupApi;
pub(crate) use replication_group::ReplicationGroupApi;
pub(crate) use subnet_group::SubnetGroupApi;
pub(crate) use user::UserApi;
pub(crate) use user_group::UserGroupApi;

/// The codes for a resource that does not exist; the query protocol appends `Fault` to some.
const MISSING: &[&str] = &[
    "CacheSubnetGroupNotFoundFault",
    "CacheSubnetGroupNotFound",
    "CacheParameterGroupNotFoundFault",
    "CacheParameterGroupNotFound",
    "ReplicationGroupNotFoundFault",
    "ReplicationGroupNotFound",
    "CacheClusterNotFound",
    "CacheClusterNotFoundFault",
    "UserNotFound",
    "UserNotFoundFault",
    "UserGroupNotFound",
    "UserGroupNotFoundFault",
];

/// The codes for a resource that ElastiCache works on.
const BUSY: &[&str] = &[
    "InvalidReplicationGroupState",
    "InvalidReplicationGroupStateFault",
    "InvalidCacheClusterState",
    "InvalidCacheClusterStateFault",
];

/// The engine of users and user groups: those of `redis` serve caches of both engines, also while one becomes the other.
const ENGINE: &str = "redis";

/// Where a user or a user group is in its life.
fn lifecycle(status: Option<&str>) -> Lifecycle {
    match status {
        Some("active") => Lifecycle::Available,
        Some("creating") => Lifecycle::Creating,
        Some("deleting") => Lifecycle::Deleting,
        // `modifying`, and what is not documented: usable, not open for changes.
        _ => Lifecycle::Modifying,
    }
}

/// The tags that were last seen on caches, by ARN.
#[derive(Debug, Default)]
pub(crate) struct KnownTags(Mutex<BTreeMap<String, Tags>>);

impl KnownTags {
    fn remember(&self, arn: &str, tags: &Tags) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(arn.to_owned(), tags.clone());
    }

    fn known(&self, arn: &str) -> Option<Tags> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(arn)
            .cloned()
    }
}

/// The tags of a resource.
///
/// # Errors
/// `NotReady` where they cannot be read, because it is being made, changed or removed.
async fn tags(account: &Account, arn: &str) -> Result<Tags, Failure> {
    let call = account
        .elasticache
        .list_tags_for_resource()
        .resource_name(arn);
    match setting("ListTagsForResource", call.send()).await {
        Ok(answer) => {
            let tags: Tags = answer
                .tag_list
                .unwrap_or_default()
                .into_iter()
                .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
                .collect();
            account.cache_tags.remember(arn, &tags);
            Ok(tags)
        }
        // ElastiCache shows no tags of a group that it works on, not even for a nightly snapshot.
        Err(error) if is_code(&error, BUSY) => account.cache_tags.known(arn).ok_or_else(|| {
            Failure::new(
                Class::NotReady,
                "ListTagsForResource: ElastiCache shows no tags of a group that it works on",
            )
        }),
        Err(error) if is_code(&error, MISSING) => Err(Failure::new(
            Class::NotReady,
            "ListTagsForResource: the resource is being made or removed",
        )),
        Err(error) => Err(classify("ListTagsForResource", &error)),
    }
}

/// Adds tags.
async fn add_tags(account: &Account, arn: Option<&str>, tags: &Tags) -> Result<(), Failure> {
    account
        .elasticache
        .add_tags_to_resource()
        .set_resource_name(arn.map(str::to_owned))
        .set_tags(Some(tag_list(tags)))
        .send()
        .await
        .map(drop)
        .map_err(|error| classify("AddTagsToResource", &error))
}

fn tag_list(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}
