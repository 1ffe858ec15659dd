//! Pods on Fargate: what is made for them, and how they get there and away without an interruption.

use serde_json::{Value, json};
use shopkeeper_api::OrderService;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, FargateProfile, IamRole},
    facts::OidcProvider,
    failure::Class,
    kubernetes::KubernetesKind,
    observed::Lifecycle,
    plan::{Action, Effect, Operation},
    quota::Quotas,
    resolve::{Resolve, fargate::FARGATE_LABEL},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, lost, read, references, typed, want},
    world::World,
};

fn orders(nodes: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["nodes"] = nodes;
    object["spec"].as_object_mut().unwrap().remove("identity");
    object["spec"]["workload"]
        .as_object_mut()
        .unwrap()
        .remove("nodeSelector");
    object
}

fn on_fargate() -> Value {
    orders(json!({"type": "Fargate"}))
}

fn within(subnet: &str) -> Value {
    orders(json!({"type": "Fargate", "fargate": {"subnets": [subnet]}}))
}

fn profile(world: &World) -> FargateProfile {
    let key = world.key(AwsKind::FargateProfile, "");
    match &world.aws[&key].present.resource {
        AwsResource::FargateProfile(profile) => profile.clone(),
        _ => unreachable!(),
    }
}

fn role(world: &World, name: &str) -> IamRole {
    match &world.aws[&ResourceKey::aws(AwsKind::IamRole, name)]
        .present
        .resource
    {
        AwsResource::IamRole(role) => role.clone(),
        _ => unreachable!(),
    }
}

fn pods(world: &World) -> Value {
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    world.kubernetes[&key].body["spec"]["template"].clone()
}

fn refusal(object: &Value) -> String {
    let refused = typed::<OrderService>(object).resolve(&facts("octank"), &references("octank"));
    refused.unwrap_err().describe()
}

#[test]
fn a_profile_takes_the_pods_by_its_own_name() {
    let world = World::settled(want("octank", &on_fargate()));
    let profile = profile(&world);
    assert!(
        profile.name.starts_with("octank-shop-orders-"),
        "{}",
        profile.name
    );
    assert_eq!(
        json!(profile.selectors),
        json!([{"namespace": "shop", "labels": {FARGATE_LABEL: profile.name}}])
    );
    assert_eq!(
        json!(profile.subnets),
        json!(["subnet-private-a", "subnet-private-b"])
    );
    let role = role(&world, "octank-eu-west-1-shop-orders-fargate");
    assert!(profile.pod_execution_role_arn.ends_with(&role.name));
    assert_eq!(
        json!(role.managed_policy_arns),
        json!(["arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy"])
    );
    assert_eq!(
        role.trust_policy["Statement"][0],
        json!({
            "Effect": "Allow",
            "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnLike": {
                "aws:SourceArn": "arn:aws:eks:eu-west-1:123456789012:fargateprofile/octank-prod/*",
            }},
        })
    );
    let pods = pods(&world);
    assert_eq!(
        pods["metadata"]["labels"][FARGATE_LABEL],
        json!(profile.name)
    );
    for member in ["nodeSelector", "tolerations", "schedulerName"] {
        assert_eq!(pods["spec"].get(member), None, "{member}");
    }
    assert!(
        !world.kinds().contains(&"PodIdentityAssociation"),
        "{:?}",
        world.kinds()
    );
}

#[test]
fn another_profile_comes_first_then_the_pods_move_then_the_old_one_goes() {
    let mut world = World::settled(want("octank", &on_fargate()));
    let old = world.key(AwsKind::FargateProfile, "");
    world.log.clear();
    world.wanted = want("octank", &within("subnet-private-a"));
    let first = world.plan();
    let leftover = first.steps.iter().find(|step| step.key == old).unwrap();
    assert_eq!(
        (leftover.action, leftover.effect, leftover.is_free()),
        (Action::Replace, Effect::Rolling, false)
    );
    assert!(world.run().is_empty());
    assert_ne!(world.key(AwsKind::FargateProfile, ""), old);
    assert!(world.at("create FargateProfile") < world.at("apply Deployment"));
    assert!(world.at("apply Deployment") < world.at("delete FargateProfile"));
    assert!(!world.inventory.contains_key(&old));
}

