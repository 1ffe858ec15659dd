//! Node groups that are replaced: the new one serves before the old one goes; and those that EKS gives up on.

use serde_json::json;
use shopkeeper_plan::{
    aws::AwsKind,
    failure::Class,
    kubernetes::KubernetesKind,
    observed::Lifecycle,
    plan::{Action, Blocker, Effect, Operation, Plan},
    planner::{ChangePolicy, DriftPolicy},
    quota::Quotas,
    report,
    resolve::nodes::NODES_LABEL,
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want},
    world::World,
};

fn on(instance_type: &str) -> serde_json::Value {
    let mut object = read("octank", "orders");
    object["spec"]["nodes"]["nodeGroup"]["instanceTypes"] = json!([instance_type]);
    object
}

#[test]
fn the_new_group_comes_first_then_the_drain_then_the_end_of_the_old_one() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let old = world.key(AwsKind::NodeGroup, "");
    assert_eq!(world.pods[&old.name], 3);
    world.wanted = want("octank", &on("m7g.xlarge"));

    let first = world.plan();
    let leftover = first.steps.iter().find(|step| step.key == old).unwrap();
    assert_eq!(
        (leftover.action, leftover.effect, leftover.is_free()),
        (Action::Replace, Effect::Rolling, false)
    );
    assert!(
        leftover
            .blocked_by
            .iter()
            .any(|blocker| format!("{blocker}").contains("EKS node group")),
        "{leftover:#?}"
    );

    assert!(world.run().is_empty());
    let new = world.key(AwsKind::NodeGroup, "");
    assert_ne!(new, old);
    assert!(world.at("create NodeGroup") < world.at("drain NodeGroup"));
    assert!(world.at("drain NodeGroup") < world.at("delete NodeGroup"));
    assert_eq!(
        world
            .log
            .iter()
            .filter(|line| line.starts_with("drain"))
            .count(),
        3,
        "one pod after the other: {:#?}",
        world.log
    );
    assert_eq!((world.pods[&new.name], world.pods[&old.name]), (3, 0));
    assert!(!world.inventory.contains_key(&old));
}

#[test]
fn nothing_is_drained_while_the_pods_are_not_all_ready() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    world.wanted = want("octank", &on("m7g.xlarge"));
    while !world
        .plan()
        .free_steps()
        .any(|step| matches!(step.operation, Operation::DrainNodes))
    {
        world.pass();
        world.tick();
    }
    for (key, object) in &mut world.kubernetes {
        if key.kind.id() == "Deployment" {
            object.body["status"]["availableReplicas"] = json!(2);
        }
    }
    let plan = world.plan();
    assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
}

#[test]
fn a_drain_waits_for_pods_that_take_their_time_to_end() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let old = world.key(AwsKind::NodeGroup, "");
    world.wanted = want("octank", &on("m7g.xlarge"));
    world.slow_pods = true;
    while world.ending.get(&old.name) != Some(&1) {
        world.pass();
        if !world.ending.contains_key(&old.name) {
            world.tick();
        }
    }
    // The other two are told as soon as the budget allows it.
    world.pods.insert(old.name.clone(), 1);
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == old).unwrap();
    assert!(matches!(step.operation, Operation::Wait), "{step:#?}");
    assert_eq!(
        report::describe(step),
        format!("{old}: waits for pod shop/pod-0 to end")
    );
    world.cordoned.clear();
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == old).unwrap();
    assert!(
        matches!(step.operation, Operation::DrainNodes),
        "what can take further pods is cordoned first: {step:#?}"
    );
    world.cordoned.insert(old.name.clone());
    assert!(world.run().is_empty());
}

#[test]
fn a_group_that_is_wanted_again_takes_pods_again() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let old = world.key(AwsKind::NodeGroup, "");
    world.wanted = want("octank", &on("m7g.xlarge"));
    while !world.cordoned.contains(&old.name) {
        world.pass();
        world.tick();
    }
    world.wanted = want("octank", &on("m7g.large"));
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == old).unwrap();
    assert!(
        matches!(step.operation, Operation::UncordonNodes) && step.is_free(),
        "{step:#?}"
    );
    assert!(world.run().is_empty());
    assert!(world.cordoned.is_empty(), "{:#?}", world.log);
    assert_eq!(world.key(AwsKind::NodeGroup, ""), old);
    assert_eq!(world.pods[&old.name], 3);
}

