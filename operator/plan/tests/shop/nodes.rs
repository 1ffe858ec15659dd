//! Node groups that are replaced: the new one serves before the old one goes.

use serde_json::json;
use shopkeeper_plan::{
    aws::AwsKind,
    plan::{Action, Effect, Operation},
    resource::ResourceKind,
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
        nodes.ready = 2;
    }
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(step.key.kind, ResourceKind::Aws(AwsKind::NodeGroup));
    assert_eq!(step.changes[0].from, "2 of 3 nodes are ready");
}
