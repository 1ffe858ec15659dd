//! Kinds that the API server does not let the operator list: what is of them is left as it is, and nothing passes for gone.

use serde_json::json;
use shopkeeper_api::OrderService;
use shopkeeper_plan::{failure::Class, kubernetes::KubernetesKind, plan::Blocker};

use crate::{
    fixture::{Wanted, read, resolve, wanted},
    world::World,
};

fn with_a_monitor() -> Wanted {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["metrics"] = json!({"style": "ServiceMonitor"});
    wanted(resolve::<OrderService>("octank", &object).unwrap())
}

fn may_not_list(world: &mut World) {
    world.unlisted = [KubernetesKind::ServiceMonitor].into();
}

#[test]
fn it_is_told_and_the_object_stays_in_the_inventory() {
    let mut world = World::settled(with_a_monitor());
    let inventory = world.inventory.clone();
    may_not_list(&mut world);
    let plan = world.pass();
    assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
    let told: Vec<_> = plan
        .steps
        .iter()
        .flat_map(|step| &step.blocked_by)
        .collect();
    let [Blocker::Refused(failure)] = told[..] else {
        panic!("{told:#?}");
    };
    assert_eq!(failure.class, Class::Denied);
    assert!(failure.message.contains("may not list servicemonitors"));
    assert!(failure.remedy.contains("config/rbac.yaml"));
    assert_eq!(world.inventory, inventory);
}

#[test]
fn its_owner_does_not_end_before_it() {
    let mut world = World::settled(with_a_monitor());
    may_not_list(&mut world);
    world.deleting = true;
    let plan = world.run();
    assert!(!plan.steps.is_empty(), "it ended");
    // It leads to nothing: all else goes.
    let left: Vec<&str> = world.inventory.keys().map(|key| key.kind.id()).collect();
    assert_eq!(left, ["ServiceMonitor"]);
    world.unlisted.clear();
    world.run();
    assert!(world.kubernetes.is_empty(), "{:?}", world.kubernetes.keys());
}

#[test]
fn what_was_never_made_holds_up_no_end() {
    let mut world = World::new(with_a_monitor());
    may_not_list(&mut world);
    world.run();
    assert!(
        world
            .kubernetes
            .keys()
            .all(|key| key.kind.id() != "ServiceMonitor")
    );
    world.deleting = true;
    world.run();
    assert!(
        world.aws.is_empty() && world.kubernetes.is_empty(),
        "{:#?}",
        world.plan()
    );
}
