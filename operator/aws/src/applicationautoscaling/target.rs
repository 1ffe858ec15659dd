//! Scalable targets, each with its target tracking policy.

use async_trait::async_trait;
use aws_sdk_applicationautoscaling::{
    operation::register_scalable_target::builders::RegisterScalableTargetFluentBuilder,
    types::{
        MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension as Dimension,
        ScalableTarget as DescribedTarget, ScalingPolicy, ServiceNamespace, SuspendedState,
        TargetTrackingScalingPolicyConfiguration as Tracking,
    },
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use shopkeeper_plan::{
    aws::{ScalableTarget, Tags},
    failure::{Class, Failure},
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
    sensitive::fingerprint,
};

use crate::{
    account::{Account, Scope},
    error::{ALLOW_IT, CallError, classify, is_code},
    parts::setting,
    request::{differs, incomplete, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Scalable targets. [`Found::id`] is the name of the policy that tracks the metric, whoever gave it that name: AWS allows one
/// policy for a metric.
pub(crate) struct TargetApi<'a>(pub(crate) &'a Account);

/// The code for what was registered by nobody, and the one that the calls for tags have.
const MISSING: &[&str] = &["ObjectNotFoundException", "ResourceNotFoundException"];

/// Longest name of a policy, in characters.
const LONGEST_POLICY_NAME: usize = 256;

/// The fields that RegisterScalableTarget takes; the others are the policy's.
const OF_THE_TARGET: [&str; 3] = ["minCapacity", "maxCapacity", "suspended"];

#[async_trait]
impl ResourceApi<ScalableTarget> for TargetApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<ScalableTarget>>, Failure> {
        let (resource_id, dimension) = ScalableTarget::parse_name(name).ok_or_else(|| {
            Failure::new(
                Class::Bug,
                format!("{name} does not name a scalable target"),
            )
        })?;
        let id = Identity {
            resource: resource_id,
            dimension: Dimension::from(dimension.as_str()),
        };
        let (target, policies) = futures::join!(
            setting("DescribeScalableTargets", self.target(&id)),
            setting("DescribeScalingPolicies", self.policies(&id))
        );
        let policies = policies?;
        let Some(target) = target? else {
            return Ok(None);
        };
        let arn = target
            .scalable_target_arn
            .ok_or_else(|| unreadable("DescribeScalableTargets", "ARN"))?;
        // It went between two calls.
        let Some(tags) = self.tags(&arn).await? else {
            return Ok(None);
        };
        let policy = policies
            .into_iter()
            .find(|policy| tracks(policy, dimension.metric()));
        let tracking = policy
            .as_ref()
            .and_then(ScalingPolicy::target_tracking_scaling_policy_configuration);
        // What is left out is AWS's default: for DynamoDB, cooldowns of 0 seconds.
        let resource = ScalableTarget {
            resource_id: resource_id.to_owned(),
            dimension,
            min_capacity: target.min_capacity,
            max_capacity: target.max_capacity,
            suspended: target.suspended_state.as_ref().is_some_and(is_suspended),
            target_utilization: tracking.map(Tracking::target_value),
            scale_in_cooldown_seconds: tracking
                .and_then(Tracking::scale_in_cooldown)
                .unwrap_or_default(),
            scale_out_cooldown_seconds: tracking
                .and_then(Tracking::scale_out_cooldown)
                .unwrap_or_default(),
            scale_in_disabled: tracking
                .and_then(Tracking::disable_scale_in)
                .unwrap_or_default(),
            tags,
        };
        Ok(Some(Found {
            resource,
            lifecycle: Lifecycle::Available,
            outputs: Outputs::new().with("arn", &arn),
            arn: Some(arn),
            id: policy.map(|policy| policy.policy_name),
            empty: None,
            note: None,
        }))
    }

    /// The target with its tags; the policy is a call of its own. AWS brings what is scaled into the range at once where it is active.
    async fn create(&self, desired: &ScalableTarget) -> Result<(), Failure> {
        self.register(desired)
            .set_tags(Some(desired.tags.clone().into_iter().collect()))
            .send()
            .await
            .map(drop)
            .map_err(|error| refusal("RegisterScalableTarget", &error))
    }

    async fn update(
        &self,
        desired: &ScalableTarget,
        found: &Found<ScalableTarget>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if OF_THE_TARGET.iter().any(|field| differs(fields, field)) {
            return self
                .register(desired)
                .send()
                .await
                .map(drop)
                .map_err(|error| refusal("RegisterScalableTarget", &error));
        }
        if fields.iter().any(|field| field != "tags") {
            return self.put_policy(desired, found, fields).await;
        }
        if differs(fields, "tags") {
            return self
                .0
                .applicationautoscaling
                .tag_resource()
                .set_resource_arn(found.arn.clone())
                .set_tags(Some(desired.tags.clone().into_iter().collect()))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("TagResource", &error));
        }
        Err(nothing_to_change("scalable target", fields))
    }

    /// Its policies, their alarms and its schedules go with it; what it scaled keeps the numbers that it has.
    async fn delete(
        &self,
        found: &Found<ScalableTarget>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        let answer = self
            .0
            .applicationautoscaling
            .deregister_scalable_target()
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_id(&found.resource.resource_id)
            .scalable_dimension(Dimension::from(found.resource.dimension.as_str()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(refusal("DeregisterScalableTarget", &error)),
        }
    }
}

/// By what AWS tells targets apart.
struct Identity<'a> {
    resource: &'a str,
    dimension: Dimension,
}

