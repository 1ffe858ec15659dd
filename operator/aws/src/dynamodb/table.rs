//! DynamoDB tables.

use async_trait::async_trait;
use aws_sdk_dynamodb::{error::SdkError, types as sdk};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use shopkeeper_plan::{
    aws::{Capacity, DynamoDbTable, Tags},
    failure::{Class, Failure},
    observed::Lifecycle,
    plan::DeleteMode,
};

use super::{
    backup,
    change::{self, Change},
    classify, definition,
    description::Descriptions,
    update::{change_capacity, make_index},
};
use crate::{
    account::{Account, Scope},
    arn,
    error::is_code,
    parts::{setting, trailed_setting},
    request::{document, incomplete, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
    resourcegroupstagging::tags,
};

/// Tables. [`Found::id`] is DynamoDB's id of the table, which tells it from an earlier one of the same name.
pub(crate) struct TableApi<'a>(pub(crate) &'a Account);

/// DynamoDB's codes for a table that does not exist; the calls for backups have one of their own.
pub(super) const MISSING: &[&str] = &["ResourceNotFoundException", "TableNotFoundException"];

/// The code for a table that has no policy of its own.
const NO_POLICY: &str = "PolicyNotFoundException";

#[async_trait]
impl ResourceApi<DynamoDbTable> for TableApi<'_> {
    async fn observe(
        &self,
        name: &str,
        scope: &Scope,
    ) -> Result<Option<Found<DynamoDbTable>>, Failure> {
        let table_arn = arn::regional(scope, "dynamodb", &format!("table/{name}"));
        // Of one that is not there nothing else is to be asked.
        let Some(table) = setting("DescribeTable", self.table(name)).await? else {
            return Ok(None);
        };
        let (time_to_live, backups, policy, tags) = futures::join!(
            trailed_setting("DescribeTimeToLive", self.time_to_live(name)),
            trailed_setting("DescribeContinuousBackups", self.backups(name)),
            trailed_setting("GetResourcePolicy", self.policy(&table_arn)),
            tags(
                self.0,
                &table_arn,
                "ListTagsOfResource",
                self.tags(&table_arn)
            )
        );
        let (time_to_live, backups, policy) = (time_to_live?, backups?, policy?);
        // Without its tags nobody can tell whose table it is.
        let Some(tags) = tags? else {
            return Err(Failure::new(
                Class::NotReady,
                "ListTagsOfResource: the table is being made or removed",
            ));
        };
        Descriptions {
            table,
            time_to_live,
            backups,
            policy,
            tags,
        }
        .found(name, &scope.region)
        .map(Some)
    }

    /// Expiry and point-in-time recovery are calls of their own, which DynamoDB takes once the table is active.
    async fn create(&self, desired: &DynamoDbTable) -> Result<(), Failure> {
        let (provisioned, on_demand) = match desired.capacity {
            Capacity::Provisioned(units) => (Some(definition::throughput(units)?), None),
            Capacity::OnDemand {
                max_read,
                max_write,
            } => (
                None,
                (max_read.is_some() || max_write.is_some()).then(|| {
                    sdk::OnDemandThroughput::builder()
                        .set_max_read_request_units(max_read)
                        .set_max_write_request_units(max_write)
                        .build()
                }),
            ),
        };
        let global = desired
            .global_indexes
            .iter()
            .map(|(name, index)| {
                definition::global_index(name, index, desired.index_warm_units.get(name).copied())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let local = desired
            .local_indexes
            .iter()
            .map(|(name, index)| definition::local_index(name, index))
            .collect::<Result<Vec<_>, _>>()?;
        self.0
            .dynamodb
            .create_table()
            .table_name(&desired.name)
            .set_attribute_definitions(Some(definition::attributes(definition::keys(desired))?))
            .set_key_schema(Some(definition::key_schema(&desired.key)?))
            // Empty lists are refused.
            .set_global_secondary_indexes(Some(global).filter(|indexes| !indexes.is_empty()))
            .set_local_secondary_indexes(Some(local).filter(|indexes| !indexes.is_empty()))
            .billing_mode(definition::billing_mode(desired.capacity))
            .set_provisioned_throughput(provisioned)
            .set_on_demand_throughput(on_demand)
            .table_class(definition::table_class(desired.table_class))
            .set_sse_specification(desired.kms_key_arn.as_deref().map(definition::encryption))
            .deletion_protection_enabled(desired.deletion_protection)
            .set_warm_throughput(definition::warm_throughput(
                desired.warm_read_units,
                desired.warm_write_units,
            ))
            .set_stream_specification(
                desired
                    .stream
                    .map(|view| definition::stream(Some(view)))
                    .transpose()?,
            )
            .set_tags(Some(definition::tags(&desired.tags)?).filter(|tags| !tags.is_empty()))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateTable", &error))
    }

    async fn update(
        &self,
        desired: &DynamoDbTable,
        found: &Found<DynamoDbTable>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let observed = &found.resource;
        let change = change::next(desired, observed, fields)
            .ok_or_else(|| nothing_to_change("DynamoDB table", fields))?;
        let update = self.0.dynamodb.update_table().table_name(&desired.name);
        let update = match change {
            Change::PointInTimeRecovery => return self.change_recovery(desired).await,
            Change::TimeToLive { attribute, enable } => {
                return self.change_expiry(&desired.name, &attribute, enable).await;
            }
            Change::Policy => return self.remove_policy(found).await,
            Change::Tags => return self.tag(desired, found).await,
            Change::RemoveIndex(name) => {
                let action = sdk::DeleteGlobalSecondaryIndexAction::builder()
                    .index_name(name)
                    .build()
                    .map_err(incomplete)?;
                update.global_secondary_index_updates(
                    sdk::GlobalSecondaryIndexUpdate::builder()
                        .delete(action)
                        .build(),
                )
            }
            Change::MakeIndex(name) => make_index(update, desired, observed, &name)?,
            Change::Capacity {
                switch,
                table,
                indexes,
            } => change_capacity(update, desired, observed, switch, table, &indexes)?,
            Change::TableClass => update.table_class(definition::table_class(desired.table_class)),
            Change::Encryption => update
                .set_sse_specification(desired.kms_key_arn.as_deref().map(definition::encryption)),
            Change::DeletionProtection => {
                update.deletion_protection_enabled(desired.deletion_protection)
            }
            Change::WarmThroughput { read, write } => {
                update.set_warm_throughput(definition::warm_throughput(read, write))
            }
            Change::IndexWarmThroughput { index, read, write } => {
                let action = sdk::UpdateGlobalSecondaryIndexAction::builder()
                    .index_name(index)
                    .set_warm_throughput(definition::warm_throughput(read, write))
                    .build()
                    .map_err(incomplete)?;
                update.global_secondary_index_updates(
                    sdk::GlobalSecondaryIndexUpdate::builder()
                        .update(action)
                        .build(),
                )
            }
            Change::Stream { enable } => {
                update.stream_specification(definition::stream(desired.stream.filter(|_| enable))?)
            }
        };
        update
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("UpdateTable", &error))
    }

    async fn delete(
        &self,
        found: &Found<DynamoDbTable>,
        mode: DeleteMode,
        token: &DeletionToken,
    ) -> Result<(), Failure> {
        let name = &found.resource.name;
        if found.lifecycle == Lifecycle::Deleting {
            return Ok(());
        }
        if found.resource.deletion_protection {
            let lifted = self
                .0
                .dynamodb
                .update_table()
                .table_name(name)
                .deletion_protection_enabled(false)
                .send()
                .await;
            return gone_or("UpdateTable", lifted);
        }
        if mode == DeleteMode::Snapshot {
            backup::ensure(self.0, found, token).await?;
        }
        gone_or(
            "DeleteTable",
            self.0.dynamodb.delete_table().table_name(name).send().await,
        )
    }
}

