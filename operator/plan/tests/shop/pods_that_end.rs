//! What pods use goes once the last of them has ended.

use shopkeeper_plan::{
    aws::AwsKind,
    kubernetes::KubernetesKind,
    observed::{Observed, WorkloadPod},
    plan::{Blocker, Plan},
    planner::DeletionPolicy,
    report,
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want},
    teardown::{ending, stages},
    world::World,
};

fn pod(name: &str, version: &str) -> WorkloadPod {
    WorkloadPod {
        name: name.into(),
        version: version.into(),
        node: Some("ip-10-0-1-5".into()),
        replica_set: Some(format!("orders-{version}")),
        is_ending: true,
        is_overdue: false,
    }
}

fn deployment(name: &str) -> ResourceKey {
    ResourceKey::kubernetes(KubernetesKind::Deployment, name)
}

/// What people are told.
fn told(world: &World, plan: &Plan) -> String {
    let report = report::of_plan(plan, &world.draft(), &world.observe(), world.deleting);
    let mut conditions = report.conditions.into_iter();
    let ready = conditions.find(|condition| condition.r#type == "Ready");
    ready.expect("it is told").message
}

#[test]
fn nothing_that_pods_use_goes_before_the_last_of_them_has_ended() {
    for policy in [
        DeletionPolicy::Retain,
        DeletionPolicy::Snapshot,
        DeletionPolicy::Delete,
    ] {
        for is_valid in [true, false] {
            let mut world = ending("octank", "orders", policy);
            if !is_valid {
                world.wanted.blueprint = Box::new(|_: &Observed| Default::default());
            }
            let data = world.aws.len();
            world.left.insert(
                deployment("orders"),
                vec![pod("orders-b", "1"), pod("orders-a", "1")],
            );
            // Deleted by force, or with `--cascade=orphan`: in the next process the inventory alone tells of it.
            for _ in 0..3 {
                world.run();
                world.kubernetes.remove(&deployment("orders"));
            }
            let plan = world.pass();
            let stages = stages(&world);
            assert!(stages.iter().all(|stage| *stage <= 2), "{:#?}", world.log);
            assert_eq!(world.aws.len(), data, "{:#?}", world.log);
            let told = told(&world, &plan);
            assert!(
                told.contains("Deployment orders: waits for pod shop/orders-a and 1 more to end"),
                "{told}"
            );
            world.left.clear();
            world.run();
            assert!(world.kubernetes.is_empty());
        }
    }
}

#[test]
fn a_pod_that_does_not_end_is_named_with_what_to_do() {
    let mut world = ending("octank", "orders", DeletionPolicy::Snapshot);
    world
        .left
        .insert(deployment("orders"), vec![pod("orders-a", "1")]);
    world.run();
    let mut lost = pod("orders-z", "1");
    lost.is_overdue = true;
    let mut finalized = WorkloadPod {
        node: None,
        ..lost.clone()
    };
    finalized.name = "orders-y".into();
    let orphaned = WorkloadPod {
        is_ending: false,
        ..lost.clone()
    };
    for (pods, parts) in [
        (
            vec![pod("orders-a", "1"), lost],
            vec![
                "pod shop/orders-z on node ip-10-0-1-5",
                "kubectl delete node ip-10-0-1-5",
            ],
        ),
        (
            vec![finalized],
            vec!["pod shop/orders-y was told to end", "finalizer"],
        ),
        (
            vec![orphaned],
            vec![
                "pod shop/orders-z runs on",
                "kubectl delete replicaset orders-1 -n shop",
            ],
        ),
    ] {
        world.left.insert(deployment("orders"), pods);
        world.kubernetes.remove(&deployment("orders"));
        let plan = world.pass();
        let told = told(&world, &plan);
        for part in parts {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
    }
}

#[test]
fn a_frontend_that_is_taken_out_keeps_what_its_pods_use_until_they_have_ended() {
    let mut object = read("octank", "storefront");
    let mut world = World::settled(want("octank", &object));
    let frontends = object["spec"]["frontends"].as_array_mut().unwrap();
    let gone = frontends.pop().unwrap()["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let routes = object["spec"]["routes"].as_array_mut().unwrap();
    routes.retain(|route| route["frontend"] != gone.as_str());
    world.wanted = want("octank", &object);
    let name = format!("octank-{gone}");
    world.left.insert(deployment(&name), vec![pod("slow", "1")]);
    world.run();
    assert!(!world.kubernetes.contains_key(&deployment(&name)));
    let service = ResourceKey::kubernetes(KubernetesKind::Service, name.as_str());
    let account = ResourceKey::kubernetes(KubernetesKind::ServiceAccount, name.as_str());
    for key in [&service, &account] {
        assert!(
            world.kubernetes.contains_key(key),
            "{key}: {:#?}",
            world.log
        );
    }
    let plan = world.pass();
    assert!(
        told(&world, &plan).contains("waits for pod shop/slow to end"),
        "{}",
        told(&world, &plan)
    );
    assert!(world.inventory.contains_key(&deployment(&name)));
    world.left.clear();
    world.run();
    for key in [&service, &account, &deployment(&name)] {
        assert!(
            !world.kubernetes.contains_key(key) && !world.inventory.contains_key(key),
            "{key}"
        );
    }
}

#[test]
fn what_is_taken_out_waits_for_pods_of_before_and_not_for_those_that_are_one_too_many() {
    let mut object = read("octank", "catalog");
    let mut world = World::settled(want("octank", &object));
    let cache = world.key(AwsKind::CacheReplicationGroup, "");
    let spec = object["spec"].as_object_mut().unwrap();
    spec.remove("cache");
    let bindings = object["spec"]["bindings"].as_array_mut().unwrap();
    bindings.retain(|binding| binding["resource"] != "cache");
    world.wanted = want("octank", &object);
    let stays = WorkloadPod {
        is_ending: false,
        ..pod("catalog-2-a", "2")
    };
    let catalog = deployment("catalog");
    world.left.insert(
        catalog.clone(),
        vec![stays.clone(), pod("catalog-1-a", "1")],
    );
    world.run_approving();
    assert!(world.aws.contains_key(&cache), "{:#?}", world.log);
    let plan = world.pass();
    let step = plan.steps.iter().find(|step| step.key == cache).unwrap();
    assert_eq!(
        step.blocked_by.first(),
        Some(&Blocker::Pod("shop/catalog-1-a".into()))
    );
    world
        .left
        .insert(catalog, vec![stays, pod("catalog-2-b", "2")]);
    world.run();
    assert!(!world.aws.contains_key(&cache), "{:#?}", world.log);
}
