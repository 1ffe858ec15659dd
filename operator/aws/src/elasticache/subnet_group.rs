//! ElastiCache subnet groups.

use async_trait::async_trait;
use aws_sdk_elasticache::types as sdk;
use shopkeeper_plan::{
    aws::CacheSubnetGroup, failure::Failure, observed::Lifecycle, outputs::Outputs,
    plan::DeleteMode,
};

use super::{MISSING, add_tags, tag_list, tags};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    parts::part,
    request::{differs, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Subnet groups.
pub(crate) struct SubnetGroupApi<'a>(pub(crate) &'a Account);

#[async_trait]
impl ResourceApi<CacheSubnetGroup> for SubnetGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<CacheSubnetGroup>>, Failure> {
        let Some(group) = self.describe(name).await? else {
            return Ok(None);
        };
        let arn = group
            .arn()
            .ok_or_else(|| unreadable("DescribeCacheSubnetGroups", "ARN"))?;
        let tags = tags(self.0, arn).await?;
        let resource = CacheSubnetGroup {
            // As it was asked for: ElastiCache keeps names in lower case.
            name: name.to_owned(),
            description: group
                .cache_subnet_group_description()
                .unwrap_or_default()
                .to_owned(),
            subnets: group
                .subnets()
                .iter()
                .filter_map(|subnet| subnet.subnet_identifier().map(str::to_owned))
                .collect(),
            tags,
        };
        let outputs = Outputs::new()
            .with("arn", arn)
            .with_optional("vpcId", group.vpc_id());
        Ok(Some(Found {
            resource,
            lifecycle: Lifecycle::Available,
            arn: group.arn,
            id: None,
            outputs,
            empty: None,
            note: None,
        }))
    }

    async fn create(&self, desired: &CacheSubnetGroup) -> Result<(), Failure> {
        self.0
            .elasticache
            .create_cache_subnet_group()
            .cache_subnet_group_name(desired.name.to_lowercase())
            .cache_subnet_group_description(&desired.description)
            .set_subnet_ids(Some(desired.subnets.iter().cloned().collect()))
            .set_tags(Some(tag_list(&desired.tags)))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateCacheSubnetGroup", &error))
    }

    async fn update(
        &self,
        desired: &CacheSubnetGroup,
        found: &Found<CacheSubnetGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let description = differs(fields, "description").then(|| desired.description.clone());
        let subnets =
            differs(fields, "subnets").then(|| desired.subnets.iter().cloned().collect::<Vec<_>>());
        if description.is_some() || subnets.is_some() {
            return self
                .0
                .elasticache
                .modify_cache_subnet_group()
                .cache_subnet_group_name(&desired.name)
                .set_cache_subnet_group_description(description)
                .set_subnet_ids(subnets)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("ModifyCacheSubnetGroup", &error));
        }
        if differs(fields, "tags") {
            return add_tags(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        Err(nothing_to_change("ElastiCache subnet group", fields))
    }

    async fn delete(
        &self,
        found: &Found<CacheSubnetGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .elasticache
            .delete_cache_subnet_group()
            .cache_subnet_group_name(&found.resource.name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteCacheSubnetGroup", &error)),
        }
    }
}

impl SubnetGroupApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<sdk::CacheSubnetGroup>, Failure> {
        let call = self.0.elasticache.describe_cache_subnet_groups();
        let all = pages!(
            "DescribeCacheSubnetGroups",
            call,
            cache_subnet_groups,
            cache_subnet_group_name
        );
        if let Some(found) = self.0.listings.cache_subnet_groups.find(name, all).await {
            return Ok(Some(found));
        }
        match part(
            "DescribeCacheSubnetGroups",
            call.cache_subnet_group_name(name).send(),
        )
        .await
        {
            Ok(answer) => Ok(answer
                .cache_subnet_groups
                .unwrap_or_default()
                .into_iter()
                .next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeCacheSubnetGroups", &error)),
        }
    }
}
