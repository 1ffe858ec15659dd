//! From nothing to what is declared, in an order in which it can work, and no further.

use serde_json::json;
use shopkeeper_plan::{
    failure::{Class, Failure},
    observed::{Lifecycle, Observation, Observed},
    plan::{Action, Blocker, Operation},
    planner::{ChangePolicy, is_usable},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{EXAMPLES, read, want, without},
    world::World,
};

#[test]
fn every_example_is_made_and_then_left_alone() {
    for (shop, name) in EXAMPLES {
        let mut world = World::new(want(shop, &read(shop, name)));
        let plan = world.run();
        assert!(plan.is_empty(), "{shop}/{name}: {plan:#?}");
        let observed = world.observe();
        let blueprint = (world.wanted.blueprint)(&observed);
        assert_eq!(plan.unchanged, blueprint.len(), "{shop}/{name}");
        let inventory: Vec<_> = world.inventory.keys().collect();
        assert_eq!(
            inventory,
            blueprint.keys().collect::<Vec<_>>(),
            "{shop}/{name}: all of it, and nothing else, is in the inventory"
        );
        assert!(
            world
                .inventory
                .values()
                .all(|entry| entry.applied.is_some()),
            "{shop}/{name}"
        );
        world.log.clear();
        world.pass();
        assert_eq!(
            world.log,
            Vec::<String>::new(),
            "{shop}/{name}: a second pass does nothing"
        );
    }
}

#[test]
fn nothing_is_made_before_what_it_depends_on() {
    let mut world = World::new(want("octank", &read("octank", "orders")));
    world.run();
    let order = [
        ("create RdsSubnetGroup", "create RdsInstance"),
        ("create RdsParameterGroup", "create RdsInstance"),
        (
            "create IamRole/octank-eu-west-1-shop-orders-nodes",
            "create NodeGroup",
        ),
        (
            "create SqsQueue/octank-shop-orders-fulfilment-dead",
            "create SqsQueue/octank-shop-orders-fulfilment",
        ),
        ("create SnsTopic", "create SnsSubscription"),
        ("create RdsInstance", "apply Secret/orders-database"),
        ("apply Secret/orders-database", "apply Deployment"),
        ("apply ConfigMap", "apply Deployment"),
        ("create PodIdentityAssociation", "apply Deployment"),
        ("create NodeGroup", "apply Deployment"),
        ("apply ServiceAccount", "apply Deployment"),
        ("apply Deployment", "apply HorizontalPodAutoscaler"),
    ];
    for (first, second) in order {
        // The dead letters' name begins with that of their queue.
        let at = |entry: &str| {
            world
                .log
                .iter()
                .position(|line| {
                    line == entry || (line.starts_with(entry) && !entry.ends_with("fulfilment"))
                })
                .unwrap()
        };
        assert!(
            at(first) < at(second),
            "{first} comes before {second}: {:#?}",
            world.log
        );
    }
}

#[test]
fn what_does_not_depend_on_each_other_is_made_at_once() {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    world.pass();
    for kind in ["DynamoDbTable", "CacheSubnetGroup", "S3Bucket", "IamRole"] {
        world.at(&format!("create {kind}"));
    }
}

#[test]
fn every_passed_over_pass_converges_all_the_same() {
    // A process that ends after any number of steps of any pass, without having written down what came of them.
    for steps in 0..6 {
        let mut world = World::new(want("octank", &read("octank", "orders")));
        for _ in 0..8 {
            world.pass_cut_short(steps);
            world.tick();
        }
        assert!(world.run().is_empty(), "{steps}");
    }
}