#[test]
fn a_profile_does_not_go_before_its_last_pod() {
    let mut world = World::settled(want("octank", &on_fargate()));
    let old = world.key(AwsKind::FargateProfile, "");
    world.wanted = want("octank", &within("subnet-private-a"));
    while !world.plan().free_steps().any(|step| step.key == old) {
        world.pass();
        world.tick();
    }
    world.pods.insert(old.name.clone(), 1);
    let step_now = |world: &World| {
        let plan = world.plan();
        plan.steps.into_iter().find(|step| step.key == old).unwrap()
    };
    let step = step_now(&world);
    assert!(matches!(step.operation, Operation::DrainNodes), "{step:#?}");
    world.ending.insert(old.name.clone(), 1);
    let step = step_now(&world);
    assert!(matches!(step.operation, Operation::Wait), "{step:#?}");
}

#[test]
fn pods_move_between_nodes_and_fargate_and_the_old_place_goes_last() {
    let nodes = orders(json!({"type": "NodeGroup"}));
    let mut world = World::settled(want("octank", &nodes));
    world.log.clear();
    world.wanted = want("octank", &on_fargate());
    let plan = world.plan();
    let group = world.key(AwsKind::NodeGroup, "");
    let leftover = plan.steps.iter().find(|step| step.key == group).unwrap();
    assert_eq!(
        (leftover.action, leftover.effect),
        (Action::Replace, Effect::Rolling),
        "another place for the same pods replaces it"
    );
    assert!(world.run().is_empty());
    assert!(world.at("create FargateProfile") < world.at("apply Deployment"));
    assert!(
        world.at("delete PodIdentityAssociation") < world.at("apply Deployment"),
        "new pods would be told of an agent that Fargate has not: {:#?}",
        world.log
    );
    assert!(world.at("apply Deployment") < world.at("delete NodeGroup"));
    assert_eq!(
        world
            .log
            .iter()
            .filter(|line| line.starts_with("apply Deployment"))
            .count(),
        1,
        "the pods are replaced once: {:#?}",
        world.log
    );

    world.log.clear();
    world.wanted = want("octank", &nodes);
    assert!(world.run().is_empty());
    assert!(world.at("create NodeGroup") < world.at("apply Deployment"));
    assert!(world.at("apply Deployment") < world.at("delete FargateProfile"));
    assert!(!world.kinds().contains(&"FargateProfile"));
}

#[test]
fn a_profile_that_eks_gave_up_on_is_made_again_once() {
    let mut world = World::settled(want("octank", &on_fargate()));
    let key = world.key(AwsKind::FargateProfile, "");
    let present = &mut world.aws.get_mut(&key).unwrap().present;
    present.lifecycle = Lifecycle::Failed("AccessDenied".into());
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    assert_eq!(step.action, Action::Replace);
    assert!(matches!(step.operation, Operation::AwsDelete { .. }));
}

#[test]
fn the_quota_is_known_before_aws_refuses() {
    let mut world = World::settled(want("octank", &orders(json!({"type": "NodeGroup"}))));
    world.wanted = want("octank", &on_fargate());
    world.quotas.fargate_profiles = Some(10);
    world.quotas.allowed = Some(Quotas::default());
    let plan = world.plan();
    let refused = plan
        .steps
        .iter()
        .any(|step| format!("{:?}", step.blocked_by).contains("L-33415657"));
    assert!(refused, "{plan:#?}");
}

#[test]
fn an_identity_that_does_not_reach_fargate_is_refused() {
    let mut object = on_fargate();
    object["spec"]["identity"] = json!({"type": "PodIdentity"});
    assert!(
        refusal(&object).contains("spec.identity.type"),
        "{}",
        refusal(&object)
    );
    let role = "arn:aws:iam::123456789012:role/brought-along";
    object["spec"]["identity"] = json!({"type": "Existing", "existing": {"roleArn": role}});
    assert!(refusal(&object).contains("spec.identity.existing.mode"));
    let mut platform = facts("octank");
    platform.oidc_provider = Some(OidcProvider::Missing);
    let resolved = typed::<OrderService>(&on_fargate()).resolve(&platform, &references("octank"));
    let missing = lost(&resolved.unwrap()).unwrap();
    assert_eq!(missing.class, Class::NotReady);
    assert!(missing.message.contains("spec.nodes.type"), "{missing}");
}