#[test]
fn it_does_so_whatever_has_to_be_approved() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let group = world.key(AwsKind::NodeGroup, "");
    world.cordoned.insert(group.name);
    world.policies.changes = ChangePolicy::ApproveAll;
    world.policies.drift = DriftPolicy::Report;
    assert!(world.run().is_empty());
    assert!(world.cordoned.is_empty());
}

#[test]
fn what_somebody_else_cordoned_stays_so_and_is_not_ready() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let group = world.key(AwsKind::NodeGroup, "");
    world.cordoned_by_others.insert(group.name.clone());
    let plan = world.run();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(step.changes[0].from, "0 of 3 nodes are ready, cordoned: 3");
    assert!(world.log.is_empty(), "{:#?}", world.log);
}

#[test]
fn sizes_labels_and_taints_change_in_place() {
    let mut object = on("m7g.large");
    let mut world = World::settled(want("octank", &object));
    let group = world.key(AwsKind::NodeGroup, "");
    object["spec"]["nodes"]["nodeGroup"]["max"] = json!(20);
    object["spec"]["nodes"]["nodeGroup"]["labels"] = json!({"team": "orders"});
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty());
    assert_eq!(world.log, [format!("update NodeGroup/{}", group.name)]);
}

#[test]
fn a_taint_that_evicts_what_runs_is_a_downtime_and_any_other_is_none() {
    for (effect, expected) in [
        ("NoSchedule", Effect::None),
        ("PreferNoSchedule", Effect::None),
        ("NoExecute", Effect::Downtime),
    ] {
        let mut object = on("m7g.large");
        let mut world = World::settled(want("octank", &object));
        let group = world.key(AwsKind::NodeGroup, "");
        let with = |object: &mut serde_json::Value, value: &str| {
            object["spec"]["nodes"]["nodeGroup"]["taints"] =
                json!([{"key": "tier", "value": value, "effect": effect}]);
            want("octank", object)
        };
        let step = |world: &World| {
            let plan = world.plan();
            plan.steps
                .into_iter()
                .find(|step| step.key == group)
                .unwrap()
        };
        world.wanted = with(&mut object, "orders");
        let added = step(&world);
        assert_eq!(added.effect, expected, "{effect}");
        // The pods that tolerate it need nobody's approval, and are there before it.
        assert_eq!(
            added.blocked_by.contains(&Blocker::Approval),
            expected != Effect::None,
            "{effect}"
        );
        assert!(world.run_approving().is_empty());
        if expected != Effect::None {
            assert!(
                world.at("apply Deployment") < world.at("update NodeGroup"),
                "{:#?}",
                world.log
            );
        }

        // Another value is another taint, and none is none.
        world.wanted = with(&mut object, "shop");
        assert_eq!(step(&world).effect, expected, "{effect}");
        assert!(world.run_approving().is_empty());
        object["spec"]["nodes"]["nodeGroup"]["taints"] = json!([]);
        world.wanted = want("octank", &object);
        assert_eq!(step(&world).effect, Effect::None, "{effect}");
        assert!(world.run_approving().is_empty());
    }
}

#[test]
fn the_size_that_an_autoscaler_chose_is_left_alone() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let group = world.key(AwsKind::NodeGroup, "");
    let shopkeeper_plan::aws::AwsResource::NodeGroup(found) =
        &mut world.thing(&group).present.resource
    else {
        unreachable!()
    };
    found.desired_size = Some(7);
    assert!(world.plan().is_empty());
}

#[test]
fn a_group_without_its_nodes_is_not_ready() {
    let world = World::settled(want("octank", &on("m7g.large")));
    let mut observed = world.observe();
    for nodes in observed.nodes.values_mut() {
        nodes.nodes.last_mut().unwrap().ready = false;
    }
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(step.key.kind, ResourceKind::Aws(AwsKind::NodeGroup));
    assert_eq!(step.changes[0].from, "2 of 3 nodes are ready");
}

const NO_CAPACITY: &str = "EKS could not make the node group: AsgInstanceLaunchFailures: Could not launch On-Demand Instances";

