//! Who says how many pods there are, and what a change of that does to the pods that run.

use serde_json::{Value, json};
use shopkeeper_plan::{kubernetes::KubernetesKind, report, resource::ResourceKey};

use crate::{
    fixture::{read, want},
    world::World,
};

/// The orders of a shop, scaled like this.
fn orders(scaling: &Value, image: &str) -> crate::fixture::Wanted {
    let mut object = read("octank", "orders");
    object["spec"]["scaling"] = scaling.clone();
    object["spec"]["workload"]["image"] = json!(image);
    want("octank", &object)
}

fn deployment(world: &mut World) -> &mut Value {
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    &mut world.kubernetes.get_mut(&key).unwrap().body
}

fn replicas(world: &mut World) -> u64 {
    deployment(world)["spec"]["replicas"].as_u64().unwrap()
}

/// Runs, and sees after each pass that no fewer pods are wanted than these.
fn never_below(world: &mut World, least: u64) {
    for _ in 0..10 {
        world.pass();
        assert!(replicas(world) >= least, "{} replicas", replicas(world));
        world.tick();
    }
    assert!(world.plan().is_empty(), "{:#?}", world.plan());
}

#[test]
fn no_pod_goes_when_an_autoscaler_comes() {
    let mut world = World::settled(orders(
        &json!({"type": "Fixed", "fixed": {"replicas": 3}}),
        "a:1",
    ));
    for (min, expected) in [(2, 3), (5, 5)] {
        let scaling = json!({"type": "Autoscale", "autoscale": {"min": min, "max": 30, "cpu": 60}});
        world.wanted = orders(&scaling, "a:1");
        never_below(&mut world, 3);
        assert_eq!(replicas(&mut world), expected);
        // A later change of something else gives nothing up either.
        world.wanted = orders(&scaling, "a:2");
        never_below(&mut world, expected);
    }
}

#[test]
fn an_autoscaled_deployment_starts_with_its_fewest_replicas() {
    let mut world = World::new(orders(
        &json!({"type": "Autoscale", "autoscale": {"min": 4, "max": 30, "cpu": 60}}),
        "a:1",
    ));
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    while !world.kubernetes.contains_key(&key) {
        world.pass();
        assert!(world.log.len() < 1000, "it is never made: {:?}", world.log);
        if !world.kubernetes.contains_key(&key) {
            world.tick();
        }
    }
    assert_eq!(replicas(&mut world), 4);
}

#[test]
fn what_the_autoscaler_set_is_left_alone_by_later_changes() {
    let scaling = json!({"type": "Autoscale", "autoscale": {"min": 3, "max": 30, "cpu": 60}});
    let mut world = World::settled(orders(&scaling, "a:1"));
    world.scale_deployment("orders", 17);
    world.run();
    world.wanted = orders(&scaling, "a:2");
    never_below(&mut world, 17);
    assert_eq!(replicas(&mut world), 17);
}

