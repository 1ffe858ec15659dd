//! What a test asks of the AWS double, through the builders that tests use.

// clippy.toml allows these in test functions, and the helpers here are outside of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::error::ProvideErrorMetadata as _;
use serde_json::json;
use shopkeeper_localenv::{
    AwsControl, AwsFault, CallFilter, FaultKind, LocalEnvironment, Outcome, RateLimit,
};

/// Bounds a wait that would otherwise never end.
const PATIENCE: Duration = Duration::from_secs(60);

const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}"#;

async fn create_role(iam: Client, name: String) -> Result<(), String> {
    let request = iam.create_role().role_name(name);
    let answer = request.assume_role_policy_document(TRUST).send().await;
    answer
        .map(drop)
        .map_err(|error| error.code().unwrap_or("no answer").to_owned())
}

async fn role_code(iam: &Client, name: &str) -> Option<String> {
    let answer = iam.get_role().role_name(name).send().await;
    answer
        .err()
        .map(|error| error.code().unwrap_or("no answer").to_owned())
}

#[tokio::test]
async fn the_double_is_as_unkind_as_it_is_told_to_be() {
    let environment = LocalEnvironment::builder("double")
        .nodes(false)
        .start()
        .await
        .unwrap();
    let control = environment.aws_control().unwrap();
    let config = environment.aws_config().unwrap();
    let iam = Client::from_conf(
        aws_sdk_iam::config::Builder::from(&config)
            .retry_config(aws_sdk_iam::config::retry::RetryConfig::disabled())
            .build(),
    );
    holds_a_write(control, &iam).await;
    cuts_before_and_after_the_effect(control, &iam).await;
    reads_are_stale(control, &iam).await;
    limits_and_outcomes(control, &iam).await;
}

/// The second of three writes takes effect, is not answered, and nothing gets past it.
async fn holds_a_write(control: &AwsControl, iam: &Client) {
    let position = control.position().await.unwrap();
    let hold = control.hold_write(2).await.unwrap();
    create_role(iam.clone(), "one".into()).await.unwrap();
    let second = tokio::spawn(create_role(iam.clone(), "two".into()));
    let call = hold.reached(PATIENCE).await.unwrap();
    assert_eq!(call.resources[0], "two");
    assert_eq!(call.parameters["RoleName"], json!(["two"]));
    assert!(call.effect && call.status.is_none());
    assert_eq!(role_code(iam, "two").await, None);
    let third = tokio::spawn(create_role(iam.clone(), "three".into()));
    assert!(!second.is_finished());
    hold.cut().await.unwrap();
    assert_eq!(second.await.unwrap(), Err("no answer".into()));
    // It may have been on its way still, and then it is carried out.
    let third = third.await.unwrap().is_ok();
    let filter = CallFilter::since(position).writes().took_effect();
    let writes = control.calls(&filter.service("iam")).await.unwrap();
    assert_eq!(writes.len(), if third { 3 } else { 2 });
    let of_one = CallFilter::since(position)
        .resource("one")
        .operation("CreateRole");
    assert_eq!(control.calls(&of_one).await.unwrap().len(), 1);
}

async fn cuts_before_and_after_the_effect(control: &AwsControl, iam: &Client) {
    for (kind, name, exists) in [
        (FaultKind::Reset, "reset", false),
        (FaultKind::LostResponse, "lost", true),
    ] {
        let fault = AwsFault::new(kind, "iam", "CreateRole").times(1);
        let id = control
            .add_fault(&fault.on_resource(name).only_writes())
            .await
            .unwrap();
        let answer = create_role(iam.clone(), name.into()).await;
        assert_eq!(answer, Err("no answer".into()), "{name}");
        let call = control.fault_applied(&id, 1, PATIENCE).await.unwrap();
        assert_eq!(call.map(|call| call.effect), Some(exists), "{name}");
        assert_eq!(role_code(iam, name).await.is_none(), exists, "{name}");
    }
    for (kind, code) in [
        (FaultKind::ExpiredCredentials, "ExpiredToken"),
        (FaultKind::AccessDenied, "AccessDenied"),
        (FaultKind::Quota, "LimitExceeded"),
        (FaultKind::ServerFault, "ServiceFailure"),
        (FaultKind::Throttle, "Throttling"),
    ] {
        control
            .add_fault(
                &AwsFault::new(kind, "iam", "*")
                    .containing("refused")
                    .times(1),
            )
            .await
            .unwrap();
        let answer = create_role(iam.clone(), "refused".into()).await;
        assert_eq!(answer, Err(code.into()));
    }
}

async fn reads_are_stale(control: &AwsControl, iam: &Client) {
    let fault = AwsFault::stale("iam").after_writes("Create*").for_reads(1);
    let id = control.add_fault(&fault).await.unwrap();
    create_role(iam.clone(), "late".into()).await.unwrap();
    assert_eq!(
        role_code(iam, "late").await.as_deref(),
        Some("NoSuchEntity")
    );
    assert_eq!(role_code(iam, "late").await, None);
    control.remove_fault(&id).await.unwrap();
}

async fn limits_and_outcomes(control: &AwsControl, iam: &Client) {
    let limits = [
        RateLimit::of_service("iam", 100.0, 0.0),
        RateLimit::of_operations("iam", "Get*", 1.0, 0.0).each(),
    ];
    control.limit_rates(&limits).await.unwrap();
    assert_eq!(role_code(iam, "late").await, None);
    assert_eq!(role_code(iam, "late").await.as_deref(), Some("Throttling"));
    control.limit_rates_as_published().await.unwrap();
    let outcome = Outcome::new("eks.nodegroup.creating", "CREATE_FAILED")
        .of("web")
        .times(1)
        .telling(json!({"code": "NodeCreationFailure", "message": "no node joined"}));
    control.script_outcome(&outcome).await.unwrap();
    control
        .set_transition_of("rds.db-instance.creating/orders-*", PATIENCE)
        .await
        .unwrap();
    let shown = control.configuration().await.unwrap();
    assert_eq!(shown["throttle"]["rds"]["burst"], 300.0);
    assert_eq!(
        shown["outcomes"]["eks.nodegroup.creating/web"]["then"],
        "CREATE_FAILED"
    );
    assert_eq!(
        shown["transitions"]["rds.db-instance.creating/orders-*"],
        60.0
    );
    let changed = control
        .force_state(("eks", "nodegroup"), "nobody", Some("DEGRADED"), None)
        .await
        .unwrap();
    assert_eq!(changed, 0);
    let problem = control.hold(AwsFault::new(FaultKind::Throttle, "*", "*"), 1);
    assert!(problem.await.is_err(), "only a hold holds");
}
