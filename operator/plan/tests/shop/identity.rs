//! How pods get the credentials of their role, and how that changes while they run.

use serde_json::{Value, json};
use shopkeeper_api::OrderService;
use shopkeeper_plan::{
    allowed::Allowed,
    aws::{AwsKind, AwsResource},
    facts::OidcProvider,
    failure::Class,
    kubernetes::KubernetesKind,
    plan::{Action, Effect},
    planner::DeletionPolicy,
    resolve::{ComponentIdentity, Resolve},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, lost, read, references, typed, want, want_on},
    remarks::{message, report_of},
    world::World,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/octank-eu-west-1-shop-orders";
const TOLD: &str = "shopkeeper.dev/identity";

fn orders(identity: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["identity"] = identity;
    object
}

fn mode(mode: &str) -> Value {
    orders(json!({"type": mode}))
}

fn existing(mode: &str) -> Value {
    let role = "arn:aws:iam::123456789012:role/brought-along";
    orders(json!({"type": "Existing", "existing": {"roleArn": role, "mode": mode}}))
}

/// The role that the ServiceAccount names.
fn account(world: &World) -> Value {
    let key = ResourceKey::kubernetes(KubernetesKind::ServiceAccount, "orders");
    world.kubernetes[&key].body["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].clone()
}

/// What the pods were told.
fn told(world: &World) -> Value {
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    let body = world.kubernetes.get(&key).map(|object| &object.body);
    body.map(|body| body["spec"]["template"]["metadata"]["annotations"][TOLD].clone())
        .unwrap_or_default()
}

fn has_association(world: &World) -> bool {
    world
        .aws
        .values()
        .any(|thing| thing.present.resource.kind() == AwsKind::PodIdentityAssociation)
}

/// The actions by which the role can be assumed, in order.
fn ways(world: &World) -> Vec<String> {
    let role = &world.aws[&ResourceKey::aws(AwsKind::IamRole, "octank-eu-west-1-shop-orders")];
    let AwsResource::IamRole(role) = &role.present.resource else {
        panic!("no role");
    };
    let statements = role.trust_policy["Statement"].as_array().unwrap();
    let mut ways: Vec<String> = statements
        .iter()
        .map(|statement| match &statement["Action"] {
            Value::String(_) => "token".to_owned(),
            _ => "association".to_owned(),
        })
        .collect();
    ways.sort();
    ways
}

/// Gives a settled world another specification.
fn edited(from: &Value, to: &Value) -> World {
    let mut world = World::settled(want("octank", from));
    world.wanted = want("octank", to);
    world
}

#[test]
fn a_role_is_trusted_through_the_issuer_of_the_cluster_alone() {
    let world = World::settled(want("octank", &mode("IRSA")));
    assert_eq!(account(&world), ROLE);
    assert_eq!(told(&world), ROLE);
    assert!(!has_association(&world));
    let role = &world.aws[&ResourceKey::aws(AwsKind::IamRole, "octank-eu-west-1-shop-orders")];
    let AwsResource::IamRole(role) = &role.present.resource else {
        panic!("no role");
    };
    let issuer = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
    assert_eq!(
        role.trust_policy,
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{issuer}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {
                format!("{issuer}:aud"): "sts.amazonaws.com",
                format!("{issuer}:sub"): "system:serviceaccount:shop:orders",
            }},
        }]})
    );
}

#[test]
fn pods_that_were_never_told_are_not_replaced_to_tell_them_the_default() {
    for identity in ["PodIdentity", "None"] {
        let world = World::settled(want("octank", &mode(identity)));
        assert_eq!(told(&world), Value::Null, "{identity}");
        assert_eq!(account(&world), Value::Null, "{identity}");
    }
}