impl TargetApi<'_> {
    async fn target(&self, id: &Identity<'_>) -> Result<Option<DescribedTarget>, Failure> {
        self.0
            .applicationautoscaling
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_ids(id.resource)
            .scalable_dimension(id.dimension.clone())
            .send()
            .await
            .map(|answer| answer.scalable_targets.unwrap_or_default().pop())
            .map_err(|error| refusal("DescribeScalableTargets", &error))
    }

    async fn policies(&self, id: &Identity<'_>) -> Result<Vec<ScalingPolicy>, Failure> {
        let mut pages = self
            .0
            .applicationautoscaling
            .describe_scaling_policies()
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_id(id.resource)
            .scalable_dimension(id.dimension.clone())
            .into_paginator()
            .send();
        let mut policies = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refusal("DescribeScalingPolicies", &error))?;
            policies.extend(page.scaling_policies.unwrap_or_default());
        }
        Ok(policies)
    }

    async fn tags(&self, arn: &str) -> Result<Option<Tags>, Failure> {
        match self
            .0
            .applicationautoscaling
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(answer.tags.unwrap_or_default().into_iter().collect())),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("ListTagsForResource", &error)),
        }
    }

    /// Makes or changes a target. Tags are only taken for one that is not there.
    fn register(&self, desired: &ScalableTarget) -> RegisterScalableTargetFluentBuilder {
        let state = SuspendedState::builder()
            .dynamic_scaling_in_suspended(desired.suspended)
            .dynamic_scaling_out_suspended(desired.suspended)
            .scheduled_scaling_suspended(desired.suspended)
            .build();
        self.0
            .applicationautoscaling
            .register_scalable_target()
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_id(&desired.resource_id)
            .scalable_dimension(Dimension::from(desired.dimension.as_str()))
            .min_capacity(desired.min_capacity)
            .max_capacity(desired.max_capacity)
            .suspended_state(state)
    }

    /// Makes the policy, or changes the one that tracks the metric already.
    async fn put_policy(
        &self,
        desired: &ScalableTarget,
        found: &Found<ScalableTarget>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let Some(percent) = desired.target_utilization else {
            return Err(nothing_to_change("scalable target", fields));
        };
        let metric = PredefinedMetricSpecification::builder()
            .predefined_metric_type(MetricType::from(desired.dimension.metric()))
            .build()
            .map_err(incomplete)?;
        let tracking = Tracking::builder()
            .target_value(percent)
            .predefined_metric_specification(metric)
            .scale_in_cooldown(desired.scale_in_cooldown_seconds)
            .scale_out_cooldown(desired.scale_out_cooldown_seconds)
            .disable_scale_in(desired.scale_in_disabled)
            .build()
            .map_err(incomplete)?;
        self.0
            .applicationautoscaling
            .put_scaling_policy()
            .policy_name(found.id.clone().unwrap_or_else(|| policy_name(desired)))
            .service_namespace(ServiceNamespace::Dynamodb)
            .resource_id(&desired.resource_id)
            .scalable_dimension(Dimension::from(desired.dimension.as_str()))
            .policy_type(PolicyType::TargetTrackingScaling)
            .target_tracking_scaling_policy_configuration(tracking)
            .send()
            .await
            .map(drop)
            .map_err(|error| refusal("PutScalingPolicy", &error))
    }
}