#[test]
fn a_group_that_eks_gives_up_on_is_made_once_more_and_then_waits_for_a_person() {
    let mut object = on("m7g.large");
    let mut world = World::new(want("octank", &object));
    world.failing.insert(AwsKind::NodeGroup, NO_CAPACITY);
    let made = |world: &World| {
        let is_made = |line: &&String| line.starts_with("create NodeGroup");
        world.log.iter().filter(is_made).count()
    };

    let plan = world.run();
    assert_eq!(made(&world), 2, "{:#?}", world.log);
    let group = world.key(AwsKind::NodeGroup, "");
    let step = plan.steps.iter().find(|step| step.key == group).unwrap();
    let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
        panic!("{step:#?}")
    };
    assert_eq!(failure.class, Class::Invalid);
    let told = failure.describe();
    for part in [
        "AsgInstanceLaunchFailures",
        group.name.as_str(),
        "delete it in EKS",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let report = report::of_plan(&plan, &world.draft(), &world.observe(), false);
    let is_stalled = |condition: &report::ConditionDraft| condition.r#type == "Stalled";
    assert!(report.conditions.iter().any(is_stalled), "{report:#?}");

    // Another wish is tried anew.
    object["spec"]["nodes"]["nodeGroup"]["max"] = json!(20);
    world.wanted = want("octank", &object);
    world.run();
    assert_eq!(made(&world), 3, "{:#?}", world.log);
    // Whoever deletes what failed twice has it tried anew, as often as the first time.
    world.aws.remove(&group);
    world.run();
    assert_eq!(made(&world), 5, "{:#?}", world.log);
    world.aws.remove(&group);
    world.failing.clear();
    assert!(world.run().is_empty());
    assert_eq!(made(&world), 6, "{:#?}", world.log);

    // Once it worked, a later failure is a first one.
    world.log.clear();
    world.aws.remove(&group);
    world.pods.clear();
    world.failing.insert(AwsKind::NodeGroup, NO_CAPACITY);
    world.run();
    assert_eq!(made(&world), 2, "{:#?}", world.log);
}

#[test]
fn a_process_that_ends_while_it_makes_a_group_again_is_not_one_more_try() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let group = world.key(AwsKind::NodeGroup, "");
    world.thing(&group).present.id = Some("first".into());
    world.pods.clear();
    world.thing(&group).present.lifecycle = Lifecycle::Failed(NO_CAPACITY.into());
    world.failing.insert(AwsKind::NodeGroup, NO_CAPACITY);
    let made = |world: &World| {
        let is_made = |line: &&String| line.starts_with("create NodeGroup");
        world.log.iter().filter(is_made).count()
    };
    // Before the deletion: the next process sees the same group, and deletes it.
    world.pass_cut_short(0);
    // After the deletion, before anything more is written down.
    world.pass_cut_short(1);
    world.run();
    assert_eq!(made(&world), 1, "{:#?}", world.log);
}

#[test]
fn a_group_that_eks_cannot_delete_is_told_and_not_deleted_again_at_once() {
    let reason =
        "EKS could not delete the node group: Ec2SecurityGroupDeletionFailure: DependencyViolation";
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let group = world.key(AwsKind::NodeGroup, "");
    world.thing(&group).present.lifecycle = Lifecycle::DeletionFailed(reason.into());
    for (deleting, wanted) in [(false, Action::Replace), (true, Action::Delete)] {
        world.deleting = deleting;
        let mut observed = world.observe();
        let blueprint = (world.wanted.blueprint)(&observed);
        let of_group = |plan: &Plan| {
            let mut steps = plan.steps.iter();
            steps.find(|step| step.key == group).unwrap().clone()
        };
        let step = of_group(&world.plan_for(&observed, &blueprint));
        assert_eq!(step.action, wanted);
        assert!(
            matches!(step.operation, Operation::AwsDelete { .. }),
            "{step:#?}"
        );
        observed.not_yet.insert(group.clone());
        let plan = world.plan_for(&observed, &blueprint);
        let step = of_group(&plan);
        assert!(!step.is_free(), "{step:#?}");
        let report = report::of_plan(&plan, &blueprint, &observed, deleting);
        let stalled = report
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Stalled")
            .unwrap();
        for part in ["DependencyViolation", group.name.as_str(), "To do: "] {
            assert!(stalled.message.contains(part), "{stalled:#?}");
        }
    }
}

/// The label of the nodes of a service of this name, as its pods choose it.
fn label_of_nodes(namespace: &str, name: &str) -> String {
    let mut object = on("m7g.large");
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["name"] = json!(name);
    let world = World::settled(want("octank", &object));
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, name);
    let selector = &world.kubernetes[&key].body["spec"]["template"]["spec"]["nodeSelector"];
    selector[NODES_LABEL].as_str().unwrap().to_owned()
}

