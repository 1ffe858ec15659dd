//! ElastiCache user groups.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_elasticache::types as sdk;
use shopkeeper_plan::{aws::CacheUserGroup, failure::Failure, outputs::Outputs, plan::DeleteMode};

use super::{ENGINE, MISSING, add_tags, lifecycle, tag_list, tags};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    parts::part,
    request::{differs, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
};

/// User groups.
pub(crate) struct UserGroupApi<'a>(pub(crate) &'a Account);

#[async_trait]
impl ResourceApi<CacheUserGroup> for UserGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<CacheUserGroup>>, Failure> {
        let Some(group) = self.describe(name).await? else {
            return Ok(None);
        };
        let arn = group
            .arn()
            .ok_or_else(|| unreadable("DescribeUserGroups", "ARN"))?;
        let resource = CacheUserGroup {
            id: name.to_owned(),
            users: group.user_ids().iter().cloned().collect(),
            tags: tags(self.0, arn).await?,
        };
        Ok(Some(Found {
            lifecycle: lifecycle(group.status()),
            arn: Some(arn.to_owned()),
            outputs: Outputs::new().with("arn", arn),
            ..Found::available(resource)
        }))
    }

    async fn create(&self, desired: &CacheUserGroup) -> Result<(), Failure> {
        self.0
            .elasticache
            .create_user_group()
            .user_group_id(&desired.id)
            .engine(ENGINE)
            .set_user_ids(Some(desired.users.iter().cloned().collect()))
            .set_tags(Some(tag_list(&desired.tags)))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateUserGroup", &error))
    }

    async fn update(
        &self,
        desired: &CacheUserGroup,
        found: &Found<CacheUserGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if differs(fields, "users") {
            let users = &found.resource.users;
            return self
                .0
                .elasticache
                .modify_user_group()
                .user_group_id(&desired.id)
                .set_user_ids_to_add(without(&desired.users, users))
                .set_user_ids_to_remove(without(users, &desired.users))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("ModifyUserGroup", &error));
        }
        if differs(fields, "tags") {
            return add_tags(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        Err(nothing_to_change("ElastiCache user group", fields))
    }

    async fn delete(
        &self,
        found: &Found<CacheUserGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .elasticache
            .delete_user_group()
            .user_group_id(&found.resource.id)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteUserGroup", &error)),
        }
    }
}

impl UserGroupApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<sdk::UserGroup>, Failure> {
        let call = self.0.elasticache.describe_user_groups();
        let all = pages!("DescribeUserGroups", call, user_groups, user_group_id);
        if let Some(found) = self.0.listings.cache_user_groups.find(name, all).await {
            return Ok(Some(found));
        }
        match part("DescribeUserGroups", call.user_group_id(name).send()).await {
            Ok(answer) => Ok(answer.user_groups.unwrap_or_default().into_iter().next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeUserGroups", &error)),
        }
    }
}

/// What one set has and the other has not; `None` for nothing, since ElastiCache refuses an empty list.
fn without(ids: &BTreeSet<String>, others: &BTreeSet<String>) -> Option<Vec<String>> {
    let ids: Vec<String> = ids.difference(others).cloned().collect();
    (!ids.is_empty()).then_some(ids)
}
