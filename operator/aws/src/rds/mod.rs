//! RDS: database instances, their subnet groups and parameter groups.

use aws_sdk_rds::types::Tag;
use shopkeeper_plan::{
    aws::Tags,
    failure::{Class, Failure},
};

use crate::{account::Account, error::classify, resourcegroupstagging::tags};

mod instance;
mod instance_changes;
mod parameter_group;
mod pending;
mod subnet_group;

pub(crate) use instance::InstanceApi;
pub(crate) use parameter_group::ParameterGroupApi;
pub(crate) use pending::ChangesUnderWay;
pub(crate) use subnet_group::SubnetGroupApi;

/// Reads the tags of a subnet group or a parameter group, which their descriptions leave out.
async fn tags_of(account: &Account, arn: &str) -> Result<Tags, Failure> {
    let call = account.rds.list_tags_for_resource().resource_name(arn);
    let by_name = async {
        match call.send().await {
            Ok(answer) => Ok(plain_tags(answer.tag_list())),
            Err(error) => Err(classify("ListTagsForResource", &error)),
        }
    };
    tags(account, arn, "ListTagsForResource", by_name).await
}

/// Adds tags.
async fn tag(account: &Account, arn: Option<&str>, tags: &Tags) -> Result<(), Failure> {
    let arn = arn.ok_or_else(|| Failure::new(Class::Bug, "an RDS resource without an ARN"))?;
    account
        .rds
        .add_tags_to_resource()
        .resource_name(arn)
        .set_tags(Some(rds_tags(tags)))
        .send()
        .await
        .map_err(|error| classify("AddTagsToResource", &error))?;
    Ok(())
}

fn rds_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

fn plain_tags(tags: &[Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| {
            Some((
                tag.key()?.to_owned(),
                tag.value().unwrap_or_default().to_owned(),
            ))
        })
        .collect()
}
