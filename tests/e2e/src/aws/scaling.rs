//! What AWS scales.

use anyhow::{Context, Result};
use aws_sdk_applicationautoscaling::types::{
    PolicyType, ScalableTarget, ScalingPolicy, ServiceNamespace,
};
use serde_json::{Map, Value, json};

use super::{Aws, tags};

impl Aws {
    /// What is scaled of a DynamoDB table: `reads` and `writes`, with the name of an index before them, `by-brand.reads`.
    pub async fn autoscaling(&self, table: &str) -> Result<Value> {
        let mut scaled = Map::new();
        let mut pages = self
            .applicationautoscaling
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::Dynamodb)
            .into_paginator()
            .items()
            .send();
        while let Some(target) = pages.next().await {
            let target = target?;
            let Some(index) = index_of(target.resource_id(), table) else {
                continue;
            };
            let units = if target
                .scalable_dimension()
                .as_str()
                .ends_with("ReadCapacityUnits")
            {
                "reads"
            } else {
                "writes"
            };
            let name = index.map_or_else(|| units.to_owned(), |index| format!("{index}.{units}"));
            scaled.insert(name, self.scalable_target(&target).await?);
        }
        Ok(Value::Object(scaled))
    }

    async fn scalable_target(&self, target: &ScalableTarget) -> Result<Value> {
        let policies = self
            .applicationautoscaling
            .describe_scaling_policies()
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_id(target.resource_id())
            .scalable_dimension(target.scalable_dimension().clone())
            .send()
            .await?;
        let arn = target
            .scalable_target_arn()
            .context("the target has no ARN")?;
        let listed = self
            .applicationautoscaling
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await?;
        let suspended = target.suspended_state();
        Ok(json!({
            "min": target.min_capacity(),
            "max": target.max_capacity(),
            "role": target.role_arn().rsplit('/').next(),
            "suspended": suspended.is_some_and(|state| {
                state.dynamic_scaling_in_suspended() == Some(true) || state.dynamic_scaling_out_suspended() == Some(true)
            }),
            "policies": policies.scaling_policies().iter().map(policy).collect::<Vec<_>>(),
            "tags": tags(listed.tags().into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))),
        }))
    }
}

/// The index of a table that a resource id names; `None` inside for the table itself, outside for anything else.
fn index_of<'a>(resource_id: &'a str, table: &str) -> Option<Option<&'a str>> {
    let rest = resource_id.strip_prefix("table/")?.strip_prefix(table)?;
    if rest.is_empty() {
        return Some(None);
    }
    rest.strip_prefix("/index/").map(Some)
}

fn policy(policy: &ScalingPolicy) -> Value {
    let tracking = policy.target_tracking_scaling_policy_configuration();
    json!({
        "name": policy.policy_name(),
        "tracking": *policy.policy_type() == PolicyType::TargetTrackingScaling,
        "metric": tracking
            .and_then(|tracking| tracking.predefined_metric_specification())
            .map(|metric| metric.predefined_metric_type().as_str()),
        "target": tracking.map(|tracking| tracking.target_value()),
        "scaleInCooldown": tracking.and_then(|tracking| tracking.scale_in_cooldown()),
        "scaleOutCooldown": tracking.and_then(|tracking| tracking.scale_out_cooldown()),
        "scaleInDisabled": tracking.and_then(|tracking| tracking.disable_scale_in()),
        "alarms": policy.alarms().len(),
    })
}
