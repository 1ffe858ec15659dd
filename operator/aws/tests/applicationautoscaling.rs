//! Scalable targets of DynamoDB tables against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use aws_sdk_applicationautoscaling::types::{
    MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension as Dimension,
    ServiceNamespace, TargetTrackingScalingPolicyConfiguration,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ProvisionedThroughput, ScalarAttributeType,
};
use double::{Double, change, converge, look, owner_tags, remove, token};
use serde_json::json;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, ScalableDimension, ScalableTarget},
    failure::Class,
    plan::DeleteMode,
};

const TABLE: &str = "shop-orders";
const INDEX: &str = "by-state";

fn target(index: Option<&str>, dimension: ScalableDimension) -> ScalableTarget {
    ScalableTarget {
        resource_id: ScalableTarget::resource_of(TABLE, index),
        dimension,
        min_capacity: 5,
        max_capacity: 500,
        suspended: false,
        target_utilization: Some(70.0),
        scale_in_cooldown_seconds: 0,
        scale_out_cooldown_seconds: 0,
        scale_in_disabled: false,
        tags: owner_tags(),
    }
}

fn reads() -> ScalableTarget {
    target(None, ScalableDimension::TableReads)
}

fn dynamodb(double: &Double) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&double.configuration())
}

fn scaling(double: &Double) -> aws_sdk_applicationautoscaling::Client {
    aws_sdk_applicationautoscaling::Client::new(&double.configuration())
}

/// A table of 10 units each with an index of the same.
async fn make_table(double: &Double) {
    let key = || {
        KeySchemaElement::builder()
            .attribute_name("id")
            .key_type(KeyType::Hash)
            .build()
            .unwrap()
    };
    let units = || {
        ProvisionedThroughput::builder()
            .read_capacity_units(10)
            .write_capacity_units(10)
            .build()
            .unwrap()
    };
    let all = Projection::builder()
        .projection_type(ProjectionType::All)
        .build();
    let index = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .key_schema(key())
        .projection(all)
        .provisioned_throughput(units())
        .build()
        .unwrap();
    let id = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap();
    dynamodb(double)
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(id)
        .key_schema(key())
        .provisioned_throughput(units())
        .global_secondary_indexes(index)
        .send()
        .await
        .unwrap();
    double.settle();
}

#[tokio::test]
async fn a_target_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    make_table(&double).await;
    let mut reads = reads();
    double.forget_calls();
    let present = converge(&double, &account, reads.clone()).await;
    assert_eq!(
        double.writes(),
        ["RegisterScalableTarget", "PutScalingPolicy"]
    );
    assert_eq!(
        present.id.as_deref(),
        Some("DynamoDBReadCapacityUtilization:table/shop-orders")
    );
    assert!(present.arn.unwrap().contains(":scalable-target/"));

    change(&double, &account, &mut reads, |target| {
        target.min_capacity = 7
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.max_capacity = 90
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.suspended = true
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.suspended = false
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.target_utilization = Some(55.5)
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.scale_in_cooldown_seconds = 120
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.scale_out_cooldown_seconds = 60
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.scale_in_disabled = true
    })
    .await;
    change(&double, &account, &mut reads, |target| {
        target.tags.insert("team".into(), "shop".into());
    })
    .await;

    // One call for everything of the target, one for everything of the policy.
    double.forget_calls();
    change(&double, &account, &mut reads, |target| {
        (target.min_capacity, target.max_capacity) = (5, 500);
        target.target_utilization = Some(70.0);
        target.scale_in_disabled = false;
    })
    .await;
    assert_eq!(
        double.writes(),
        ["RegisterScalableTarget", "PutScalingPolicy"]
    );
    remove(&double, &account, reads, DeleteMode::Everything).await;
    let left = scaling(&double)
        .describe_scaling_policies()
        .service_namespace(ServiceNamespace::Dynamodb)
        .send()
        .await
        .unwrap();
    assert!(
        left.scaling_policies().is_empty(),
        "its policy went with it"
    );
}