/// Passes until nothing moves. At no time are there pods that could not get credentials when they ask again.
fn switch(world: &mut World) -> Vec<(String, Effect)> {
    let mut effects = Vec::new();
    for _ in 0..60 {
        let told_before = told(world);
        let plan = world.pass();
        for step in plan.steps.iter().filter(|step| step.is_free()) {
            if step.action != Action::Wait {
                effects.push((step.key.to_string(), step.effect));
            }
        }
        let way = if told_before == ROLE {
            "token"
        } else {
            "association"
        };
        assert!(
            ways(world).iter().any(|other| other == way),
            "pods that get credentials by {way} run, and the role is open to {:?}: {:#?}",
            ways(world),
            world.log
        );
        if told(world) == ROLE && told_before != ROLE {
            assert!(
                !has_association(world),
                "EKS would prefer the association: {:#?}",
                world.log
            );
            assert_eq!(account(world), ROLE);
        }
        if told(world) == "PodIdentity" {
            assert!(has_association(world), "{:#?}", world.log);
        }
        if !world.tick() && plan.is_empty() {
            return effects;
        }
    }
    panic!("it moves for ever: {:#?}", world.log);
}

fn rolled(effects: &[(String, Effect)]) -> usize {
    effects
        .iter()
        .filter(|(key, effect)| key == "Deployment orders" && *effect == Effect::Rolling)
        .count()
}

#[test]
fn from_associations_to_tokens_in_order_and_with_nothing_left() {
    for policy in [DeletionPolicy::Snapshot, DeletionPolicy::Retain] {
        let mut world = edited(&mode("PodIdentity"), &mode("IRSA"));
        world.policies.deletion = policy;
        let effects = switch(&mut world);
        assert_eq!(rolled(&effects), 1, "{effects:#?}");
        assert!(world.at("update IamRole") < world.at("delete PodIdentityAssociation"));
        assert!(world.at("apply ServiceAccount") < world.at("delete PodIdentityAssociation"));
        assert!(world.at("delete PodIdentityAssociation") < world.at("apply Deployment"));
        assert_eq!(told(&world), ROLE);
        assert_eq!(ways(&world), ["token"]);
        assert!(!has_association(&world), "{policy:?}");
    }
}

#[test]
fn pods_that_get_no_credentials_by_associations_do_not_keep_them_there() {
    let mut world = edited(&mode("PodIdentity"), &mode("IRSA"));
    world.pods_fail = true;
    while world.tick() {}
    world.run();
    assert!(!has_association(&world), "{:#?}", world.log);
    assert_eq!(told(&world), ROLE);
}

#[test]
fn and_back() {
    let mut world = edited(&mode("IRSA"), &mode("PodIdentity"));
    let effects = switch(&mut world);
    assert_eq!(rolled(&effects), 1, "{effects:#?}");
    assert!(world.at("create PodIdentityAssociation") < world.at("apply Deployment"));
    assert!(
        world.at("apply Deployment") < world.at("apply ServiceAccount"),
        "pods that run on tokens need the name of the role until they are gone"
    );
    assert_eq!(account(&world), Value::Null);
    assert_eq!(told(&world), "PodIdentity");
    assert_eq!(ways(&world), ["association"]);
    // A rollout for another reason opens nothing again.
    let mut object = mode("PodIdentity");
    object["spec"]["workload"]["image"] = json!("registry.example/orders:next");
    world.wanted = want("octank", &object);
    world.log.clear();
    assert!(world.run().is_empty());
    assert_eq!(world.log, ["apply Deployment/orders"]);
}

#[test]
fn a_change_that_is_taken_back_half_way_leaves_nothing() {
    let mut world = edited(&mode("PodIdentity"), &mode("IRSA"));
    world.pass();
    assert_eq!(ways(&world), ["association", "token"]);
    world.wanted = want("octank", &mode("PodIdentity"));
    assert!(world.run().is_empty());
    assert_eq!(ways(&world), ["association"]);
    assert_eq!(
        told(&world),
        Value::Null,
        "the pods were never told otherwise"
    );
    assert_eq!(account(&world), Value::Null);
    assert!(has_association(&world));
}