#[test]
fn what_was_made_by_a_process_that_ended_is_known_although_the_specification_changed() {
    let object = read("octank", "catalog");
    let mut world = World::new(want("octank", &object));
    world.policies.changes = ChangePolicy::Automatic;
    world.pass_cut_short(usize::MAX);
    let table = world.key(shopkeeper_plan::aws::AwsKind::DynamoDbTable, "products");
    assert!(
        world.inventory.contains_key(&table),
        "written down before it was made"
    );

    let mut changed = object;
    without(&mut changed, "/spec/products");
    changed["spec"]["bindings"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    world.wanted = want("octank", &changed);
    assert!(world.run().is_empty());
    assert!(!world.aws.contains_key(&table), "{:#?}", world.log);
    world.at("save and delete DynamoDbTable");
}

#[test]
fn what_could_not_be_observed_is_not_touched() {
    let object = read("octank", "orders");
    let failure = Failure::new(Class::Throttled, "slow down");
    let all: Vec<ResourceKey> = World::settled(want("octank", &object))
        .aws
        .keys()
        .cloned()
        .collect();
    for key in all {
        for deleting in [false, true] {
            let mut world = World::settled(want("octank", &object));
            world.unknown.insert(key.clone(), failure.clone());
            world.deleting = deleting;
            let plan = world.plan();
            let step = plan
                .steps
                .iter()
                .find(|step| step.key == key)
                .unwrap_or_else(|| panic!("{key} is not in the plan"));
            assert_eq!(
                (step.action, &step.operation),
                (Action::Wait, &Operation::Wait),
                "{key}"
            );
            assert_eq!(
                step.blocked_by[0],
                Blocker::Refused(failure.clone()),
                "{key}"
            );
            if !deleting {
                assert_eq!(plan.free_steps().count(), 0, "{key}: {plan:#?}");
            }
        }
    }
}

#[test]
fn what_was_not_looked_at_counts_as_unknown() {
    let world = World::new(want("octank", &read("octank", "orders")));
    let plan = world.plan_for(&Observed::default(), &world.draft());
    let touched = plan
        .free_steps()
        .filter(|step| matches!(step.key.kind, ResourceKind::Aws(_)))
        .count();
    assert_eq!(touched, 0, "{plan:#?}");
}

#[test]
fn a_password_that_cannot_be_read_for_a_moment_changes_nothing() {
    // Without variables nothing but the Secret itself needs the password.
    let mut object = read("octank", "orders");
    object["spec"]["bindings"][0]
        .as_object_mut()
        .unwrap()
        .remove("env");
    let mut world = World::settled(want("octank", &object));
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    let found = world.thing(&database);
    found.present.outputs = found.present.outputs.iter().fold(
        Default::default(),
        |outputs: shopkeeper_plan::outputs::Outputs, (name, output)| match output {
            shopkeeper_plan::outputs::Output::Plain(value) => outputs.with(name, value.clone()),
            shopkeeper_plan::outputs::Output::Secret(_) => outputs,
        },
    );
    let plan = world.pass();
    assert_eq!(world.log, Vec::<String>::new());
    let missing = Blocker::Output {
        resource: database,
        output: "password".into(),
    };
    for kind in ["Secret", "Deployment"] {
        let step = plan
            .steps
            .iter()
            .find(|step| step.key.kind.id() == kind)
            .unwrap();
        assert!(step.blocked_by.contains(&missing), "{step:#?}");
    }
    assert!(
        !plan.steps.iter().any(|step| step.action == Action::Delete),
        "the ConfigMap is no leftover: {plan:#?}"
    );
}

#[test]
fn lifecycles_decide_what_is_waited_for() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    let deployment = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Deployment,
        "orders",
    );
    for (lifecycle, usable, said) in [
        (Lifecycle::Creating, false, "is being created"),
        (
            Lifecycle::Deleting,
            false,
            "is being deleted; it is made again afterwards",
        ),
    ] {
        world.thing(&database).present.lifecycle = lifecycle.clone();
        world.kubernetes.remove(&deployment);
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == database).unwrap();
        assert_eq!(
            (step.action, step.changes[0].from.as_str()),
            (Action::Wait, said)
        );
        let pods = plan
            .steps
            .iter()
            .find(|step| step.key == deployment)
            .unwrap();
        assert_eq!(pods.is_free(), usable, "{lifecycle:?}: {pods:#?}");
    }
}

#[test]
fn what_aws_keeps_busy_by_itself_stays_ready_and_a_change_waits_for_its_end() {
    let object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    world.thing(&database).present.lifecycle = Lifecycle::Modifying; // a nightly backup
    assert!(world.plan().is_empty());
    let mut changed = object;
    changed["spec"]["database"]["rds"]["backupRetentionDays"] = json!(21);
    world.wanted = want("octank", &changed);
    let plan = world.plan();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(
        (step.action, step.changes[0].from.as_str()),
        (Action::Wait, "is being changed")
    );
}

