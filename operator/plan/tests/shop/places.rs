//! What the network of a Platform means for the nodes and load balancers on it, and with how many nodes a group takes over.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, NodeGroup},
    facts::{PlatformFacts, SubnetFacts},
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    last_seen::{LastSeen, last_seen},
    observed::{Lifecycle, Observed},
    plan::{Action, Blocker, Effect, Operation, Plan, Step},
    planner::ChangePolicy,
    report,
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, read, want, want_on},
    world::World,
};

fn orders() -> Value {
    read("octank", "orders")
}

fn on_fargate() -> Value {
    let mut object = orders();
    object["spec"]["nodes"] = json!({"type": "Fargate"});
    object["spec"].as_object_mut().unwrap().remove("identity");
    object
}

/// The Platform of the example with these private subnets: `a`, or `a2` for one more in zone `a`.
fn platform(subnets: &[&str]) -> PlatformFacts {
    let mut platform = facts("octank");
    platform.private_subnets = subnets
        .iter()
        .zip(0..)
        .map(|(name, nth)| SubnetFacts {
            id: format!("subnet-private-{name}"),
            zone: format!("eu-west-1{}", &name[..1]),
            cidr: format!("10.0.{nth}.0/24"),
        })
        .collect();
    platform
}

fn group(world: &World, key: &ResourceKey) -> NodeGroup {
    match &world.aws[key].present.resource {
        AwsResource::NodeGroup(group) => group.clone(),
        _ => unreachable!(),
    }
}

fn step_of<'a>(plan: &'a Plan, key: &ResourceKey) -> &'a Step {
    let found = plan.steps.iter().find(|step| step.key == *key);
    found.unwrap_or_else(|| panic!("no step for {key}: {plan:#?}"))
}

fn subnets_of(world: &World, kind: AwsKind) -> Value {
    let key = world.key(kind, "");
    json!(world.aws[&key].present.resource.subnets_of_place())
}

/// A settled world on the subnets `before`, on whose Platform there are others now.
fn moved(before: &[&str], now: &[&str], object: &Value) -> World {
    let mut world = World::settled(want_on(&platform(before), object));
    world.wanted = want_on(&platform(now), object);
    world
}

#[test]
fn a_further_subnet_replaces_neither_nodes_nor_profiles() {
    for (object, kind) in [
        (orders(), AwsKind::NodeGroup),
        (on_fargate(), AwsKind::FargateProfile),
    ] {
        let mut world = moved(&["a", "b"], &["a", "a2", "b"], &object);
        let key = world.key(kind, "");
        // Other kinds take the subnet in.
        assert!(world.run_approving().is_empty());
        assert_eq!(world.key(kind, ""), key);
        let touched = world.log.iter().any(|line| {
            line.contains("NodeGroup") || line.contains("Fargate") || line.contains("Deployment")
        });
        assert!(!touched, "{:#?}", world.log);
        assert_eq!(
            subnets_of(&world, kind),
            json!(["subnet-private-a", "subnet-private-b"])
        );
        // What is made is made in all of them.
        let new = World::settled(want_on(&platform(&["a", "a2", "b"]), &object));
        let all = json!(["subnet-private-a", "subnet-private-a2", "subnet-private-b"]);
        assert_eq!(subnets_of(&new, kind), all);
    }
}

#[test]
fn a_group_that_stays_is_changed_and_replaced_as_any_other() {
    let mut object = orders();
    let mut world = moved(&["a", "b"], &["a", "a2", "b"], &object);
    let key = world.key(AwsKind::NodeGroup, "");
    world.run_approving();
    world.log.clear();
    object["spec"]["nodes"]["nodeGroup"]["max"] = json!(20);
    world.wanted = want_on(&platform(&["a", "a2", "b"]), &object);
    assert!(world.run().is_empty());
    assert_eq!(world.log, [format!("update NodeGroup/{}", key.name)]);

    object["spec"]["nodes"]["nodeGroup"]["instanceTypes"] = json!(["m7g.xlarge"]);
    world.wanted = want_on(&platform(&["a", "a2", "b"]), &object);
    let plan = world.plan();
    assert_eq!(
        (step_of(&plan, &key).action, step_of(&plan, &key).effect),
        (Action::Replace, Effect::Rolling),
        "an edit of the nodes asks for it"
    );
    assert!(world.run().is_empty());
    let all = json!(["subnet-private-a", "subnet-private-a2", "subnet-private-b"]);
    assert_eq!(subnets_of(&world, AwsKind::NodeGroup), all);
}

