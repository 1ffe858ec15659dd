//! What somebody else changed: set back, or told.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    kubernetes::KubernetesKind,
    plan::{Action, Blocker},
    planner::DriftPolicy,
    report::change,
    resource::ResourceKey,
};

use crate::{
    fixture::{EXAMPLES, read, want},
    world::World,
};

fn retention(world: &mut World) -> &mut i32 {
    let database = world.key(AwsKind::RdsInstance, "");
    match &mut world.thing(&database).present.resource {
        AwsResource::RdsInstance(found) => &mut found.backup_retention_days,
        _ => unreachable!(),
    }
}

fn deployment(world: &mut World) -> &mut Value {
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    &mut world.kubernetes.get_mut(&key).unwrap().body
}

fn drifted() -> World {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    *retention(&mut world) = 1;
    deployment(&mut world)["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("somebody/else:1");
    world
}

#[test]
fn repair_sets_it_back() {
    let mut world = drifted();
    assert!(world.run().is_empty());
    assert_eq!(*retention(&mut world), 14);
    assert_eq!(
        deployment(&mut world)["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example/octank/orders:3.0.2"
    );
}

#[test]
fn report_tells_and_touches_nothing() {
    let mut world = drifted();
    world.policies.drift = DriftPolicy::Report;
    let plan = world.run();
    assert_eq!(world.log, Vec::<String>::new());
    assert_eq!(plan.steps.len(), 2, "{plan:#?}");
    for step in &plan.steps {
        assert_eq!(
            (step.action, step.blocked_by.as_slice()),
            (Action::Update, [Blocker::DriftReported].as_slice())
        );
    }
    let change = &plan
        .steps
        .iter()
        .find(|step| step.key.kind.id() == "RdsInstance")
        .unwrap()
        .changes[0];
    assert_eq!(
        (
            change.field.as_str(),
            change.from.as_str(),
            change.to.as_str()
        ),
        ("backupRetentionDays", "1", "14")
    );
    assert_eq!(world.plan(), plan, "and goes on telling");
}

#[test]
fn a_change_of_the_specification_is_no_drift_under_report() {
    let mut world = drifted();
    world.policies.drift = DriftPolicy::Report;
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["backupRetentionDays"] = json!(21);
    world.wanted = want("octank", &object);
    world.run();
    assert_eq!(*retention(&mut world), 21);
}

#[test]
fn a_change_of_the_specification_while_aws_is_busy_is_no_drift_either() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    world.policies.drift = DriftPolicy::Report;
    let database = world.key(AwsKind::RdsInstance, "");
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["backupRetentionDays"] = json!(21);
    world.thing(&database).present.lifecycle = shopkeeper_plan::observed::Lifecycle::Modifying;
    world.wanted = want("octank", &object);
    world.pass();
    world.thing(&database).present.lifecycle = shopkeeper_plan::observed::Lifecycle::Available;
    assert!(world.run().is_empty());
    assert_eq!(*retention(&mut world), 21);
}

#[test]
fn everything_can_be_made_under_report() {
    for (shop, name) in EXAMPLES {
        let mut world = World::new(want(shop, &read(shop, name)));
        world.policies.drift = DriftPolicy::Report;
        let plan = world.run();
        assert!(plan.is_empty(), "{shop}/{name}: {plan:#?}");
    }
}

#[test]
fn what_others_add_is_left_alone() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let database = world.key(AwsKind::RdsInstance, "");
    world
        .thing(&database)
        .present
        .resource
        .tags_mut()
        .insert("backup-plan".into(), "gold".into());
    let body = deployment(&mut world);
    body["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("4");
    body["metadata"]["labels"]["team"] = json!("orders");
    body["spec"]["replicas"] = json!(17); // the autoscaler's
    body["status"] = json!({"observedGeneration": 1, "replicas": 17, "updatedReplicas": 17, "availableReplicas": 17});
    assert!(world.plan().is_empty(), "{:#?}", world.plan());
}

#[test]
fn tags_that_were_taken_off_come_back() {
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    let table = world.key(AwsKind::DynamoDbTable, "");
    assert_eq!(
        world
            .thing(&table)
            .present
            .resource
            .tags_mut()
            .remove("cost-center")
            .as_deref(),
        Some("shop")
    );
    assert!(world.run().is_empty());
    assert_eq!(world.log, [format!("update DynamoDbTable/{}", table.name)]);
    assert_eq!(world.aws[&table].present.tags()["cost-center"], "shop");
}

/// The orders, to whose Deployment somebody added a variable and a container.
fn with_additions() -> World {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let pod = &mut deployment(&mut world)["spec"]["template"]["spec"];
    pod["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "debug", "image": "busybox"}));
    let app = &mut pod["containers"][0];
    if app["env"].is_null() {
        app["env"] = json!([]);
    }
    let env = app["env"].as_array_mut().unwrap();
    env.push(json!({"name": "TOKEN", "value": "hunter2"}));
    world
}

#[test]
fn what_somebody_added_to_our_pods_is_drift() {
    let mut world = with_additions();
    let plan = world.plan();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    let fields: Vec<_> = step
        .changes
        .iter()
        .map(|change| {
            (
                change.field.as_str(),
                change.from.as_str(),
                change.to.as_str(),
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("spec.template.spec.containers[debug]", "added", "none"),
            (
                "spec.template.spec.containers[orders].env[TOKEN]",
                "added",
                "none"
            ),
        ]
    );
    assert!(
        !format!("{plan:?}").contains("hunter2"),
        "its value is not told"
    );
    assert!(world.run().is_empty());
    assert!(!deployment(&mut world).to_string().contains("TOKEN"));
}

#[test]
fn what_somebody_added_is_only_told_under_report_also_beside_a_change() {
    let mut world = with_additions();
    world.policies.drift = DriftPolicy::Report;
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4");
    world.wanted = want("octank", &object);
    let plan = world.run();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(step.blocked_by, [Blocker::DriftReported]);
    let body = deployment(&mut world).to_string();
    assert!(
        body.contains("TOKEN") && body.contains("orders:4"),
        "{body}"
    );
}

/// Somebody changed where traffic goes and who the pods are, by fields of which we say nothing.
#[test]
fn what_somebody_added_to_our_objects_is_taken_away_and_told_with_who_added_it() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let mut body = |kind, name: &str| {
        let key = ResourceKey::kubernetes(kind, name);
        std::mem::take(&mut world.kubernetes.get_mut(&key).unwrap().body)
    };
    let mut service = body(KubernetesKind::Service, "orders");
    service["spec"]["externalIPs"] = json!(["203.0.113.7"]);
    service["metadata"]["managedFields"] = json!([{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:externalIPs": {}}}}]);
    let mut account = body(KubernetesKind::ServiceAccount, "orders");
    account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] =
        json!("arn:aws:iam::999988887777:role/x");
    account["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!("shop");
    for (kind, body) in [
        (KubernetesKind::Service, service),
        (KubernetesKind::ServiceAccount, account),
    ] {
        let key = ResourceKey::kubernetes(kind, "orders");
        world.kubernetes.get_mut(&key).unwrap().body = body;
    }
    let plan = world.plan();
    let mut told: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{}: {}", step.key, change(step)))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "Service orders: spec.externalIPs[203.0.113.7] added by kubectl-edit -> none",
            "ServiceAccount orders: metadata.annotations[eks.amazonaws.com/role-arn] added -> none",
        ]
    );
    assert!(plan.steps.iter().all(|step| step.is_repair));
    assert!(world.run().is_empty());
    let account = &world.kubernetes
        [&ResourceKey::kubernetes(KubernetesKind::ServiceAccount, "orders")]
        .body["metadata"]["annotations"];
    assert!(account.get("eks.amazonaws.com/role-arn").is_none());
    assert_eq!(account["argocd.argoproj.io/tracking-id"], "shop");
}
