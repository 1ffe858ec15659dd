//! What is said of typical states, in conditions.

use serde_json::json;
use shopkeeper_api::status::InventoryItem;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    facts::PodIdentityAgent,
    failure::{Class, Failure},
    names::{OWNER_TAG, OWNER_UID_TAG},
    observed::{Lifecycle, Note},
    plan::Blocker,
    planner::{DeletionPolicy, DriftPolicy},
    report::{self, Report},
    resource::ResourceKind,
};

use crate::{
    fixture::{read, want},
    world::World,
};

/// The conditions as `Type=Status Reason: message`.
pub fn lines(report: &Report) -> Vec<String> {
    let mut types: Vec<_> = report
        .conditions
        .iter()
        .map(|condition| condition.r#type)
        .collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(
        types.len(),
        report.conditions.len(),
        "a condition is said twice"
    );
    let has = |r#type: &str| {
        report
            .conditions
            .iter()
            .any(|condition| condition.r#type == r#type && condition.status == "True")
    };
    assert!(
        !(has("Reconciling") && has("Stalled")),
        "kstatus: one or the other"
    );
    assert!(
        !(has("Ready") && (has("Reconciling") || has("Stalled"))),
        "kstatus: ready is neither"
    );
    assert_eq!(report.ready, has("Ready") && report.failure.is_none());
    report
        .conditions
        .iter()
        .map(|condition| {
            format!(
                "{}={} {}: {}",
                condition.r#type, condition.status, condition.reason, condition.message
            )
        })
        .collect()
}

pub fn of(world: &World) -> Vec<String> {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    let lines = lines(&report::of_plan(
        &plan,
        &blueprint,
        &observed,
        world.deleting,
    ));
    match plan.approval_hash() {
        // What it is made of is none of this test's business; that it is the one to approve is.
        Some(hash) => {
            assert!(
                lines
                    .iter()
                    .any(|line| line.contains(&format!("{}={hash}", shopkeeper_api::APPROVE))),
                "{lines:#?}"
            );
            lines
                .iter()
                .map(|line| line.replace(&hash, "<hash>"))
                .collect()
        }
        None => lines,
    }
}

pub fn orders() -> World {
    World::settled(want("octank", &read("octank", "orders")))
}

#[test]
fn of_nothing_made_yet() {
    let world = World::new(want("octank", &read("octank", "orders")));
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_what_is_being_made() {
    let mut world = World::new(want("octank", &read("octank", "orders")));
    for _ in 0..3 {
        world.pass();
    }
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_all_that_is_as_declared() {
    insta::assert_yaml_snapshot!(of(&orders()));
}

#[test]
fn of_a_change_that_waits_for_approval() {
    let mut world = orders();
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["instanceClass"] = json!("db.r7g.xlarge");
    world.wanted = want("octank", &object);
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_what_aws_refuses() {
    let world = World::new(want("octank", &read("octank", "orders")));
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let mut plan = world.plan_for(&observed, &blueprint);
    let mut steps = plan.steps.iter_mut();
    let step = steps
        .find(|step| step.key.kind == ResourceKind::Aws(AwsKind::RdsInstance))
        .unwrap();
    let said = "CreateDBInstance: Invalid DB Instance class: db.r7g.large";
    let failure = Failure::new(Class::Invalid, said).with_code("InvalidParameterValue");
    step.blocked_by = vec![Blocker::Refused(failure)];
    let lines = lines(&report::of_plan(&plan, &blueprint, &observed, false));
    for condition in ["DataReady=False", "Ready=False", "Stalled=True"] {
        let told = format!(
            "{condition} Failed: RDS instance octank-shop-orders: InvalidParameterValue: {said}. To do: correct \
             spec.database.rds.instanceClass: choose a class"
        );
        assert!(
            lines.iter().any(|line| line.starts_with(&told)),
            "{lines:#?}"
        );
    }
}

#[test]
fn of_a_major_upgrade_that_waits_for_approval() {
    let mut world = orders();
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["version"] = json!("18");
    world.wanted = want("octank", &object);
    // The parameter group of the new version is made, and attached by the upgrade alone.
    let database = world.key(AwsKind::RdsInstance, "");
    let plan = world.run();
    let mut steps = plan.steps.iter().filter(|step| step.key == database);
    assert!(steps.all(|step| step.blocked_by.contains(&Blocker::Approval)));
    let AwsResource::RdsInstance(found) = &world.thing(&database).present.resource else {
        unreachable!()
    };
    assert!(found.parameter_group.ends_with("postgres17"), "{found:?}");
    let told = line(&world, "Ready");
    assert!(
        told.starts_with(
            "Ready=False ApprovalRequired: 1 change: 1 downtime; RDS instance octank-shop-orders: engineVersion 17.6 -> 18, parameterGroup \
             octank-shop-orders-postgres17 -> octank-shop-orders-postgres18 (Downtime). Approve with the annotation"
        ),
        "{told}"
    );
    world.approved = world.plan().approval_hash();
    world.run();
    assert!(
        line(&world, "Ready").starts_with("Ready=True"),
        "{:#?}",
        of(&world)
    );
}

#[test]
fn of_drift_that_is_only_told() {
    let mut world = orders();
    world.policies.drift = DriftPolicy::Report;
    let key = world.key(AwsKind::RdsInstance, "");
    let AwsResource::RdsInstance(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.backup_retention_days = 1;
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_somebody_elses_resource() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    let tags = world.thing(&key).present.resource.tags_mut();
    tags.insert(OWNER_TAG.into(), "OrderService/other/orders".into());
    tags.insert(OWNER_UID_TAG.into(), "other".into());
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_a_resource_that_failed() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    world.thing(&key).present.lifecycle = Lifecycle::Failed("storage-full".into());
    insta::assert_yaml_snapshot!(of(&world));
}

fn noted(kind: AwsKind, note: Note) -> World {
    let mut world = orders();
    let key = world.key(kind, "");
    world.thing(&key).present.note = Some(note.into());
    world
}

/// The condition of this type, as a line.
fn line(world: &World, r#type: &str) -> String {
    let start = format!("{type}=");
    of(world)
        .into_iter()
        .find(|line| line.starts_with(&start))
        .unwrap_or_default()
}

#[test]
fn of_what_endangers_a_resource_that_works() {
    let world = noted(
        AwsKind::NodeGroup,
        Note::danger("AccessDenied: the nodes cannot join"),
    );
    assert_eq!(
        line(&world, "NodesReady"),
        "NodesReady=True Succeeded: 2 of 2 resources are ready; EKS node group \
         octank-shop-orders-184094: AccessDenied: the nodes cannot join"
    );
    assert!(line(&world, "Ready").starts_with("Ready=True"));
}

#[test]
fn of_what_is_only_to_be_known() {
    let note = "parameters of octank-shop-orders take hold with the next reboot";
    let world = noted(AwsKind::RdsInstance, Note::new(note));
    assert!(of(&world).iter().all(|line| !line.contains("reboot")));
    assert!(line(&world, "Ready").starts_with("Ready=True"));
    let (key, observed) = (world.key(AwsKind::RdsInstance, ""), world.observe());
    assert_eq!(report::note(&key, &observed).as_deref(), Some(note));
}

#[test]
fn of_a_resource_that_does_not_work() {
    let mut world = noted(
        AwsKind::RdsInstance,
        Note::outage("the storage is full", "raise it"),
    );
    for lifecycle in [Lifecycle::Available, Lifecycle::Modifying] {
        let key = world.key(AwsKind::RdsInstance, "");
        world.thing(&key).present.lifecycle = lifecycle;
        for r#type in ["Stalled=True", "Ready=False", "DataReady=False"] {
            let lines = of(&world);
            let said = lines.iter().find(|line| line.starts_with(r#type));
            assert!(
                said.is_some_and(|line| line.ends_with("the storage is full. To do: raise it")),
                "{lines:#?}"
            );
        }
    }
}

#[test]
fn a_note_is_news_once() {
    let item = |note: Option<&str>| InventoryItem {
        kind: "RdsInstance".into(),
        name: "octank-shop-orders".into(),
        note: note.map(str::to_owned),
        ..InventoryItem::default()
    };
    let mut world = noted(AwsKind::RdsInstance, Note::new("a reboot is pending"));
    let news = |world: &World, before: Option<&str>| {
        let observed = world.observe();
        report::new_notes(&[item(before)], &observed)
            .map(|(key, note)| format!("{key}: {}", note.text))
            .collect::<Vec<_>>()
    };
    let told = ["RDS instance octank-shop-orders: a reboot is pending"];
    assert_eq!(news(&world, None), told);
    assert_eq!(news(&world, Some("RDS is at work: backing-up")), told);
    let known = Some("RDS is at work: backing-up; a reboot is pending");
    assert_eq!(news(&world, known), Vec::<String>::new());
    let key = world.key(AwsKind::RdsInstance, "");
    world.thing(&key).present.lifecycle = Lifecycle::Modifying;
    assert_eq!(news(&world, None), Vec::<String>::new());
}

#[test]
fn of_an_answer_that_did_not_come() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    world.unknown.insert(
        key,
        Failure::new(Class::Throttled, "Rate exceeded").with_code("Throttling"),
    );
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_a_cluster_without_the_pod_identity_agent() {
    let world = orders();
    let mut observed = world.observe();
    observed.miss_pod_identity_agent();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let told = lines(&report);
    let of_workload = |line: &&String| line.starts_with("WorkloadReady=True");
    let line = told.iter().find(of_workload).unwrap();
    assert!(
        line.contains("pods get no credentials through it")
            && line.contains("eks-pod-identity-agent"),
        "{told:#?}"
    );
    let agent = report::of_pod_identity_agent(PodIdentityAgent::Missing);
    assert_eq!((agent.status, agent.reason), ("False", "AgentMissing"));
    assert!(agent.message.contains("To do: "), "{agent:?}");
}

#[test]
fn of_a_cluster_in_auto_mode_without_the_pod_identity_agent() {
    let agent = PodIdentityAgent::AutoModeNodes;
    assert!(agent.serves(false) && !agent.serves(true));
    assert_eq!(PodIdentityAgent::from_status(Some(agent.as_str())), agent);
    let told = report::of_pod_identity_agent(agent);
    assert_eq!((told.status, told.reason), ("True", "Succeeded"));
    assert!(
        told.message.contains("for pods on node groups add it"),
        "{told:?}"
    );
}

#[test]
fn of_a_permission_that_is_missing() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    world.unknown.insert(
        key,
        Failure::new(
            Class::Denied,
            "not authorized to perform rds:DescribeDBInstances",
        )
        .with_code("AccessDenied")
        .with_remedy("attach the policy"),
    );
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_pods_that_do_not_become_ready() {
    let mut world = orders();
    for (key, object) in &mut world.kubernetes {
        if key.kind.id() == "Deployment" {
            object.body["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
            object.body["status"]["availableReplicas"] = json!(1);
        }
    }
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn of_the_end() {
    let mut world = orders();
    world.deleting = true;
    insta::assert_yaml_snapshot!(of(&world));
}

#[test]
fn what_stays_is_told_until_the_custom_resource_is_gone() {
    let mut world = orders();
    world.deleting = true;
    assert!(of(&world).iter().all(|line| !line.contains("stays in AWS")));
    world.policies.deletion = DeletionPolicy::Retain;
    for line in of(&world) {
        assert!(
            line.contains("; stays in AWS: ") && line.contains("RDS instance octank-shop-orders"),
            "{line}"
        );
    }
}

#[test]
fn of_what_could_not_be_resolved() {
    let all: Vec<Vec<String>> = [
        (
            Failure::invalid(
                "spec.database.rds.storage",
                "much is no size",
                "write 200Gi",
            ),
            false,
        ),
        (
            Failure::new(Class::NotReady, "Platform octank is not ready"),
            false,
        ),
        (
            Failure::new(Class::NotReady, "Platform octank is not ready"),
            true,
        ),
        (
            Failure::new(Class::Denied, "no").with_remedy("grant it"),
            false,
        ),
        (Failure::new(Class::Transient, "no answer"), false),
    ]
    .iter()
    .map(|(failure, deleting)| lines(&report::of_failure(failure, *deleting)))
    .collect();
    insta::assert_yaml_snapshot!(all);
}

#[test]
fn of_suspension() {
    let report = report::of_suspension(false);
    assert!(!report.ready);
    insta::assert_yaml_snapshot!(lines(&report));
    let ready = |report: &Report| report.conditions[0].message.clone();
    let deletion = "its deletion waits until policy.suspend is taken back";
    assert!(!ready(&report).contains(deletion));
    assert!(ready(&report::of_suspension(true)).ends_with(deletion));
}

#[test]
fn messages_fit_into_a_terminal() {
    let failure = Failure::new(Class::Transient, "x".repeat(5000));
    assert!(
        report::of_failure(&failure, false)
            .conditions
            .iter()
            .all(|condition| condition.message.chars().count() <= 1024)
    );
}

#[test]
fn the_end_of_a_deletion_is_not_told_as_ready() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    world.deleting = true;
    world.run();
    // Nothing is left to do, and the pass that looks once more whether all is gone says so.
    let observed = world.observe();
    let blueprint = shopkeeper_plan::blueprint::Blueprint::default();
    let plan = shopkeeper_plan::plan::Plan::default();
    let report = report::of_plan(&plan, &blueprint, &observed, true);
    assert!(!report.ready);
    assert_eq!(
        lines(&report),
        [
            "Ready=False Deleting: nothing is left to be done; it ends once AWS has confirmed that all of it is gone",
            "Reconciling=True Progressing: nothing is left to be done; it ends once AWS has confirmed that all of it is gone",
        ]
    );
    assert!(report::of_plan(&plan, &blueprint, &observed, false).ready);
}