#[test]
fn a_subnet_that_goes_and_a_zone_that_comes_wait_for_approval() {
    for (before, now) in [
        (&["a", "b", "b2"][..], &["a", "b"][..]),
        (&["a", "b"], &["a", "b", "c"]),
    ] {
        let mut object = orders();
        let mut world = moved(before, now, &object);
        let old = world.key(AwsKind::NodeGroup, "");
        let plan = world.plan();
        let made = plan
            .steps
            .iter()
            .find(|step| matches!(step.operation, Operation::AwsCreate { .. }))
            .unwrap();
        for step in [made, step_of(&plan, &old)] {
            assert_eq!(step.effect, Effect::Restart, "{step:#?}");
            assert!(step.blocked_by.contains(&Blocker::Approval), "{step:#?}");
        }
        let told = report::change(made);
        assert!(
            told.contains("other subnets") && told.contains("subnet-private-b"),
            "{told}"
        );

        // Meanwhile the pods are changed as ever: the old nodes serve.
        object["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4");
        world.wanted = want_on(&platform(now), &object);
        let plan = world.run();
        assert!(
            world.log.contains(&"apply Deployment/orders".to_owned()),
            "{:#?}",
            world.log
        );
        assert!(
            !world.log.iter().any(|line| line.contains("NodeGroup")),
            "{:#?}",
            world.log
        );
        // One approval is enough for all of it.
        world.approved = plan.approval_hash();
        assert!(world.run().is_empty());
        assert_ne!(world.key(AwsKind::NodeGroup, ""), old);
        assert!(world.at("create NodeGroup") < world.at("drain NodeGroup"));
    }
}

#[test]
fn it_goes_by_itself_where_changes_are_automatic_and_for_pods_on_fargate() {
    let mut automatic = moved(&["a", "b", "b2"], &["a", "b"], &orders());
    automatic.policies.changes = ChangePolicy::Automatic;
    assert!(automatic.run().is_empty());
    let two = json!(["subnet-private-a", "subnet-private-b"]);
    assert_eq!(subnets_of(&automatic, AwsKind::NodeGroup), two);

    let mut fargate = moved(&["a", "b", "b2"], &["a", "b"], &on_fargate());
    assert!(fargate.run().is_empty());
    assert_eq!(subnets_of(&fargate, AwsKind::FargateProfile), two);
    assert!(fargate.at("create FargateProfile") < fargate.at("apply Deployment"));
}

#[test]
fn subnets_that_were_asked_for_by_id_are_those() {
    let within = |subnets: &[&str]| {
        let mut object = on_fargate();
        object["spec"]["nodes"]["fargate"] = json!({"subnets": subnets});
        object
    };
    let mut world = World::settled(want("octank", &within(&["subnet-private-a"])));
    let both = ["subnet-private-a", "subnet-private-b"];
    world.wanted = want("octank", &within(&both));
    assert!(world.run().is_empty());
    assert_eq!(subnets_of(&world, AwsKind::FargateProfile), json!(both));
}

#[test]
fn a_group_that_failed_is_not_kept_for_its_subnets() {
    let mut world = moved(&["a", "b"], &["a", "a2", "b"], &orders());
    let old = world.key(AwsKind::NodeGroup, "");
    world.thing(&old).present.lifecycle = Lifecycle::Failed("no addresses are left".into());
    world.pods.clear();
    assert!(world.run_approving().is_empty());
    assert_ne!(world.key(AwsKind::NodeGroup, ""), old);
}