/// Whether a policy holds this metric at a target.
fn tracks(policy: &ScalingPolicy, metric: &str) -> bool {
    policy
        .target_tracking_scaling_policy_configuration()
        .and_then(Tracking::predefined_metric_specification)
        .is_some_and(|tracked| tracked.predefined_metric_type().as_str() == metric)
}

fn is_suspended(state: &SuspendedState) -> bool {
    [
        state.dynamic_scaling_in_suspended(),
        state.dynamic_scaling_out_suspended(),
        state.scheduled_scaling_suspended(),
    ]
    .contains(&Some(true))
}

/// The name that DynamoDB's own console gives a policy, so that either finds what the other made; cut where it is too long.
fn policy_name(target: &ScalableTarget) -> String {
    let name = format!("{}:{}", target.dimension.metric(), target.resource_id);
    if name.len() <= LONGEST_POLICY_NAME {
        return name;
    }
    let suffix = format!("-{}", &fingerprint(name.as_bytes())[..8]);
    // Names of tables and indexes are ASCII.
    let kept = name
        .get(..LONGEST_POLICY_NAME - suffix.len())
        .unwrap_or(&name);
    format!("{kept}{suffix}")
}

/// Application Auto Scaling says most things with two codes.
fn refusal<E>(operation: &str, error: &CallError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    told_apart(classify(operation, error))
}

fn told_apart(mut failure: Failure) -> Failure {
    let says = |words: &str| failure.message.contains(words);
    let (class, remedy) = match failure.code.as_deref() {
        Some("LimitExceededException") => (
            Class::Invalid,
            "raise the quota of Application Auto Scaling, or remove what is not used",
        ),
        // It tries beforehand what it will do for its caller.
        Some("ValidationException") if says("not authorized") => (Class::Denied, ALLOW_IT),
        // It hears of a new table or index some seconds after DynamoDB.
        Some("ValidationException") if says("does not exist") => (Class::NotReady, ""),
        _ => return failure,
    };
    failure.class = class;
    failure.remedy = remedy.to_owned();
    failure
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::aws::ScalableDimension;

    use super::*;

    fn target(table: &str, index: Option<&str>) -> ScalableTarget {
        ScalableTarget {
            resource_id: ScalableTarget::resource_of(table, index),
            dimension: if index.is_some() {
                ScalableDimension::IndexWrites
            } else {
                ScalableDimension::TableReads
            },
            min_capacity: 1,
            max_capacity: 2,
            suspended: false,
            target_utilization: Some(70.0),
            scale_in_cooldown_seconds: 0,
            scale_out_cooldown_seconds: 0,
            scale_in_disabled: false,
            tags: Tags::new(),
        }
    }

    #[test]
    fn a_validation_that_failed_is_told_apart_by_what_it_says() {
        let class = |code: &str, message: &str| {
            told_apart(Failure::new(Class::Invalid, message).with_code(code)).class
        };
        let missing = "User: arn:aws:sts::1:assumed-role/shopkeeper is not authorized to perform: cloudwatch:PutMetricAlarm";
        assert_eq!(class("ValidationException", missing), Class::Denied);
        let new = "DynamoDB table does not exist: table/orders";
        assert_eq!(class("ValidationException", new), Class::NotReady);
        let other = "Maximum capacity cannot be less than minimum capacity";
        assert_eq!(class("ValidationException", other), Class::Invalid);
        assert_eq!(class("LimitExceededException", "500"), Class::Invalid);
    }

    #[test]
    fn policies_have_the_names_that_the_console_gives_them() {
        assert_eq!(
            policy_name(&target("orders", None)),
            "DynamoDBReadCapacityUtilization:table/orders"
        );
        assert_eq!(
            policy_name(&target("orders", Some("by-state"))),
            "DynamoDBWriteCapacityUtilization:table/orders/index/by-state"
        );
    }

    #[test]
    fn long_names_of_policies_fit_and_stay_apart() {
        let long = "x".repeat(255);
        let one = policy_name(&target(&long, Some("by-state")));
        let other = policy_name(&target(&long, Some("by-day")));
        assert_eq!((one.len(), other.len()), (256, 256));
        assert_ne!(one, other);
    }
}
