//! ElastiCache.

use aws_sdk_elasticache::types::Tag;
use shopkeeper_plan::{
    aws::Tags,
    failure::{Class, Failure},
};

use crate::{
    account::Account,
    error::{classify, is_code},
};

mod change;
mod parameter_group;
mod replication_group;
mod subnet_group;

pub(crate) use parameter_group::ParameterGroupApi;
pub(crate) use replication_group::ReplicationGroupApi;
pub(crate) use subnet_group::SubnetGroupApi;

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
];

/// The tags of a resource.
///
/// # Errors
/// `NotReady` where it has none yet or any more, because it is being made or removed.
async fn tags(account: &Account, arn: &str) -> Result<Tags, Failure> {
    match account.elasticache.list_tags_for_resource().resource_name(arn).send().await {
        Ok(answer) => Ok(answer
            .tag_list
            .unwrap_or_default()
            .into_iter()
            .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect()),
        Err(error) if is_code(&error, MISSING) => {
            Err(Failure::new(Class::NotReady, "ListTagsForResource: the resource is being made or removed"))
        }
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
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
