//! Quotas and what counts against them, against the double.

#![allow(clippy::unwrap_used)]

mod double;

use std::time::Duration;

use double::{CLUSTER, Double};
use serde_json::json;
use shopkeeper_aws::{eks::count_node_groups, servicequotas::quotas};
use shopkeeper_plan::{failure::Class, quota::Quotas};

const HOUR: Duration = Duration::from_secs(3600);

fn of_groups(node_groups_per_cluster: u32) -> Quotas {
    Quotas {
        node_groups_per_cluster,
        ..Quotas::default()
    }
}

#[tokio::test]
async fn a_quota_is_read_once_an_hour_and_when_somebody_asks() {
    let double = Double::start();
    let account = double.account();
    assert_eq!(
        quotas(&account, HOUR).await.unwrap(),
        Some(Quotas::default()),
        "the defaults here are those that AWS lists"
    );
    double.quotas(&json!({"eks/L-6D54EA21": 60}));
    assert_eq!(
        quotas(&account, HOUR).await.unwrap(),
        Some(Quotas::default())
    );
    assert_eq!(
        quotas(&account, Duration::ZERO).await.unwrap(),
        Some(of_groups(60))
    );
    assert_eq!(quotas(&account, HOUR).await.unwrap(), Some(of_groups(60)));
}

#[tokio::test]
async fn a_quota_that_may_not_be_read_is_unknown_and_one_that_nobody_changed_is_the_default() {
    let double = Double::start();
    let account = double.account();
    double.quotas(&json!({"eks/L-6D54EA21": 60}));
    let answer = |code: &str, status: u16| {
        double.remove_faults();
        double.fault(&json!({
            "kind": "error", "service": "service-quotas", "operation": "GetServiceQuota", "code": code, "status": status,
            "message": "no",
        }));
    };
    answer("AccessDeniedException", 400);
    assert_eq!(quotas(&account, HOUR).await.unwrap(), None);
    answer("TooManyRequestsException", 400);
    assert_eq!(
        quotas(&account, HOUR).await.unwrap_err().class,
        Class::Throttled
    );
    // Neither is remembered.
    double.remove_faults();
    assert_eq!(quotas(&account, HOUR).await.unwrap(), Some(of_groups(60)));

    let other = double.account();
    answer("NoSuchResourceException", 400);
    assert_eq!(quotas(&other, HOUR).await.unwrap(), Some(Quotas::default()));
}

#[tokio::test]
async fn node_groups_are_counted_whoever_made_them() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    assert_eq!(count_node_groups(&account, CLUSTER).await.unwrap(), 0);
    // More than a page.
    double.quotas(&json!({"eks/L-6D54EA21": 200}));
    let eks = aws_sdk_eks::Client::new(&double.configuration());
    let iam = aws_sdk_iam::Client::new(&double.configuration());
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]});
    let role = iam
        .create_role()
        .role_name("others")
        .assume_role_policy_document(trust.to_string())
        .send()
        .await
        .unwrap();
    for number in 0..101 {
        eks.create_nodegroup()
            .cluster_name(CLUSTER)
            .nodegroup_name(format!("of-others-{number}"))
            .node_role(role.role().unwrap().arn())
            .set_subnets(Some(seed.private_subnets()))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(count_node_groups(&account, CLUSTER).await.unwrap(), 101);
    let absent = count_node_groups(&account, "none").await.unwrap_err();
    assert_eq!(absent.code.as_deref(), Some("ResourceNotFoundException"));
}
