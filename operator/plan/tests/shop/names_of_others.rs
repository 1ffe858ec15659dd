//! Names that objects of somebody else already have: they are told with their owner, and left alone.

use serde_json::{Value, json};
use shopkeeper_api::status::{condition, reason};
use shopkeeper_plan::{
    aws::AwsKind,
    blueprint::Wanted,
    failure::Class,
    kubernetes::KubernetesKind,
    observed::ObservedObject,
    plan::{Action, Blocker},
    report,
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want},
    world::World,
};

/// A world in which somebody else has an object that the catalog wants.
fn with_foreign(kind: KubernetesKind, name: &str, metadata: &Value) -> (World, ResourceKey) {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    let key = ResourceKey::kubernetes(kind, name);
    assert!(world.draft().get(&key).is_some(), "{key} is not wanted");
    let mut metadata = metadata.clone();
    metadata["name"] = json!(name);
    metadata["namespace"] = json!("shop");
    world.kubernetes.insert(
        key.clone(),
        ObservedObject {
            body: json!({
                "apiVersion": kind.api_version(), "kind": kind.id(), "metadata": metadata,
                "data": {"password": "c2VjcmV0LW9mLXNvbWVib2R5"},
            }),
            uid: "theirs".into(),
            ours: false,
        },
    );
    (world, key)
}

#[test]
fn an_object_of_somebody_else_is_told_with_its_owner_and_left_alone() {
    let of_orders = json!({"ownerReferences": [
        {"apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService", "name": "catalog", "uid": "other", "controller": true},
    ]});
    let of_chart = json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}});
    let table = [
        (
            &of_orders,
            "belongs to OrderService/shop/catalog",
            "delete the other one",
        ),
        (&of_chart, "is managed by Helm", "delete that object"),
        (
            &json!({}),
            "belongs to no custom resource",
            "delete that object",
        ),
    ];
    for (metadata, whose, remedy) in table {
        for (kind, name) in [
            (KubernetesKind::Service, "catalog"),
            (KubernetesKind::Secret, "catalog-products"),
        ] {
            let (mut world, key) = with_foreign(kind, name, metadata);
            world.run();
            let plan = world.plan();
            let step = plan.steps.iter().find(|step| step.key == key).unwrap();
            let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
                panic!("{step:?}");
            };
            assert_eq!(failure.class, Class::Invalid);
            assert_eq!(failure.code.as_deref(), Some("NotOurs"));
            let said = failure.describe();
            assert!(said.contains(whose) && said.contains(remedy), "{said}");
            let instead = match kind {
                KubernetesKind::Secret => "give the binding another secretName",
                _ => "give this custom resource another name",
            };
            assert!(said.contains(instead), "{said}");
            assert!(!said.contains("c2VjcmV0"), "{said}");
            assert_eq!(world.kubernetes[&key].uid, "theirs");
            let observed = world.observe();
            let blueprint = (world.wanted.blueprint)(&observed);
            let report = report::of_plan(&plan, &blueprint, &observed, false);
            let stalled = report
                .conditions
                .iter()
                .find(|it| it.r#type == condition::STALLED)
                .unwrap();
            assert_eq!(stalled.reason, reason::ADOPTION_REQUIRED);

            world.deleting = true;
            world.run();
            assert_eq!(
                world.kubernetes.keys().collect::<Vec<_>>(),
                [&key],
                "the deletion leaves it, and nothing else"
            );
        }
    }
}

#[test]
fn no_role_is_given_to_the_service_account_of_somebody_else() {
    let (mut world, account) = with_foreign(KubernetesKind::ServiceAccount, "catalog", &json!({}));
    world.run();
    let plan = world.plan();
    let association = plan
        .steps
        .iter()
        .find(|step| step.key.kind == ResourceKind::Aws(AwsKind::PodIdentityAssociation))
        .expect("it is planned");
    assert_eq!(association.action, Action::Create);
    assert_eq!(
        association.blocked_by,
        [Blocker::Resource(account.clone())],
        "{association:?}"
    );
    assert!(!world.log.iter().any(|line| line.contains("Association")));

    world.kubernetes.remove(&account);
    world.run();
    assert!(
        world.at("apply ServiceAccount/") < world.at("create PodIdentityAssociation/"),
        "{:#?}",
        world.log
    );
}

#[test]
fn an_existing_role_waits_for_the_service_account_too() {
    let mut object = read("octank", "catalog");
    object["spec"]["identity"] = json!({"type": "Existing", "existing": {"roleArn": "arn:aws:iam::123456789012:role/theirs"}});
    let world = World::new(want("octank", &object));
    let draft = world.draft();
    let (_, association) = draft
        .iter()
        .find(|(_, node)| matches!(&node.wanted, Wanted::Aws(it) if it.kind() == AwsKind::PodIdentityAssociation))
        .unwrap();
    let account = ResourceKey::kubernetes(KubernetesKind::ServiceAccount, "catalog");
    assert_eq!(association.depends_on, [account].into());
}