#[test]
fn nodes_of_long_names_are_not_shared() {
    let namespace = "n".repeat(55);
    let one = label_of_nodes(&namespace, "orders-europe");
    let other = label_of_nodes(&namespace, "orders-elsewhere");
    assert_ne!(one, other);
    assert!(one.len() <= 63 && other.len() <= 63, "{one} {other}");
    // A label ends in a letter or a digit, wherever it is cut.
    for length in 50..=63 {
        let label = label_of_nodes(&"n".repeat(length), "o-r-d-e-r-s");
        assert!(label.len() <= 63 && !label.ends_with(['-', '.']), "{label}");
    }
    // What fits stays as it was: another label would be another value of a taint on every node.
    let just = format!("{}.orders", "n".repeat(56));
    assert_eq!(label_of_nodes(&"n".repeat(56), "orders"), just);
}

/// What a plan refuses, by code.
fn refusals(plan: &Plan) -> Vec<(Action, String)> {
    plan.steps
        .iter()
        .flat_map(|step| step.blocked_by.iter().map(move |blocker| (step, blocker)))
        .filter_map(|(step, blocker)| match blocker {
            Blocker::Refused(failure) => {
                Some((step.action, failure.code.clone().unwrap_or_default()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_full_cluster_gets_no_further_group_and_everything_else_is_made() {
    let mut world = World::new(want("octank", &on("m7g.large")));
    world.quotas.node_groups = Some(30);
    let plan = world.run();
    assert_eq!(
        refusals(&plan),
        [(Action::Create, "QuotaExceeded".to_owned())]
    );
    assert!(!world.log.iter().any(|line| line.contains("NodeGroup")));
    for kind in [AwsKind::RdsInstance, AwsKind::SqsQueue, AwsKind::IamRole] {
        assert!(
            world
                .log
                .iter()
                .any(|line| line.starts_with(&format!("create {}", kind.id()))),
            "{:#?}",
            world.log
        );
    }
    let report = report::of_plan(&plan, &world.draft(), &world.observe(), false);
    let stalled = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == "Stalled")
        .unwrap();
    assert_eq!(stalled.reason, "QuotaExceeded");
    assert!(
        stalled.message.contains("30 of 30 managed node groups"),
        "{}",
        stalled.message
    );

    world.quotas.node_groups = Some(29);
    assert!(world.run().is_empty());
}

#[test]
fn of_two_new_groups_the_first_gets_the_last_place() {
    let mut world = World::new(want("octank", &read("octank", "storefront")));
    world.quotas.node_groups = Some(29);
    let plan = world.run();
    assert_eq!(refusals(&plan).len(), 1, "{plan:#?}");
    let made = world
        .log
        .iter()
        .filter(|line| line.starts_with("create NodeGroup"))
        .count();
    assert_eq!(made, 1);
}

#[test]
fn a_replacement_needs_room_for_both_groups_and_keeps_the_old_one_until_then() {
    let mut world = World::settled(want("octank", &on("m7g.large")));
    let old = world.key(AwsKind::NodeGroup, "");
    world.wanted = want("octank", &on("m7g.xlarge"));
    world.quotas.node_groups = Some(29);
    let plan = world.run();
    assert_eq!(
        refusals(&plan),
        [(Action::Create, "QuotaExceeded".to_owned())]
    );
    assert!(world.aws.contains_key(&old), "{:#?}", world.log);
    assert_eq!(world.pods[&old.name], 3);

    world.quotas.allowed = Some(Quotas {
        node_groups_per_cluster: 31,
        ..Quotas::default()
    });
    assert!(world.run().is_empty());
    assert!(!world.aws.contains_key(&old));
}

#[test]
fn more_nodes_than_the_quota_are_refused_and_the_rest_of_the_group_changes() {
    let mut object = on("m7g.large");
    let mut world = World::settled(want("octank", &object));
    let group = world.key(AwsKind::NodeGroup, "");
    object["spec"]["nodes"]["nodeGroup"]["max"] = json!(451);
    object["spec"]["nodes"]["nodeGroup"]["labels"] = json!({"team": "orders"});
    world.wanted = want("octank", &object);
    let plan = world.run();
    assert_eq!(
        refusals(&plan),
        [(Action::Update, "QuotaExceeded".to_owned())]
    );
    assert_eq!(world.log, [format!("update NodeGroup/{}", group.name)]);
}
