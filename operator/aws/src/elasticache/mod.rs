//! ElastiCache.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_elasticache::types::Tag;
use aws_smithy_types::DateTime;
use shopkeeper_plan::{
    aws::Tags,
    failure::{Class, Failure},
    observed::Lifecycle,
};

use crate::{
    account::Account,
    error::{classify, is_code},
    parts::setting,
    resourcegroupstagging::listed_tags,
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

/// The tags that were last seen on replication groups, by their ids.
#[derive(Debug, Default)]
pub(crate) struct KnownTags(Mutex<BTreeMap<String, Seen>>);

/// The tags of a replication group, and when it was made: another one may have its id, and so its ARN, later on.
#[derive(Debug)]
struct Seen {
    /// `None` for one that was made just now, where ElastiCache did not say.
    made: Option<DateTime>,
    tags: Tags,
}

impl KnownTags {
    fn remember(&self, id: &str, made: Option<DateTime>, tags: &Tags) {
        let tags = tags.clone();
        self.lock().insert(id.to_owned(), Seen { made, tags });
    }

    fn known(&self, id: &str, made: Option<DateTime>) -> Option<Tags> {
        let mut all = self.lock();
        let seen = all.get_mut(id)?;
        // The first that is seen of one that was made just now.
        seen.made = seen.made.or(made);
        (seen.made == made).then(|| seen.tags.clone())
    }

    /// There is none.
    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tags of a resource.
///
/// # Errors
/// `NotReady` where they cannot be read, because it is being made, changed or removed.
async fn tags(account: &Account, arn: &str) -> Result<Tags, Failure> {
    shown_tags(account, arn).await?.ok_or_else(hidden_tags)
}

/// The tags of a resource; `None` where ElastiCache shows none of a group that it works on, not even for a nightly snapshot.
///
/// # Errors
/// `NotReady` where it is being made or removed.
async fn shown_tags(account: &Account, arn: &str) -> Result<Option<Tags>, Failure> {
    let call = account
        .elasticache
        .list_tags_for_resource()
        .resource_name(arn);
    if let Some(tags) = listed_tags(account, arn).await {
        return Ok(Some(tags));
    }
    match setting("ListTagsForResource", call.send()).await {
        Ok(answer) => Ok(Some(
            answer
                .tag_list
                .unwrap_or_default()
                .into_iter()
                .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
                .collect(),
        )),
        Err(error) if is_code(&error, BUSY) => Ok(None),
        Err(error) if is_code(&error, MISSING) => Err(Failure::new(
            Class::NotReady,
            "ListTagsForResource: the resource is being made or removed",
        )),
        Err(error) => Err(classify("ListTagsForResource", &error)),
    }
}

fn hidden_tags() -> Failure {
    Failure::new(
        Class::NotReady,
        "ListTagsForResource: ElastiCache shows no tags of a group that it works on",
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_known_of_the_group_that_had_them() {
        let tags: Tags = [("shopkeeper.dev/owner".to_owned(), "ours".to_owned())].into();
        let [first, second] = [1, 2].map(|seconds| Some(DateTime::from_secs(seconds)));
        let known = KnownTags::default();
        known.remember("carts", None, &tags);
        assert_eq!(known.known("carts", first), Some(tags.clone()));
        assert_eq!(known.known("carts", first), Some(tags.clone()));
        assert_eq!(known.known("carts", second), None);
        known.remember("carts", second, &tags);
        assert_eq!(known.known("carts", second), Some(tags));
        known.forget("carts");
        assert_eq!(known.known("carts", second), None);
    }
}