impl TableApi<'_> {
    async fn table(&self, name: &str) -> Result<Option<sdk::TableDescription>, Failure> {
        let answer = self
            .0
            .dynamodb
            .describe_table()
            .table_name(name)
            .send()
            .await;
        match unless_missing("DescribeTable", answer)? {
            Some(answer) => answer
                .table
                .map(Some)
                .ok_or_else(|| unreadable("DescribeTable", "table")),
            None => Ok(None),
        }
    }

    async fn time_to_live(
        &self,
        name: &str,
    ) -> Result<Option<sdk::TimeToLiveDescription>, Failure> {
        let answer = self
            .0
            .dynamodb
            .describe_time_to_live()
            .table_name(name)
            .send()
            .await;
        Ok(unless_missing("DescribeTimeToLive", answer)?
            .and_then(|answer| answer.time_to_live_description))
    }

    async fn backups(
        &self,
        name: &str,
    ) -> Result<Option<sdk::ContinuousBackupsDescription>, Failure> {
        let answer = self
            .0
            .dynamodb
            .describe_continuous_backups()
            .table_name(name)
            .send()
            .await;
        Ok(unless_missing("DescribeContinuousBackups", answer)?
            .and_then(|answer| answer.continuous_backups_description))
    }

    /// The policy by which others are let in; `None` without one.
    async fn policy(&self, table_arn: &str) -> Result<Option<serde_json::Value>, Failure> {
        let answer = self
            .0
            .dynamodb
            .get_resource_policy()
            .resource_arn(table_arn)
            .send()
            .await;
        match answer {
            Err(error) if is_code(&error, &[NO_POLICY]) => Ok(None),
            answer => unless_missing("GetResourcePolicy", answer)?
                .and_then(|answer| answer.policy)
                .map(|text| document("GetResourcePolicy", &text))
                .transpose(),
        }
    }

    async fn tags(&self, table_arn: &str) -> Result<Option<Tags>, Failure> {
        let mut tags = Tags::new();
        let mut next = None;
        loop {
            let answer = self
                .0
                .dynamodb
                .list_tags_of_resource()
                .resource_arn(table_arn)
                .set_next_token(next)
                .send()
                .await;
            let Some(answer) = unless_missing("ListTagsOfResource", answer)? else {
                return Ok(None);
            };
            tags.extend(
                answer
                    .tags
                    .unwrap_or_default()
                    .into_iter()
                    .map(|tag| (tag.key, tag.value)),
            );
            next = answer.next_token;
            if next.is_none() {
                return Ok(Some(tags));
            }
        }
    }

    async fn change_recovery(&self, desired: &DynamoDbTable) -> Result<(), Failure> {
        self.0
            .dynamodb
            .update_continuous_backups()
            .table_name(&desired.name)
            .point_in_time_recovery_specification(definition::point_in_time_recovery(
                desired.point_in_time_recovery,
            )?)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("UpdateContinuousBackups", &error))
    }

    async fn change_expiry(
        &self,
        name: &str,
        attribute: &str,
        enable: bool,
    ) -> Result<(), Failure> {
        let specification = sdk::TimeToLiveSpecification::builder()
            .enabled(enable)
            .attribute_name(attribute)
            .build()
            .map_err(incomplete)?;
        let answer = self
            .0
            .dynamodb
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(specification)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // A change takes up to an hour, in which DynamoDB refuses the next one, with a code that says nothing.
            Err(error)
                if error.message().is_some_and(|message| {
                    message.contains("modified multiple times within a fixed interval")
                }) =>
            {
                Err(Failure::new(
                    Class::NotReady,
                    "UpdateTimeToLive: DynamoDB takes one change of the expiry an hour",
                )
                .with_code("ValidationException"))
            }
            Err(error) => Err(classify("UpdateTimeToLive", &error)),
        }
    }

    /// DynamoDB takes it where there is none as well.
    async fn remove_policy(&self, found: &Found<DynamoDbTable>) -> Result<(), Failure> {
        let removed = self
            .0
            .dynamodb
            .delete_resource_policy()
            .set_resource_arn(found.arn.clone())
            .send()
            .await;
        gone_or("DeleteResourcePolicy", removed)
    }

    async fn tag(
        &self,
        desired: &DynamoDbTable,
        found: &Found<DynamoDbTable>,
    ) -> Result<(), Failure> {
        self.0
            .dynamodb
            .tag_resource()
            .set_resource_arn(found.arn.clone())
            .set_tags(Some(definition::tags(&desired.tags)?))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("TagResource", &error))
    }
}

/// The answer, or `None` where the table does not exist.
fn unless_missing<T, E>(
    operation: &str,
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_code(&error, MISSING) => Ok(None),
        Err(error) => Err(classify(operation, &error)),
    }
}

/// Success where the table is gone already.
fn gone_or<T, E>(operation: &str, answer: Result<T, SdkError<E>>) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    unless_missing(operation, answer).map(drop)
}
