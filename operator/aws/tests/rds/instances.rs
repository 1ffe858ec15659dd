//! Instances, from their creation to their last snapshot.

use serde_json::json;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    failure::Class,
    observed::{Lifecycle, Present},
    outputs::Output,
    plan::DeleteMode,
};

use crate::{
    IDENTIFIER,
    double::{change, converge, differing, look, remove, token},
    parameter_group, prepared,
};

fn password(present: &Present) -> String {
    match present.outputs.get("password") {
        Some(Output::Secret(password)) => password.expose().to_owned(),
        other => panic!("no password: {other:?}"),
    }
}

#[tokio::test]
async fn an_instance_follows_what_is_desired_in_every_field() {
    let (double, _seed, account, mut desired) = prepared().await;
    let wanted: AwsResource = desired.clone().into();
    account.create(&wanted).await.unwrap();
    let present = look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_eq!(present.lifecycle, Lifecycle::Creating);
    assert_eq!(present.outputs.get("host"), None);
    // Everything is there from the beginning: no update follows the creation.
    double.forget_calls();
    converge(&double, &account, desired.clone()).await;
    assert_eq!(double.writes(), Vec::<String>::new());

    let d = &mut desired;
    change(&double, &account, d, |db| {
        db.instance_class = "db.r7g.xlarge".into()
    })
    .await;
    change(&double, &account, d, |db| {
        (db.allocated_storage, db.max_allocated_storage) = (400, Some(800))
    })
    .await;
    double.settle();
    change(&double, &account, d, |db| {
        (db.storage_type, db.iops) = ("io2".into(), Some(8000))
    })
    .await;
    double.settle();
    change(&double, &account, d, |db| db.max_allocated_storage = None).await;
    change(&double, &account, d, |db| db.multi_az = false).await;
    change(&double, &account, d, |db| db.port = 5432).await;
    change(&double, &account, d, |db| db.backup_retention_days = 14).await;
    change(&double, &account, d, |db| {
        db.backup_window = Some("00:00-01:00".into())
    })
    .await;
    change(&double, &account, d, |db| {
        db.maintenance_window = Some("mon:02:00-mon:03:00".into())
    })
    .await;
    change(&double, &account, d, |db| db.deletion_protection = false).await;
    change(&double, &account, d, |db| db.performance_insights = false).await;
    change(&double, &account, d, |db| db.performance_insights = true).await;
    change(&double, &account, d, |db| {
        db.log_exports = ["upgrade".to_owned()].into()
    })
    .await;
    change(&double, &account, d, |db| {
        db.auto_minor_version_upgrade = false
    })
    .await;
    change(&double, &account, d, |db| {
        db.ca_certificate = Some("rds-ca-rsa4096-g1".into())
    })
    .await;
    change(&double, &account, d, |db| db.copy_tags_to_snapshot = false).await;
    change(&double, &account, d, |db| {
        drop(db.tags.insert("team".into(), "orders".into()))
    })
    .await;
}

#[tokio::test]
async fn an_instance_tells_where_it_is_and_how_to_get_in() {
    let (double, _seed, account, desired) = prepared().await;
    let present = converge(&double, &account, desired).await;
    let plain = |name: &str| {
        present
            .outputs
            .plain(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_owned()
    };
    assert_eq!(plain("port"), "5433");
    assert_eq!(plain("endpoint"), format!("{}:5433", plain("host")));
    assert_eq!(plain("database"), "orders");
    assert_eq!(plain("username"), "shop");
    assert_eq!(plain("engine"), "postgres");
    assert_eq!(plain("arn"), present.arn.clone().unwrap());
    assert!(plain("secretArn").contains(":secret:rds!db-"));
    assert!(password(&present).len() >= 20);
    assert!(!format!("{present:?}").contains(&password(&present)));
}

#[tokio::test]
async fn a_password_is_read_once_and_again_when_it_is_rotated() {
    let (double, _seed, account, desired) = prepared().await;
    let first = password(&converge(&double, &account, desired.clone()).await);
    // Not asked for again.
    double.fault(&json!({"kind": "access_denied", "service": "secretsmanager"}));
    assert_eq!(
        password(&converge(&double, &account, desired.clone()).await),
        first
    );
    // Another process has nothing to remember: the instance is there, the password is not.
    let present = look(&double.account(), AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_eq!(present.lifecycle, Lifecycle::Available);
    assert_eq!(present.outputs.get("password"), None);
    assert!(
        present
            .note
            .unwrap()
            .to_string()
            .contains("master password")
    );
    double.remove_faults();

    let rds = aws_sdk_rds::Client::new(&double.configuration());
    let call = rds
        .modify_db_instance()
        .db_instance_identifier(IDENTIFIER)
        .rotate_master_user_password(true);
    call.apply_immediately(true).send().await.unwrap();
    // Read while it is being rotated, and once more after that.
    look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_ne!(password(&converge(&double, &account, desired).await), first);
}

#[tokio::test]
async fn a_major_upgrade_brings_its_parameter_group_in_the_same_call() {
    let (double, _seed, account, mut desired) = prepared().await;
    converge(&double, &account, desired.clone()).await;
    converge(&double, &account, parameter_group("postgres17")).await;
    desired.engine_version = "17".into();
    desired.parameter_group = "octank-shop-orders-postgres17".into();
    let wanted: AwsResource = desired.clone().into();
    let present = look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_eq!(
        differing(&wanted, &present),
        ["engineVersion", "parameterGroup"]
    );
    // While the upgrade waits for approval its group waits as well.
    let failure = account
        .update(&wanted, &present, &["parameterGroup".to_owned()])
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::NotReady);
    double.forget_calls();
    converge(&double, &account, desired).await;
    assert_eq!(double.writes(), ["ModifyDBInstance"]);
}

#[tokio::test]
async fn storage_that_is_being_optimized_holds_nothing_else_up() {
    let (double, _seed, account, mut desired) = prepared().await;
    converge(&double, &account, desired.clone()).await;
    desired.allocated_storage = 200;
    let wanted: AwsResource = desired.clone().into();
    let present = look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    account
        .update(&wanted, &present, &differing(&wanted, &present))
        .await
        .unwrap();
    double.settle();
    // Optimizing now: open for other changes.
    desired.allocated_storage = 300;
    desired.deletion_protection = false;
    let wanted: AwsResource = desired.clone().into();
    let present = look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_eq!(present.lifecycle, Lifecycle::Available);
    account
        .update(&wanted, &present, &differing(&wanted, &present))
        .await
        .unwrap();
    let present = look(&account, AwsKind::RdsInstance, IDENTIFIER)
        .await
        .unwrap();
    assert_eq!(differing(&wanted, &present), ["allocatedStorage"]);
    let failure = account
        .update(&wanted, &present, &differing(&wanted, &present))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::NotReady);
    double.settle();
    converge(&double, &account, desired).await;
}