#[test]
fn what_fargate_cannot_do_is_refused_with_its_field() {
    let mut object = on_fargate();
    object["spec"]["workload"]["podTemplatePatch"] = json!({"spec": {"hostNetwork": true}});
    let told = refusal(&object);
    assert!(
        told.contains("spec.workload") && told.contains("hostNetwork"),
        "{told}"
    );
    let told = refusal(&within("subnet-public-a"));
    assert!(
        told.contains("spec.nodes.fargate.subnets") && told.contains("subnet-private-a"),
        "{told}"
    );
}

/// What is said of the pods of a custom resource on which everything is ready.
fn told(object: &Value) -> String {
    let world = World::settled(want("octank", object));
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let remarks = blueprint.remarks().iter();
    remarks.map(|remark| remark.text.as_str()).collect()
}

#[test]
fn who_lets_in_some_alone_is_told_that_no_policy_is_enforced() {
    let text =
        "spec.nodes.type: EKS enforces no NetworkPolicy for pods on Fargate, so that not only";
    let mut object = on_fargate();
    let by_callers = told(&object);
    assert!(
        by_callers.contains(&format!("{text} spec.callers but all of the VPC")),
        "{by_callers}"
    );
    assert!(
        by_callers.contains("set spec.network.securityGroupIds"),
        "{by_callers}"
    );
    object["spec"]["network"] = json!({"securityGroupIds": ["sg-0123"]});
    assert!(
        !told(&object).contains(text),
        "who has groups is let in by them"
    );

    object["spec"]["callers"] = json!([]);
    object["spec"]["network"] = json!({});
    assert!(
        !told(&object).contains(text),
        "nobody in particular is meant"
    );
    for (network, field) in [
        (
            json!({"service": {"type": "LoadBalancer"}}),
            "spec.network.service",
        ),
        (
            json!({"exposures": [{"name": "partners", "type": "Ingress", "ingress": {}}]}),
            "spec.network.exposures[partners]",
        ),
    ] {
        object["spec"]["network"] = network;
        let told = told(&object);
        assert!(told.contains(&format!("{text} {field} but")), "{told}");
    }
    let mut elsewhere = orders(json!({"type": "NodeGroup"}));
    elsewhere["spec"]["network"] = json!({});
    assert!(!told(&elsewhere).contains(text));
}

#[test]
fn ports_at_nodes_are_refused() {
    let with = |network: Value| {
        let mut object = on_fargate();
        object["spec"]["network"] = network;
        typed::<OrderService>(&object)
            .resolve(&facts("octank"), &references("octank"))
            .map(drop)
    };
    let exposed = |service: Value| json!({"exposures": [{"name": "nodes", "type": "Service", "service": service}]});
    let pinned = json!({"type": "LoadBalancer", "nodePorts": {"http": 30080}});
    for (network, field) in [
        (
            json!({"service": {"type": "NodePort"}}),
            "spec.network.service:",
        ),
        (json!({"service": pinned}), "spec.network.service:"),
        (
            exposed(json!({"type": "NodePort"})),
            "spec.network.exposures[nodes].service:",
        ),
        (
            exposed(pinned.clone()),
            "spec.network.exposures[nodes].service:",
        ),
    ] {
        let refused = with(network).unwrap_err();
        assert!(refused.message.starts_with(field), "{refused}");
        assert!(
            refused.remedy.contains("ClusterIP or LoadBalancer"),
            "{refused}"
        );
    }
    for service in [
        json!({"type": "ClusterIP"}),
        json!({"type": "LoadBalancer"}),
    ] {
        assert_eq!(with(exposed(service)), Ok(()));
    }
}