#[test]
fn of_a_role_that_is_brought_along() {
    let role = "arn:aws:iam::123456789012:role/brought-along";
    let world = World::settled(want("octank", &existing("IRSA")));
    assert_eq!(account(&world), role);
    assert_eq!(told(&world), role);
    assert!(!has_association(&world));
    // From a role of ours, which goes once no pod uses it any more.
    let mut world = edited(&mode("PodIdentity"), &existing("IRSA"));
    assert!(world.run().is_empty());
    assert!(world.at("apply Deployment") < world.at("delete IamRole/octank-eu-west-1-shop-orders"));
    assert_eq!(told(&world), role);
}

#[test]
fn roles_that_a_workload_may_not_bring_along_are_refused() {
    let resolve = |role: &str, mode: &str, allowed: Option<&[&str]>| {
        let identity = json!({"type": "Existing", "existing": {"roleArn": role, "mode": mode}});
        let mut platform = facts("octank");
        platform.allowed_roles = Allowed::of(
            allowed.map(|allowed| allowed.iter().map(|role| (*role).to_owned()).collect()),
        );
        typed::<OrderService>(&orders(identity))
            .resolve(&platform, &references("octank"))
            .and_then(|resolved| match resolved.components[0].identity.clone() {
                ComponentIdentity::Existing {
                    unlisted: Some(failure),
                    ..
                } => Err(failure),
                _ => Ok(()),
            })
    };
    let of_account = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    // The operator's own: who has it may do to the account whatever the operator may. STS tells its name and not its path.
    for mode in ["PodIdentity", "IRSA"] {
        for own in ["shopkeeper", "platform/shopkeeper", "Shopkeeper"] {
            let refusal = resolve(&of_account(own), mode, None).unwrap_err();
            assert_eq!(refusal.class, Class::Invalid);
            let told = refusal.describe();
            for part in [
                "spec.identity.existing.roleArn",
                own,
                "the operator itself",
                "To do: ",
            ] {
                assert!(told.contains(part), "{told}");
            }
        }
    }
    for other in ["shopkeeper-orders", "not-shopkeeper", "shopkeeper/orders"] {
        assert_eq!(resolve(&of_account(other), "PodIdentity", None), Ok(()));
    }
    let elsewhere = "arn:aws:iam::999999999999:role/shopkeeper";
    let told = resolve(elsewhere, "IRSA", None).unwrap_err().describe();
    for part in [
        "spec.identity.existing.roleArn",
        "of another account than Platform octank, which is 123456789012",
        "spec.identity.allowedRoles",
    ] {
        assert!(told.contains(part), "{told}");
    }
    for listed in [elsewhere, "arn:aws:iam::999999999999:role/*"] {
        assert_eq!(resolve(elsewhere, "IRSA", Some(&[listed])), Ok(()));
    }
    let of_china = "arn:aws-cn:iam::123456789012:role/orders";
    assert!(
        resolve(of_china, "IRSA", None).is_err(),
        "another partition"
    );

    let allowed = [
        "arn:aws:iam::123456789012:role/orders",
        "arn:aws:iam::*:role/shop/*-reader",
    ];
    for (role, is_allowed) in [
        ("orders", true),
        ("shop/eu/stock-reader", true),
        ("orders-admin", false),
        ("shop/stock-writer", false),
        ("shop/stock-reader-admin", false),
        ("admin/shop/stock-reader", false),
    ] {
        let answer = resolve(&of_account(role), "PodIdentity", Some(&allowed));
        assert_eq!(answer.is_ok(), is_allowed, "{role}: {answer:?}");
        if let Err(refusal) = answer {
            let told = refusal.describe();
            for part in [
                "spec.identity.existing.roleArn",
                role,
                "Platform octank",
                "spec.identity.allowedRoles",
            ] {
                assert!(told.contains(part), "{told}");
            }
        }
    }
    assert!(resolve(&of_account("orders"), "PodIdentity", Some(&[])).is_err());
}