#[tokio::test]
async fn what_others_made_for_the_maintenance_window_holds_nothing_up() {
    let (double, _seed, account, mut desired) = prepared().await;
    converge(&double, &account, desired.clone()).await;
    let rds = aws_sdk_rds::Client::new(&double.configuration());
    let for_the_window = rds
        .modify_db_instance()
        .db_instance_identifier(IDENTIFIER)
        .db_instance_class("db.r7g.xlarge");
    for_the_window.clone().send().await.unwrap();

    let wanted: AwsResource = desired.clone().into();
    let see = async || {
        let present = look(&account, AwsKind::RdsInstance, IDENTIFIER).await;
        present.unwrap()
    };
    let present = see().await;
    assert_eq!(present.lifecycle, Lifecycle::Available);
    assert_eq!(differing(&wanted, &present), Vec::<String>::new());
    let note = present.note.unwrap().to_string();
    assert!(
        note.contains("wait for the maintenance window: instance class"),
        "{note}"
    );

    // A change of ours is not theirs: the class stays what it is.
    desired.backup_retention_days = 14;
    double.forget_calls();
    let present = converge(&double, &account, desired.clone()).await;
    assert_eq!(double.writes(), ["ModifyDBInstance"]);
    double.settle();
    assert_eq!(
        differing(&desired.clone().into(), &present),
        Vec::<String>::new()
    );
    assert!(present.note.is_none(), "{:?}", present.note);

    // Nor does it hold up the end, nor does the end bring it: the database serves until it goes.
    for_the_window.send().await.unwrap();
    let present = see().await;
    assert_eq!(present.lifecycle, Lifecycle::Available);
    let token = token(&wanted);
    let lifted = account.delete(&present, DeleteMode::Everything, &token);
    lifted.await.unwrap();
    let described = rds
        .describe_db_instances()
        .db_instance_identifier(IDENTIFIER);
    let described = described.send().await.unwrap();
    let instance = &described.db_instances()[0];
    assert_eq!(instance.deletion_protection(), Some(false));
    assert_eq!(instance.db_instance_status(), Some("available"));
    let pending = instance.pending_modified_values().unwrap();
    assert_eq!(pending.db_instance_class(), Some("db.r7g.xlarge"));
    remove(&double, &account, desired, DeleteMode::Everything).await;
}

#[tokio::test]
async fn a_deletion_takes_a_snapshot_unless_everything_is_to_go() {
    let (double, _seed, account, desired) = prepared().await;
    let rds = aws_sdk_rds::Client::new(&double.configuration());
    let snapshots = async || {
        let answer = rds
            .describe_db_snapshots()
            .snapshot_type("manual")
            .send()
            .await
            .unwrap();
        answer
            .db_snapshots()
            .iter()
            .map(|snapshot| snapshot.db_snapshot_identifier().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // Twice in one generation, hence with the same token: the second snapshot has a name of its own.
    for taken in 1..=2 {
        converge(&double, &account, desired.clone()).await;
        remove(&double, &account, desired.clone(), DeleteMode::Snapshot).await;
        let names = snapshots().await;
        assert_eq!(names.len(), taken, "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("octank-shop-orders-final-")),
            "{names:?}"
        );
    }
    let present = converge(&double, &account, desired.clone()).await;
    remove(&double, &account, desired.clone(), DeleteMode::Everything).await;
    assert_eq!(snapshots().await.len(), 2);
    // By what was seen before: gone already is a success.
    account
        .delete(&present, DeleteMode::Everything, &token(&desired.into()))
        .await
        .unwrap();
}