/// Whether all is as declared, and what is told of the workload.
fn workload_ready(world: &World) -> (bool, String) {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let mut conditions = report.conditions.into_iter();
    let workload = conditions.find(|condition| condition.r#type == "WorkloadReady");
    (plan.is_empty() && report.ready, workload.unwrap().message)
}

#[test]
fn more_replicas_are_no_rollout() {
    let scaling = json!({"type": "Autoscale", "autoscale": {"min": 3, "max": 30, "cpu": 60}});
    let mut world = World::settled(orders(&scaling, "a:1"));
    world.scale_deployment("orders", 6);
    let generation = deployment(&mut world)["metadata"]["generation"]
        .as_u64()
        .unwrap();
    deployment(&mut world)["metadata"]["generation"] = json!(generation + 1);
    assert!(
        workload_ready(&world).0,
        "the controller has not seen the number yet"
    );
    let counts = |replicas: u64, updated: u64, available: u64| json!({"observedGeneration": generation + 1, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available});
    deployment(&mut world)["status"] = counts(6, 6, 4);
    let (ready, workload) = workload_ready(&world);
    assert!(ready);
    assert!(
        workload.ends_with("Deployment orders: scaling out, 4 of 6 replicas are available"),
        "{workload}"
    );
    deployment(&mut world)["status"] = counts(6, 6, 2);
    assert!(!workload_ready(&world).0, "fewer than the fewest");
    deployment(&mut world)["status"] = counts(7, 4, 6);
    assert!(!workload_ready(&world).0, "old ones have to end");
    while world.tick() {}
    // Another version that nobody has seen yet is a rollout.
    world.wanted = orders(&scaling, "a:2");
    world.pass();
    assert!(!workload_ready(&world).0);
    while world.tick() {}
    world.pass();
    assert!(workload_ready(&world).0);
}

/// The orders, autoscaled by these targets, with these resources and this patch of their pods.
fn scaled_by(targets: &Value, resources: &Value, patch: &Value) -> World {
    let mut object = read("octank", "orders");
    object["spec"]["scaling"] = json!({"type": "Autoscale", "autoscale": {"min": 1, "max": 3}});
    let autoscale = object["spec"]["scaling"]["autoscale"].as_object_mut();
    autoscale
        .unwrap()
        .extend(targets.as_object().unwrap().clone());
    object["spec"]["workload"]["resources"] = resources.clone();
    object["spec"]["workload"]["podTemplatePatch"] = patch.clone();
    World::settled(want("octank", &object))
}

#[test]
fn what_an_autoscaler_divides_by_is_requested() {
    let memory = json!({"requests": {"memory": "256Mi"}, "limits": {"memory": "256Mi"}});
    let none = json!({});
    for (targets, resources, patch, cpu) in [
        (none.clone(), memory.clone(), none.clone(), json!("100m")),
        (
            json!({"cpu": 80, "memory": 80}),
            memory.clone(),
            none.clone(),
            json!("100m"),
        ),
        // Kubernetes takes a limit for the request.
        (
            none.clone(),
            json!({"limits": {"cpu": "1"}}),
            none.clone(),
            Value::Null,
        ),
        (
            none.clone(),
            json!({"requests": {"cpu": "2"}}),
            none.clone(),
            json!("2"),
        ),
        (
            none.clone(),
            memory.clone(),
            json!({"spec": {"containers": [{"name": "orders", "resources": {"limits": {"cpu": "50m"}}}]}}),
            Value::Null,
        ),
        // Nothing is added that no target needs.
        (
            json!({"memory": 80}),
            memory.clone(),
            none.clone(),
            Value::Null,
        ),
        (
            json!({"memory": 80}),
            json!({"limits": {"memory": "1Gi"}}),
            none.clone(),
            Value::Null,
        ),
    ] {
        let mut world = scaled_by(&targets, &resources, &patch);
        let container = &deployment(&mut world)["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["resources"]["requests"]["cpu"], cpu,
            "{targets} {resources}"
        );
        let (ready, told) = workload_ready(&world);
        assert!(
            ready && !told.contains("requests no"),
            "{targets} {resources}: {told}"
        );
    }
}

#[test]
fn a_target_of_what_is_not_requested_is_told() {
    let sidecar = json!({"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}});
    for (targets, resources, patch, expected) in [
        (
            json!({"memory": 80}),
            json!({"requests": {"cpu": "1"}}),
            json!({}),
            "spec.scaling.autoscale.memory is in percent of what is requested, and container orders requests no memory, so that it does \
             not scale by that unless a LimitRange gives one: set spec.workload.resources.requests.memory, or take the target out",
        ),
        (
            json!({"cpu": 60}),
            json!({"requests": {"cpu": "0"}}),
            json!({}),
            "set spec.workload.resources.requests.cpu",
        ),
        (
            json!({"cpu": 60}),
            json!({"requests": {"cpu": "1"}}),
            sidecar,
            "container proxy requests no cpu, so that it does not scale by that unless a LimitRange gives one: set it in \
             spec.workload.podTemplatePatch",
        ),
    ] {
        let (ready, told) = workload_ready(&scaled_by(&targets, &resources, &patch));
        assert!(ready);
        assert!(told.contains(expected), "{targets} {resources}: {told}");
    }
}