/// Any role of another account could be named before it had to be listed.
#[test]
fn pods_that_have_the_role_of_another_account_keep_it_and_others_do_not_get_it() {
    const ELSEWHERE: &str = "arn:aws:iam::999999999999:role/orders";
    for mode in ["PodIdentity", "IRSA"] {
        let identity =
            |role: &str| json!({"type": "Existing", "existing": {"roleArn": role, "mode": mode}});
        let given = |world: &World| {
            let association = world
                .aws
                .values()
                .find_map(|thing| match &thing.present.resource {
                    AwsResource::PodIdentityAssociation(association) => {
                        Some(association.role_arn.clone())
                    }
                    _ => None,
                });
            association.or_else(|| account(world).as_str().map(str::to_owned))
        };
        let mut listed = facts("octank");
        listed.allowed_roles = Allowed::of(Some(vec!["arn:aws:iam::999999999999:role/*".into()]));
        let elsewhere = orders(identity(ELSEWHERE));

        let mut world = World::settled(want_on(&listed, &elsewhere));
        assert_eq!(given(&world).as_deref(), Some(ELSEWHERE));
        world.wanted = want("octank", &elsewhere);
        assert!(world.run().is_empty(), "{mode}");
        assert_eq!(given(&world).as_deref(), Some(ELSEWHERE));
        let report = report_of(&world);
        assert!(report.ready);
        let told = message(&report, "WorkloadReady");
        assert!(told.starts_with("True "), "{told}");
        for part in [
            "spec.identity.existing.roleArn",
            "of another account than Platform octank",
            "the pods have it, and keep it. To do: ",
            "spec.identity.allowedRoles",
        ] {
            assert!(told.contains(part), "{told}");
        }
        // What is in order goes on beside it.
        let mut image = elsewhere.clone();
        image["spec"]["workload"]["image"] = json!("registry.example/orders:9");
        world.wanted = want("octank", &image);
        assert!(world.run().is_empty());
        assert!(
            world
                .log
                .iter()
                .any(|line| line == "apply Deployment/orders"),
            "{:?}",
            world.log
        );

        // Pods that have another keep that.
        let own = "arn:aws:iam::123456789012:role/brought-along";
        let mut world = World::settled(want("octank", &orders(identity(own))));
        world.wanted = want("octank", &elsewhere);
        world.run();
        assert_eq!(given(&world).as_deref(), Some(own));
        let refused = message(&report_of(&world), "Ready");
        assert!(
            refused.starts_with("False ")
                && refused.contains("of another account than Platform octank"),
            "{refused}"
        );
        // New pods get none.
        let mut world = World::new(want("octank", &elsewhere));
        world.run();
        assert_eq!(given(&world), None);
        let deployment = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
        assert!(!world.kubernetes.contains_key(&deployment));
        assert!(
            world.at("create RdsInstance") < world.log.len(),
            "{:?}",
            world.log
        );
    }
}

#[test]
fn a_provider_that_is_missing_is_told_with_what_to_do() {
    let refused = |state, object: &Value| {
        let mut platform = facts("octank");
        platform.oidc_provider = state;
        typed::<OrderService>(object)
            .resolve(&platform, &references("octank"))
            .map(|resolved| lost(&resolved))
            .unwrap()
            .map_or(Ok(()), Err)
    };
    let missing = refused(Some(OidcProvider::Missing), &mode("IRSA")).unwrap_err();
    assert_eq!(missing.class, Class::NotReady);
    let told = missing.describe();
    for part in [
        "spec.identity.type: IAM has no OIDC provider for https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
        "eksctl utils associate-iam-oidc-provider --cluster octank-prod --approve",
        "shopkeeper.dev/reconcile-requested-at",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let audience = refused(Some(OidcProvider::WrongAudience), &existing("IRSA")).unwrap_err();
    assert!(
        audience.message.contains("spec.identity.existing.mode")
            && audience.message.contains("sts.amazonaws.com"),
        "{audience}"
    );
    // Where the operator may not look, AWS says it.
    assert!(refused(None, &mode("IRSA")).is_ok());
    assert!(refused(Some(OidcProvider::Missing), &mode("PodIdentity")).is_ok());
}