#[tokio::test]
async fn each_dimension_of_a_table_and_its_index_is_a_target_of_its_own() {
    let double = Double::start();
    let account = double.account();
    make_table(&double).await;
    let all = [
        target(None, ScalableDimension::TableReads),
        target(None, ScalableDimension::TableWrites),
        target(Some(INDEX), ScalableDimension::IndexReads),
        target(Some(INDEX), ScalableDimension::IndexWrites),
    ];
    for (target, number) in all.iter().zip(10..) {
        let mut target = target.clone();
        target.max_capacity = number * 10;
        converge(&double, &account, target).await;
    }
    for (target, number) in all.iter().zip(10..) {
        let resource = AwsResource::from(target.clone());
        let present = look(&account, AwsKind::ScalableTarget, &resource.name())
            .await
            .unwrap();
        let AwsResource::ScalableTarget(found) = present.resource else {
            unreachable!()
        };
        assert_eq!(found.max_capacity, number * 10);
        assert_eq!(found.tags, owner_tags());
    }
    remove(&double, &account, all[0].clone(), DeleteMode::Everything).await;
    let other = AwsResource::from(all[1].clone()).name();
    assert!(
        look(&account, AwsKind::ScalableTarget, &other)
            .await
            .is_some()
    );
}

#[tokio::test]
async fn a_policy_of_another_name_is_changed_and_not_joined_by_a_second() {
    let double = Double::start();
    let account = double.account();
    make_table(&double).await;
    let client = scaling(&double);
    client
        .register_scalable_target()
        .service_namespace(ServiceNamespace::Dynamodb)
        .resource_id("table/shop-orders")
        .scalable_dimension(Dimension::DynamoDbTableReadCapacityUnits)
        .min_capacity(1)
        .max_capacity(20)
        .send()
        .await
        .unwrap();
    let metric = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::DynamoDbReadCapacityUtilization)
        .build()
        .unwrap();
    let tracking = TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(50.0)
        .predefined_metric_specification(metric)
        .build()
        .unwrap();
    client
        .put_scaling_policy()
        .policy_name("by-hand")
        .service_namespace(ServiceNamespace::Dynamodb)
        .resource_id("table/shop-orders")
        .scalable_dimension(Dimension::DynamoDbTableReadCapacityUnits)
        .policy_type(PolicyType::TargetTrackingScaling)
        .target_tracking_scaling_policy_configuration(tracking)
        .send()
        .await
        .unwrap();
    let present = converge(&double, &account, reads()).await;
    assert_eq!(present.id.as_deref(), Some("by-hand"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let double = Double::start();
    let account = double.account();
    let reads = AwsResource::from(reads());
    let token = token(&reads);
    let missing = account.create(&reads).await.unwrap_err();
    assert_eq!(missing.class, Class::NotReady, "{missing:?}");

    make_table(&double).await;
    for (code, class) in [
        ("ConcurrentUpdateException", Class::Conflict),
        ("LimitExceededException", Class::Invalid),
        ("InternalServiceException", Class::Transient),
    ] {
        double.fault(&json!({"kind": "error", "service": "application-autoscaling", "operation": "RegisterScalableTarget", "code": code, "status": 400, "message": "no", "count": 1}));
        let refused = account.create(&reads).await.unwrap_err();
        assert_eq!(refused.class, class, "{refused:?}");
    }
    account.create(&reads).await.unwrap();
    let present = look(&account, AwsKind::ScalableTarget, &reads.name())
        .await
        .unwrap();
    let fields = ["targetUtilization".to_owned()];
    double.fault(&json!({"kind": "error", "service": "application-autoscaling", "operation": "PutScalingPolicy", "code": "FailedResourceAccessException", "status": 400, "message": "no", "count": 1}));
    let refused = account.update(&reads, &present, &fields).await.unwrap_err();
    assert_eq!(refused.class, Class::Denied, "{refused:?}");

    // It went meanwhile.
    account
        .delete(&present, DeleteMode::Everything, &token)
        .await
        .unwrap();
    let refused = account.update(&reads, &present, &fields).await.unwrap_err();
    assert_eq!(refused.class, Class::NotReady, "{refused:?}");
    account
        .delete(&present, DeleteMode::Everything, &token)
        .await
        .unwrap();
    assert!(
        look(&account, AwsKind::ScalableTarget, &reads.name())
            .await
            .is_none()
    );

    dynamodb(&double)
        .update_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    double.settle();
    let refused = account.create(&reads).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid, "{refused:?}");
}
