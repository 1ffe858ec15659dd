//! ElastiCache parameter groups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_elasticache::{
    operation::describe_cache_parameters::DescribeCacheParametersError,
    types::{self as sdk, ParameterNameValue},
};
use shopkeeper_plan::{
    aws::CacheParameterGroup, failure::Failure, outputs::Outputs, plan::DeleteMode,
};

use super::{MISSING, add_tags, tag_list, tags};
use crate::{
    account::{Account, Scope},
    error::{CallError, classify, is_code},
    listing::pages,
    parameters::{SET_BY_THE_USER, to_reset, to_set},
    parts::{part, trailed_setting},
    request::{differs, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Parameter groups.
pub(crate) struct ParameterGroupApi<'a>(pub(crate) &'a Account);

#[async_trait]
impl ResourceApi<CacheParameterGroup> for ParameterGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<CacheParameterGroup>>, Failure> {
        let Some(group) = self.describe(name).await? else {
            return Ok(None);
        };
        let parameters =
            match trailed_setting("DescribeCacheParameters", self.parameters(name)).await {
                Ok(parameters) => parameters,
                // Gone between the two answers.
                Err(error) if is_code(&error, MISSING) => return Ok(None),
                Err(error) => return Err(classify("DescribeCacheParameters", &error)),
            };
        let arn = group
            .arn()
            .ok_or_else(|| unreadable("DescribeCacheParameterGroups", "ARN"))?;
        let resource = CacheParameterGroup {
            name: group
                .cache_parameter_group_name()
                .unwrap_or_default()
                .to_owned(),
            family: group
                .cache_parameter_group_family()
                .unwrap_or_default()
                .to_owned(),
            description: group.description().unwrap_or_default().to_owned(),
            parameters,
            tags: tags(self.0, arn).await?,
        };
        let outputs = Outputs::new().with("arn", arn);
        Ok(Some(Found {
            arn: Some(arn.to_owned()),
            outputs,
            ..Found::available(resource)
        }))
    }

    /// The group alone; its parameters are a call of their own, which [`Self::update`] makes.
    async fn create(&self, desired: &CacheParameterGroup) -> Result<(), Failure> {
        self.0
            .elasticache
            .create_cache_parameter_group()
            .cache_parameter_group_name(&desired.name)
            .cache_parameter_group_family(&desired.family)
            .description(&desired.description)
            .set_tags(Some(tag_list(&desired.tags)))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateCacheParameterGroup", &error))
    }

    /// One call of at most 20 parameters; the next pass takes the next ones. What is to be set comes before what goes back
    /// to the engine's default.
    async fn update(
        &self,
        desired: &CacheParameterGroup,
        found: &Found<CacheParameterGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let (set, reset) = if differs(fields, "parameters") {
            (
                to_set(&desired.parameters, &found.resource.parameters),
                to_reset(&desired.parameters, &found.resource.parameters),
            )
        } else {
            Default::default()
        };
        if !set.is_empty() {
            let call = self
                .0
                .elasticache
                .modify_cache_parameter_group()
                .cache_parameter_group_name(&desired.name);
            let call = call.set_parameter_name_values(Some(values(set, &desired.parameters)));
            return call
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("ModifyCacheParameterGroup", &error));
        }
        if !reset.is_empty() {
            let call = self
                .0
                .elasticache
                .reset_cache_parameter_group()
                .cache_parameter_group_name(&desired.name);
            let call = call.set_parameter_name_values(Some(values(reset, &desired.parameters)));
            return call
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("ResetCacheParameterGroup", &error));
        }
        if differs(fields, "tags") {
            return add_tags(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        Err(nothing_to_change("ElastiCache parameter group", fields))
    }

    async fn delete(
        &self,
        found: &Found<CacheParameterGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .elasticache
            .delete_cache_parameter_group()
            .cache_parameter_group_name(&found.resource.name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteCacheParameterGroup", &error)),
        }
    }
}

impl ParameterGroupApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<sdk::CacheParameterGroup>, Failure> {
        let call = self.0.elasticache.describe_cache_parameter_groups();
        let all = pages!(
            "DescribeCacheParameterGroups",
            call,
            cache_parameter_groups,
            cache_parameter_group_name
        );
        if let Some(found) = self.0.listings.cache_parameter_groups.find(name, all).await {
            return Ok(Some(found));
        }
        match part(
            "DescribeCacheParameterGroups",
            call.cache_parameter_group_name(name).send(),
        )
        .await
        {
            Ok(answer) => Ok(answer
                .cache_parameter_groups
                .unwrap_or_default()
                .into_iter()
                .next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeCacheParameterGroups", &error)),
        }
    }

    async fn parameters(
        &self,
        group: &str,
    ) -> Result<BTreeMap<String, String>, CallError<DescribeCacheParametersError>> {
        let mut values = BTreeMap::new();
        let call = self
            .0
            .elasticache
            .describe_cache_parameters()
            .cache_parameter_group_name(group)
            .source(SET_BY_THE_USER);
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let parameters = page?.parameters.unwrap_or_default();
            values.extend(parameters.into_iter().filter_map(|parameter| {
                Some((parameter.parameter_name?, parameter.parameter_value?))
            }));
        }
        Ok(values)
    }
}

/// Parameters with their desired values; none for what goes back to the engine's default.
fn values(names: Vec<String>, desired: &BTreeMap<String, String>) -> Vec<ParameterNameValue> {
    let value = |name: &String| desired.get(name).cloned();
    names
        .into_iter()
        .map(|name| {
            ParameterNameValue::builder()
                .set_parameter_value(value(&name))
                .parameter_name(name)
                .build()
        })
        .collect()
}
