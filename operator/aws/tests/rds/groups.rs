//! Subnet groups and parameter groups.

use std::collections::BTreeMap;

use shopkeeper_plan::{
    aws::{AwsResource, RdsParameterGroup},
    failure::Class,
    plan::DeleteMode,
};

use crate::{
    double::{Double, change, converge, look, remove, token},
    parameter_group, parameters, prepared, subnet_group,
};

#[tokio::test]
async fn parameters_that_need_a_reboot_are_set_and_noted() {
    let (double, _seed, account, desired) = prepared().await;
    converge(&double, &account, desired.clone()).await;
    let mut group = parameter_group("postgres16");
    change(&double, &account, &mut group, |group| {
        group.parameters = parameters(&[("autovacuum_naptime", "30"), ("huge_pages", "try")])
    })
    .await;
    let present = converge(&double, &account, desired).await;
    assert!(present.note.unwrap().to_string().contains("reboot"));
}

#[tokio::test]
async fn a_parameter_group_follows_what_is_desired_in_every_field() {
    let double = Double::start();
    let account = double.account();
    let mut desired = parameter_group("postgres17");
    converge(&double, &account, desired.clone()).await;
    change(&double, &account, &mut desired, |group| {
        group.parameters = parameters(&[
            ("autovacuum_naptime", "60"),
            ("autovacuum_vacuum_scale_factor", "0.2"),
        ]);
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        drop(group.tags.insert("team".into(), "orders".into()))
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.parameters.clear()
    })
    .await;
    for mode in [DeleteMode::Snapshot, DeleteMode::Everything] {
        remove(&double, &account, desired.clone(), mode).await;
        converge(&double, &account, desired.clone()).await;
    }
}

#[tokio::test]
async fn many_parameters_go_in_several_calls() {
    let double = Double::start();
    let account = double.account();
    let rds = aws_sdk_rds::Client::new(&double.configuration());
    let answer = rds
        .describe_engine_default_parameters()
        .db_parameter_group_family("postgres17")
        .send()
        .await
        .unwrap();
    let defaults = answer.engine_defaults.unwrap();
    let switches: BTreeMap<_, _> = defaults
        .parameters()
        .iter()
        .filter(|parameter| {
            parameter.is_modifiable() == Some(true) && parameter.allowed_values() == Some("0,1")
        })
        .map(|parameter| {
            (
                parameter.parameter_name().unwrap().to_owned(),
                "1".to_owned(),
            )
        })
        .take(25)
        .collect();
    let mut desired = RdsParameterGroup {
        parameters: switches.clone(),
        ..parameter_group("postgres17")
    };
    converge(&double, &account, desired.clone()).await;
    let calls = switches.len().div_ceil(20);
    assert_eq!(
        double
            .writes()
            .iter()
            .filter(|operation| *operation == "ModifyDBParameterGroup")
            .count(),
        calls
    );
    change(&double, &account, &mut desired, |group| {
        group.parameters.clear()
    })
    .await;
    assert_eq!(
        double
            .writes()
            .iter()
            .filter(|operation| *operation == "ResetDBParameterGroup")
            .count(),
        calls
    );
}

#[tokio::test]
async fn a_subnet_group_follows_what_is_desired_in_every_field() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut desired = subnet_group(&seed);
    let present = converge(&double, &account, desired.clone()).await;
    assert_eq!(present.outputs.plain("arn"), present.arn.as_deref());
    change(&double, &account, &mut desired, |group| {
        group.subnets = seed.private_subnets().into_iter().collect()
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        group.description = "Databases".into()
    })
    .await;
    change(&double, &account, &mut desired, |group| {
        drop(group.tags.insert("team".into(), "orders".into()))
    })
    .await;
    for mode in [DeleteMode::Snapshot, DeleteMode::Everything] {
        remove(&double, &account, desired.clone(), mode).await;
        converge(&double, &account, desired.clone()).await;
    }
}

#[tokio::test]
async fn groups_in_use_are_waited_for() {
    let (double, seed, account, desired) = prepared().await;
    converge(&double, &account, desired).await;
    for resource in [
        AwsResource::from(subnet_group(&seed)),
        parameter_group("postgres16").into(),
    ] {
        let present = look(&account, resource.kind(), &resource.name())
            .await
            .unwrap();
        let failure = account
            .delete(&present, DeleteMode::Everything, &token(&resource))
            .await
            .unwrap_err();
        assert_eq!(failure.class, Class::NotReady, "{failure:?}");
    }
}