#[test]
fn a_database_that_failed_is_left_to_a_person_and_a_node_group_is_made_again() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    world.thing(&database).present.lifecycle = Lifecycle::Failed("incompatible-parameters".into());
    let plan = world.pass();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    let Blocker::Refused(failure) = &step.blocked_by[0] else {
        panic!("{step:#?}")
    };
    assert_eq!(failure.class, Class::Invalid);
    assert!(failure.message.contains("incompatible-parameters") && !failure.remedy.is_empty());
    assert_eq!(world.log, Vec::<String>::new());

    world.thing(&database).present.lifecycle = Lifecycle::Available;
    let group = world.key(shopkeeper_plan::aws::AwsKind::NodeGroup, "");
    world.thing(&group).present.lifecycle = Lifecycle::Failed("CREATE_FAILED: no capacity".into());
    world.pods.clear();
    assert!(world.run().is_empty());
    assert!(world.at("delete NodeGroup") < world.at("create NodeGroup"));
    assert_eq!(world.aws[&group].present.lifecycle, Lifecycle::Available);
}

#[test]
fn a_field_that_aws_cannot_change_is_refused_and_other_resources_go_on() {
    let object = read("octank", "orders");
    let mut changed = object.clone();
    changed["spec"]["database"]["rds"]["databaseName"] = json!("other");
    changed["spec"]["database"]["rds"]["backupRetentionDays"] = json!(21);
    changed["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4");
    let mut world = World::settled(want("octank", &object));
    world.wanted = want("octank", &changed);
    let plan = world.run();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    let Blocker::Refused(failure) = &step.blocked_by[0] else {
        panic!("{step:#?}")
    };
    assert!(
        failure.message.contains("databaseName")
            && failure.message.contains("from orders to other"),
        "{failure}"
    );
    assert!(failure.remedy.contains("restore the name"), "{failure:?}");
    world.at("apply Deployment");
    assert!(
        world.log.iter().all(|line| !line.contains("RdsInstance")),
        "what else differs belongs to the database that is wanted: {:#?}",
        world.log
    );
}

#[test]
fn storage_only_grows() {
    let object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    let shopkeeper_plan::aws::AwsResource::RdsInstance(found) =
        &mut world.thing(&database).present.resource
    else {
        unreachable!()
    };
    found.allocated_storage = 500; // as its autoscaling does
    assert!(world.plan().is_empty());
    let mut changed = object;
    changed["spec"]["database"]["rds"]["storage"] = json!("800Gi");
    world.wanted = want("octank", &changed);
    let plan = world.plan();
    assert_eq!(
        (
            plan.steps[0].changes[0].field.as_str(),
            plan.steps[0].reversible
        ),
        ("allocatedStorage", false)
    );
}

#[test]
fn an_object_that_is_on_its_way_out_is_waited_for_and_made_again() {
    let mut world = World::settled(want("octank", &read("octank", "storefront")));
    let ingress = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Ingress,
        "octank",
    );
    world.kubernetes.get_mut(&ingress).unwrap().body["metadata"]["deletionTimestamp"] =
        json!("2026-01-01T00:00:00Z");
    let plan = world.pass();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!((&step.key, step.action), (&ingress, Action::Wait));
    assert!(world.run().is_empty());
    assert_eq!(world.log, ["apply Ingress/octank"]);
}

#[test]
fn usable_is_what_others_can_rest_on() {
    let world = World::settled(want("octank", &read("octank", "orders")));
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let input = world.input(&observed, &blueprint);
    assert!(blueprint.keys().all(|key| is_usable(key, &input)));
    assert!(
        observed
            .aws
            .values()
            .all(|observation| matches!(observation, Observation::Present(_)))
    );
}

#[test]
fn pods_that_were_deleted_come_back_although_a_change_of_what_they_use_waits_for_a_person() {
    let object = read("octank", "orders");
    let deployment = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Deployment,
        "orders",
    );
    for (member, value) in [
        ("instanceClass", json!("db.r7g.xlarge")),
        ("databaseName", json!("other")),
    ] {
        let mut world = World::settled(want("octank", &object));
        let mut changed = object.clone();
        changed["spec"]["database"]["rds"][member] = value;
        world.wanted = want("octank", &changed);
        world.kubernetes.remove(&deployment);
        world.run();
        assert!(
            world.kubernetes.contains_key(&deployment),
            "{member}: {:#?}",
            world.plan()
        );
    }
    let mut world = World::settled(want("octank", &object));
    world.policies.drift = shopkeeper_plan::planner::DriftPolicy::Report;
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    let shopkeeper_plan::aws::AwsResource::RdsInstance(found) =
        &mut world.thing(&database).present.resource
    else {
        unreachable!()
    };
    found.backup_retention_days = 1;
    world.kubernetes.remove(&deployment);
    world.run();
    assert!(
        world.kubernetes.contains_key(&deployment),
        "{:#?}",
        world.plan()
    );
}
