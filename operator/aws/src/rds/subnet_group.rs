//! RDS subnet group.

use async_trait::async_trait;
use aws_sdk_rds::types::DbSubnetGroup;
use shopkeeper_plan::{
    aws::RdsSubnetGroup, failure::Failure, observed::Lifecycle, outputs::Outputs, plan::DeleteMode,
};

use super::{rds_tags, tag, tags_of};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    parts::part,
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct SubnetGroupApi<'a>(pub(crate) &'a Account);

const NOT_FOUND: &[&str] = &["DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound"];

/// The status of a group that can be used.
const COMPLETE: &str = "Complete";

#[async_trait]
impl ResourceApi<RdsSubnetGroup> for SubnetGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<RdsSubnetGroup>>, Failure> {
        let Some(group) = self.describe(name).await? else {
            return Ok(None);
        };
        let arn = group.db_subnet_group_arn().unwrap_or_default();
        let resource = RdsSubnetGroup {
            name: group.db_subnet_group_name().unwrap_or_default().to_owned(),
            description: group
                .db_subnet_group_description()
                .unwrap_or_default()
                .to_owned(),
            subnets: group
                .subnets()
                .iter()
                .filter_map(|subnet| subnet.subnet_identifier())
                .map(str::to_owned)
                .collect(),
            tags: tags_of(self.0, arn).await?,
        };
        let lifecycle = match group.subnet_group_status() {
            Some(COMPLETE) | None => Lifecycle::Available,
            Some(_) => Lifecycle::Modifying,
        };
        let outputs = Outputs::new().with("arn", arn);
        Ok(Some(Found {
            lifecycle,
            arn: Some(arn.to_owned()),
            outputs,
            ..Found::available(resource)
        }))
    }

    async fn create(&self, desired: &RdsSubnetGroup) -> Result<(), Failure> {
        self.0
            .rds
            .create_db_subnet_group()
            .db_subnet_group_name(&desired.name)
            .db_subnet_group_description(&desired.description)
            .set_subnet_ids(Some(desired.subnets.iter().cloned().collect()))
            .set_tags(Some(rds_tags(&desired.tags)))
            .send()
            .await
            .map_err(|error| classify("CreateDBSubnetGroup", &error))?;
        Ok(())
    }

    async fn update(
        &self,
        desired: &RdsSubnetGroup,
        found: &Found<RdsSubnetGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let changes = |name: &str| fields.iter().any(|field| field == name);
        if !changes("subnets") && !changes("description") {
            return tag(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        // The call always takes the whole list of subnets.
        let subnets = if changes("subnets") {
            &desired.subnets
        } else {
            &found.resource.subnets
        };
        self.0
            .rds
            .modify_db_subnet_group()
            .db_subnet_group_name(&desired.name)
            .set_db_subnet_group_description(
                changes("description").then(|| desired.description.clone()),
            )
            .set_subnet_ids(Some(subnets.iter().cloned().collect()))
            .send()
            .await
            .map_err(|error| classify("ModifyDBSubnetGroup", &error))?;
        Ok(())
    }

    async fn delete(
        &self,
        found: &Found<RdsSubnetGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .rds
            .delete_db_subnet_group()
            .db_subnet_group_name(&found.resource.name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteDBSubnetGroup", &error)),
        }
    }
}

impl SubnetGroupApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<DbSubnetGroup>, Failure> {
        let call = self.0.rds.describe_db_subnet_groups();
        let all = pages!(
            "DescribeDBSubnetGroups",
            call,
            db_subnet_groups,
            db_subnet_group_name
        );
        if let Some(group) = self.0.listings.rds_subnet_groups.find(name, all).await {
            return Ok(Some(group));
        }
        let call = call.db_subnet_group_name(name);
        match part("DescribeDBSubnetGroups", call.send()).await {
            Ok(answer) => Ok(answer
                .db_subnet_groups
                .unwrap_or_default()
                .into_iter()
                .next()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeDBSubnetGroups", &error)),
        }
    }
}
