//! RDS parameter group.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_rds::types::{ApplyMethod, DbParameterGroup, Filter, Parameter};
use shopkeeper_plan::{
    aws::RdsParameterGroup, failure::Failure, outputs::Outputs, plan::DeleteMode,
};

use super::{rds_tags, tag, tags_of};
use crate::{
    account::{Account, Scope},
    error::{CallError, classify, is_code},
    listing::pages,
    parameters::{SET_BY_THE_USER, to_reset, to_set},
    parts::{part, trailed_setting},
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct ParameterGroupApi<'a>(pub(crate) &'a Account);

const NOT_FOUND: &[&str] = &["DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"];

#[async_trait]
impl ResourceApi<RdsParameterGroup> for ParameterGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<RdsParameterGroup>>, Failure> {
        let (group, parameters) = futures::join!(
            self.describe(name),
            trailed_setting("DescribeDBParameters", self.parameters(name))
        );
        let Some(group) = group? else {
            return Ok(None);
        };
        let parameters = match parameters {
            Ok(parameters) => parameters,
            // Gone between the two answers.
            Err(error) if is_code(&error, NOT_FOUND) => return Ok(None),
            Err(error) => return Err(classify("DescribeDBParameters", &error)),
        };
        let arn = group.db_parameter_group_arn().unwrap_or_default();
        let resource = RdsParameterGroup {
            name: group
                .db_parameter_group_name()
                .unwrap_or_default()
                .to_owned(),
            family: group
                .db_parameter_group_family()
                .unwrap_or_default()
                .to_owned(),
            description: group.description().unwrap_or_default().to_owned(),
            parameters,
            tags: tags_of(self.0, arn).await?,
        };
        let outputs = Outputs::new().with("arn", arn);
        Ok(Some(Found {
            arn: Some(arn.to_owned()),
            outputs,
            ..Found::available(resource)
        }))
    }

    /// The group alone; its parameters are a call of their own, which [`Self::update`] makes.
    async fn create(&self, desired: &RdsParameterGroup) -> Result<(), Failure> {
        self.0
            .rds
            .create_db_parameter_group()
            .db_parameter_group_name(&desired.name)
            .db_parameter_group_family(&desired.family)
            .description(&desired.description)
            .set_tags(Some(rds_tags(&desired.tags)))
            .send()
            .await
            .map_err(|error| classify("CreateDBParameterGroup", &error))?;
        Ok(())
    }

    /// One call of at most 20 parameters; the next pass takes the next ones. What is to be set comes before what goes back
    /// to the engine's default.
    async fn update(
        &self,
        desired: &RdsParameterGroup,
        found: &Found<RdsParameterGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if !fields.iter().any(|field| field == "parameters") {
            return tag(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        let values = |names: &[String]| {
            names
                .iter()
                .map(|name| (name.clone(), desired.parameters.get(name).cloned()))
                .collect()
        };
        let different = to_set(&desired.parameters, &found.resource.parameters);
        let superfluous = to_reset(&desired.parameters, &found.resource.parameters);
        let name = &desired.name;
        if !different.is_empty() {
            let parameters = self.with_apply_method(name, values(&different)).await?;
            let call = self
                .0
                .rds
                .modify_db_parameter_group()
                .db_parameter_group_name(name)
                .set_parameters(Some(parameters));
            call.send()
                .await
                .map_err(|error| classify("ModifyDBParameterGroup", &error))?;
        } else if !superfluous.is_empty() {
            let parameters = self.with_apply_method(name, values(&superfluous)).await?;
            let call = self
                .0
                .rds
                .reset_db_parameter_group()
                .db_parameter_group_name(name)
                .set_parameters(Some(parameters));
            call.send()
                .await
                .map_err(|error| classify("ResetDBParameterGroup", &error))?;
        }
        Ok(())
    }

    async fn delete(
        &self,
        found: &Found<RdsParameterGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .rds
            .delete_db_parameter_group()
            .db_parameter_group_name(&found.resource.name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteDBParameterGroup", &error)),
        }
    }
}

type DescribeError =
    CallError<aws_sdk_rds::operation::describe_db_parameters::DescribeDBParametersError>;

impl ParameterGroupApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<DbParameterGroup>, Failure> {
        let call = self.0.rds.describe_db_parameter_groups();
        let all = pages!(
            "DescribeDBParameterGroups",
            call,
            db_parameter_groups,
            db_parameter_group_name
        );
        if let Some(group) = self.0.listings.rds_parameter_groups.find(name, all).await {
            return Ok(Some(group));
        }
        let call = call.db_parameter_group_name(name);
        match part("DescribeDBParameterGroups", call.send()).await {
            Ok(answer) => Ok(answer
                .db_parameter_groups
                .unwrap_or_default()
                .into_iter()
                .next()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeDBParameterGroups", &error)),
        }
    }

    async fn parameters(&self, group: &str) -> Result<BTreeMap<String, String>, DescribeError> {
        let mut values = BTreeMap::new();
        let call = self
            .0
            .rds
            .describe_db_parameters()
            .db_parameter_group_name(group)
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

    /// The parameters as a change, each with the way it can be applied: RDS refuses `immediate` for a static parameter, and
    /// would keep a dynamic one waiting for a reboot without it.
    async fn with_apply_method(
        &self,
        group: &str,
        values: BTreeMap<String, Option<String>>,
    ) -> Result<Vec<Parameter>, Failure> {
        let dynamic = self.dynamic(group, values.keys()).await?;
        Ok(values
            .into_iter()
            .map(|(name, value)| {
                let method = if dynamic.contains(&name) {
                    ApplyMethod::Immediate
                } else {
                    ApplyMethod::PendingReboot
                };
                Parameter::builder()
                    .parameter_name(name)
                    .set_parameter_value(value)
                    .apply_method(method)
                    .build()
            })
            .collect())
    }

    async fn dynamic(
        &self,
        group: &str,
        names: impl Iterator<Item = &String> + Send,
    ) -> Result<BTreeSet<String>, Failure> {
        let filter = Filter::builder()
            .name("parameter-name")
            .set_values(Some(names.cloned().collect()))
            .build();
        let mut dynamic = BTreeSet::new();
        let mut pages = self
            .0
            .rds
            .describe_db_parameters()
            .db_parameter_group_name(group)
            .filters(filter)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("DescribeDBParameters", &error))?;
            dynamic.extend(
                page.parameters
                    .into_iter()
                    .flatten()
                    .filter(|parameter| parameter.apply_type() == Some("dynamic"))
                    .filter_map(|parameter| parameter.parameter_name),
            );
        }
        Ok(dynamic)
    }
}