#[test]
fn no_second_group_is_made_while_aws_does_not_tell_of_the_first() {
    let mut world = moved(&["a", "b"], &["a", "a2", "b"], &orders());
    world.run_approving();
    let key = world.key(AwsKind::NodeGroup, "");
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let seen = last_seen(&world.plan(), &blueprint, &observed);
    for class in [Class::Throttled, Class::Transient, Class::Denied] {
        let failure = Failure::new(class, "Rate exceeded");
        world.unknown.insert(key.clone(), failure);
        world.lately.clear();
        assert_eq!(world.plan().free_steps().count(), 0, "{:#?}", world.plan());
    }
    // What is known of it is enough to say that all is well.
    world
        .unknown
        .insert(key.clone(), Failure::new(Class::Throttled, "Rate exceeded"));
    let seen: LastSeen = seen[&key].clone().unwrap();
    assert_eq!(seen.subnets.len(), 2);
    world.lately.insert(key, seen);
    let (plan, observed) = (world.plan(), world.observe());
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let ready = report.conditions.iter().find(|c| c.r#type == "Ready");
    assert_eq!(ready.unwrap().status, "True", "{report:#?}");
    assert_eq!(plan.free_steps().count(), 0);
}

#[test]
fn a_group_that_is_said_to_be_gone_is_confirmed_to_be_before_another_is_made() {
    let mut world = moved(&["a", "b"], &["a", "a2", "b"], &orders());
    world.run_approving();
    let key = world.key(AwsKind::NodeGroup, "");
    world.aws.remove(&key);
    world.pods.clear();
    let plan = world.plan();
    let creations = plan
        .free_steps()
        .filter(|step| matches!(step.operation, Operation::AwsCreate { .. }));
    assert_eq!(creations.count(), 0, "{plan:#?}");
    world.run();
    assert!(world.run().is_empty());
    assert_ne!(world.key(AwsKind::NodeGroup, ""), key);
}

/// The orders at a peak: twelve nodes where three are the fewest.
fn at_peak() -> (World, ResourceKey, Value) {
    let mut object = orders();
    object["spec"]["nodes"]["nodeGroup"] =
        json!({"instanceTypes": ["m7g.large"], "min": 3, "max": 20});
    let mut world = World::settled(want("octank", &object));
    let old = world.key(AwsKind::NodeGroup, "");
    let AwsResource::NodeGroup(found) = &mut world.thing(&old).present.resource else {
        unreachable!()
    };
    found.desired_size = Some(12);
    object["spec"]["nodes"]["nodeGroup"]["instanceTypes"] = json!(["m7g.xlarge"]);
    world.wanted = want("octank", &object);
    (world, old, object)
}

#[test]
fn a_group_takes_over_with_as_many_nodes_as_the_old_one_has() {
    let (mut world, old, _) = at_peak();
    assert!(world.run().is_empty());
    let new = world.key(AwsKind::NodeGroup, "");
    assert_ne!(new, old);
    assert_eq!(group(&world, &new).desired_size, Some(12));

    // Within its own bounds, and where nothing else is declared.
    for (member, value, expected) in [("max", 8, 8), ("min", 15, 15), ("desired", 5, 5)] {
        let (mut world, _, mut object) = at_peak();
        object["spec"]["nodes"]["nodeGroup"][member] = json!(value);
        world.wanted = want("octank", &object);
        assert!(world.run().is_empty(), "{member}");
        let new = world.key(AwsKind::NodeGroup, "");
        assert_eq!(group(&world, &new).desired_size, Some(expected), "{member}");
    }
}

#[test]
fn no_node_is_cordoned_before_all_nodes_of_the_new_group_are_there() {
    let (mut world, old, _) = at_peak();
    while !world
        .plan()
        .free_steps()
        .any(|step| matches!(step.operation, Operation::DrainNodes))
    {
        world.pass();
        world.tick();
    }
    let new = world
        .aws
        .keys()
        .find(|key| key.kind == old.kind && **key != old)
        .cloned()
        .unwrap();
    let mut observed = world.observe();
    let nodes = &mut observed.nodes.get_mut(&new.name).unwrap().nodes;
    assert_eq!(nodes.len(), 12);
    nodes.truncate(11);
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
    assert_eq!(
        step_of(&plan, &new).changes[0].from,
        "11 of 12 nodes are ready"
    );
    // Somebody drains a node, as the autoscaler does. That says nothing of the others.
    observed.nodes.get_mut(&old.name).unwrap().nodes[0].unschedulable = true;
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
    // Once the first of them is cordoned for the new group, the autoscaler decides how many there are.
    observed.nodes.get_mut(&old.name).unwrap().nodes[0].cordoned_by_us = true;
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    assert!(step_of(&plan, &old).is_free(), "{plan:#?}");
}

#[test]
fn an_approval_of_a_group_does_not_hang_on_the_number_of_its_nodes() {
    let (mut world, old, _) = at_peak();
    world.policies.changes = ChangePolicy::ApproveAll;
    let hash = world.run().approval_hash();
    let AwsResource::NodeGroup(found) = &mut world.thing(&old).present.resource else {
        unreachable!()
    };
    found.desired_size = Some(13);
    assert_eq!(world.run().approval_hash(), hash);
    world.approved = hash;
    world.run();
    assert!(
        world
            .log
            .iter()
            .any(|line| line.starts_with("create NodeGroup")),
        "{:#?}",
        world.log
    );
}

#[test]
fn a_load_balancer_gets_one_subnet_of_each_zone() {
    const NLB: &str = "service.beta.kubernetes.io/aws-load-balancer-subnets";
    const ALB: &str = "alb.ingress.kubernetes.io/subnets";
    let mut object = orders();
    object["spec"]["network"] = json!({"exposures": [
        {"name": "nlb", "type": "Service", "ports": ["http"], "service": {"type": "LoadBalancer", "loadBalancer": {}}},
        {"name": "partners", "type": "Ingress", "ingress": {
            "exposure": "Public", "hosts": ["orders.octank.example"], "paths": [{"path": "/orders"}]}},
    ]});
    // In whatever order they are.
    let mut platform = platform(&["b", "a2", "a", "b2"]);
    platform.public_subnets = platform
        .private_subnets
        .iter()
        .map(|subnet| SubnetFacts {
            id: subnet.id.replace("private", "public"),
            ..subnet.clone()
        })
        .collect();
    let world = World::settled(want_on(&platform, &object));
    let annotation = |kind, name: &str, annotation: &str| {
        let body = &world.kubernetes[&ResourceKey::kubernetes(kind, name)].body;
        body["metadata"]["annotations"][annotation].clone()
    };
    assert_eq!(
        annotation(KubernetesKind::Service, "orders-nlb", NLB),
        "subnet-private-a,subnet-private-b"
    );
    assert_eq!(
        annotation(KubernetesKind::Ingress, "orders-partners", ALB),
        "subnet-public-a,subnet-public-b"
    );
    // Data tiers and nodes have all of them.
    assert_eq!(
        subnets_of(&world, AwsKind::NodeGroup)
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    let key = world.key(AwsKind::RdsSubnetGroup, "");
    let AwsResource::RdsSubnetGroup(group) = &world.aws[&key].present.resource else {
        unreachable!()
    };
    assert_eq!(group.subnets.len(), 4);
}

#[test]
fn a_shared_group_that_is_not_there_is_named_with_its_field() {
    let mut object = orders();
    object["spec"]["nodes"] = json!({"type": "Shared", "shared": {"name": "comon"}});
    let mut world = World::settled(want("octank", &object));
    let mut observed = world.observe();
    let blueprint = |observed: &Observed| (world.wanted.blueprint)(observed);
    assert_eq!(
        blueprint(&observed)
            .shared_node_groups()
            .collect::<Vec<_>>(),
        ["comon"]
    );
    observed.missing_node_groups.insert("comon".into());
    let plan = world.plan_for(&observed, &blueprint(&observed));
    assert_eq!(plan.free_steps().count(), 0, "it is nobody's to make");
    let report = report::of_plan(&plan, &blueprint(&observed), &observed, false);
    let nodes = report.conditions.iter().find(|c| c.r#type == "NodesReady");
    let nodes = nodes.expect("it is told");
    assert_eq!(nodes.status, "False");
    for part in ["spec.nodes.shared.name", "comon", "To do: "] {
        assert!(nodes.message.contains(part), "{}", nodes.message);
    }
    // The pods are made all the same.
    let deployment = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    world.kubernetes.remove(&deployment);
    let mut observed = world.observe();
    observed.missing_node_groups.insert("comon".into());
    let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
    assert!(step_of(&plan, &deployment).is_free(), "{plan:#?}");
}
