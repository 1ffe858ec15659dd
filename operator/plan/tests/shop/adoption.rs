//! Resources that exist already: whose they are, and what each policy makes of them.

use serde_json::json;
use shopkeeper_plan::{
    allowed::Allowed,
    aws::{AwsKind, AwsResource, PointInTimeRecovery},
    blueprint::Wanted,
    failure::{Class, Failure},
    names::{CLUSTER_TAG, OWNER_TAG, OWNER_UID_TAG},
    plan::{Action, Blocker, Operation},
    planner::{AdoptionPolicy, ChangePolicy},
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want, without},
    world::{Thing, World, as_reported},
};

const MAIN: [&str; 3] = [OWNER_TAG, CLUSTER_TAG, OWNER_UID_TAG];
/// The cluster of the example, and one of that name in another region.
const CLUSTER: &str = "arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod";
const ELSEWHERE: &str = "arn:aws:eks:us-east-1:123456789012:cluster/octank-prod";

/// A world with nothing in it but the catalog's table, with these tags of ours.
fn with_table(tags: [Option<&str>; 3]) -> (World, ResourceKey) {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    let draft = world.draft();
    let (key, node) = draft
        .iter()
        .find(|(key, _)| key.kind.id() == "DynamoDbTable")
        .unwrap();
    let Wanted::Aws(desired) = &node.wanted else {
        unreachable!()
    };
    let mut found = as_reported(desired);
    for (name, value) in MAIN.iter().zip(tags) {
        found.tags_mut().remove(*name);
        if let Some(value) = value {
            found
                .tags_mut()
                .insert((*name).to_owned(), value.to_owned());
        }
    }
    world.aws.insert(key.clone(), Thing::new(found));
    (world, key.clone())
}

#[test]
fn each_policy_takes_over_what_it_says_and_nothing_else() {
    use AdoptionPolicy::{Adopt, IfTagged, Never};
    let path = "CatalogService/shop/catalog";
    let (ours, before, other, cluster) = (
        "octank-catalog-uid",
        "earlier-uid",
        "CatalogService/other/catalog",
        CLUSTER,
    );
    let table = [
        (
            "ours",
            [Some(path), Some(cluster), Some(ours)],
            [Some("none"), Some("none"), Some("none")],
        ),
        (
            "of an earlier one of this name",
            [Some(path), Some(cluster), Some(before)],
            [None, Some("adopt"), Some("adopt")],
        ),
        (
            "tagged by hand",
            [Some(path), Some(cluster), None],
            [None, Some("adopt"), Some("adopt")],
        ),
        (
            "of the same name in another cluster",
            [Some(path), Some("other"), Some(before)],
            [None, None, None],
        ),
        (
            "of the same name in a cluster of the same name in another region",
            [Some(path), Some(ELSEWHERE), Some(before)],
            [None, None, None],
        ),
        (
            "of another one",
            [Some(other), Some(cluster), Some(before)],
            [None, None, None],
        ),
        (
            "of one whose name was taken off",
            [None, Some(cluster), Some(before)],
            [None, None, None],
        ),
        ("of nobody", [None, None, None], [None, None, Some("adopt")]),
    ];
    for (what, tags, expected) in table {
        for (policy, expected) in [Never, IfTagged, Adopt].into_iter().zip(expected) {
            let (mut world, key) = with_table(tags);
            world.policies.adoption = policy;
            let plan = world.plan();
            let steps: Vec<_> = plan.steps.iter().filter(|step| step.key == key).collect();
            match (expected, steps.as_slice()) {
                (Some("none"), []) => {}
                (Some("adopt"), [step]) => {
                    assert!(
                        step.is_free() && step.action == Action::Adopt,
                        "{what} under {policy:?}: {step:#?}"
                    );
                    world.run();
                    assert!(world.plan().is_empty(), "{what} under {policy:?}");
                    assert_eq!(world.aws[&key].present.tags()[OWNER_UID_TAG], ours);
                    assert!(world.inventory.contains_key(&key));
                    assert!(
                        !world
                            .log
                            .iter()
                            .any(|line| line.starts_with("create DynamoDbTable"))
                    );
                }
                (None, [step]) => {
                    assert!(
                        !step.is_free() && step.action == Action::Adopt,
                        "{what} under {policy:?}: {step:#?}"
                    );
                    let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
                        panic!("{step:#?}")
                    };
                    assert_eq!(failure.code.as_deref(), Some("NotOurs"));
                    assert!(!failure.remedy.is_empty(), "{what} under {policy:?}");
                }
                (expected, steps) => {
                    panic!("{what} under {policy:?}: {expected:?} and not {steps:#?}")
                }
            }
        }
    }
}

#[test]
fn a_platform_bounds_what_may_be_taken_over() {
    let path = "CatalogService/shop/catalog";
    let nobody = [None, None, None];
    let tagged = [Some(path), Some(CLUSTER), None];
    let table = [
        ("*", nobody, true),
        ("octank-shop-*", nobody, true),
        ("legacy-*", nobody, false),
        // Who may tag it in AWS needs no leave of the Platform.
        ("legacy-*", tagged, true),
    ];
    for (pattern, tags, expected) in table {
        let (mut world, key) = with_table(tags);
        world.policies.adoption = AdoptionPolicy::Adopt;
        world.adoptable = Allowed::of(Some(vec![pattern.to_owned()]));
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == key).unwrap();
        assert_eq!(step.is_free(), expected, "{pattern} {tags:?}: {step:#?}");
        if !expected {
            let Blocker::Refused(failure) = &step.blocked_by[0] else {
                panic!("{step:#?}")
            };
            let told = failure.describe();
            assert!(told.contains("spec.adoption.allowedNames"), "{told}");
        }
    }
}

#[test]
fn remedies_are_such_that_they_help() {
    let remedy = |tags, policy| {
        let (mut world, key) = with_table(tags);
        world.policies.adoption = policy;
        let step = world
            .plan()
            .steps
            .into_iter()
            .find(|step| step.key == key)
            .unwrap();
        let Blocker::Refused(failure) = &step.blocked_by[0] else {
            unreachable!()
        };
        failure.remedy.clone()
    };
    let path = "CatalogService/shop/catalog";
    let earlier = remedy(
        [Some(path), Some(CLUSTER), Some("earlier-uid")],
        AdoptionPolicy::Never,
    );
    assert!(earlier.contains("policy.adoption to IfTagged"), "{earlier}");
    let nobody = remedy([None, None, None], AdoptionPolicy::IfTagged);
    assert!(
        nobody.contains("policy.adoption to Adopt")
            && nobody.contains(&format!("{OWNER_TAG}={path}"))
            && nobody.contains(&format!("{CLUSTER_TAG}={CLUSTER}")),
        "{nobody}"
    );
    let other = remedy(
        [
            Some("CatalogService/other/catalog"),
            Some(CLUSTER),
            Some("x"),
        ],
        AdoptionPolicy::Adopt,
    );
    assert!(other.contains("another name"), "{other}");
}

#[test]
fn what_belongs_to_somebody_else_is_never_touched_by_any_policy_or_by_the_end_of_its_namesake() {
    for deleting in [false, true] {
        for adoption in [
            AdoptionPolicy::Never,
            AdoptionPolicy::IfTagged,
            AdoptionPolicy::Adopt,
        ] {
            let mut world = World::settled(want("octank", &read("octank", "orders")));
            world.policies.adoption = adoption;
            world.policies.deletion = shopkeeper_plan::planner::DeletionPolicy::Delete;
            world.deleting = deleting;
            world.pods.clear();
            for thing in world.aws.values_mut() {
                let tags = thing.present.resource.tags_mut();
                if !tags.is_empty() {
                    tags.insert(OWNER_TAG.into(), "OrderService/other/orders".into());
                    tags.insert(OWNER_UID_TAG.into(), "other-uid".into());
                }
            }
            for object in world.kubernetes.values_mut() {
                object.ours = false;
            }
            // Neither with the inventory that it has, nor with one that was lost.
            for inventory in [world.inventory.clone(), Default::default()] {
                world.inventory = inventory;
                let plan = world.plan();
                let touched: Vec<_> = plan
                    .free_steps()
                    .filter(|step| !matches!(step.operation, Operation::LeaveBehind(_)))
                    .collect();
                assert!(touched.is_empty(), "{deleting} {adoption:?}: {touched:#?}");
            }
        }
    }
}

#[test]
fn a_foreign_object_in_kubernetes_is_refused_with_a_remedy() {
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    let key = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Service,
        "catalog",
    );
    world.kubernetes.get_mut(&key).unwrap().ours = false;
    let plan = world.pass();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    let Blocker::Refused(failure) = &step.blocked_by[0] else {
        panic!("{step:#?}")
    };
    assert!(failure.message.contains("Service catalog") && failure.remedy.contains("another name"));
    assert_eq!(world.log, Vec::<String>::new());
}

#[test]
fn the_remedy_for_a_foreign_secret_of_a_binding_names_the_field() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let key = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Secret,
        "orders-database",
    );
    world.kubernetes.get_mut(&key).unwrap().ours = false;
    let remedy = refusal(&world, &key).remedy;
    assert!(
        remedy.starts_with("give the binding another secretName, or delete"),
        "{remedy}"
    );
}

#[test]
fn what_is_on_its_way_out_is_not_adopted() {
    let (mut world, key) = with_table([None, None, None]);
    world.policies.adoption = AdoptionPolicy::Adopt;
    world.thing(&key).present.lifecycle = shopkeeper_plan::observed::Lifecycle::Deleting;
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    assert_eq!(step.action, Action::Wait);
    world.aws.remove(&key);
    assert!(world.run().is_empty());
    assert_eq!(world.key(AwsKind::DynamoDbTable, ""), key);
}

#[test]
fn what_is_taken_over_is_not_taken_for_empty() {
    let (mut world, key) = with_table([None, None, None]);
    let mut object = read("octank", "catalog");
    object["spec"]["products"]["recoveryPeriodDays"] = json!(7);
    world.wanted = want("octank", &object);
    world.policies.adoption = AdoptionPolicy::Adopt;
    world.policies.changes = ChangePolicy::ApproveDisruptive;
    let thing = world.thing(&key);
    // As DynamoDB says of a table that was filled in the last hours.
    thing.present.empty = Some(true);
    let AwsResource::DynamoDbTable(table) = &mut thing.present.resource else {
        unreachable!()
    };
    let longer = PointInTimeRecovery {
        enabled: true,
        days: Some(35),
    };
    table.point_in_time_recovery = longer;
    let plan = world.run();
    let shorter = |step: &&shopkeeper_plan::plan::Step| {
        step.key == key && step.blocked_by.contains(&Blocker::Approval)
    };
    assert!(plan.steps.iter().any(|step| shorter(&step)), "{plan:#?}");
    let AwsResource::DynamoDbTable(table) = &world.thing(&key).present.resource else {
        unreachable!()
    };
    assert_eq!(table.point_in_time_recovery, longer);
}

/// The orders, whose database lost these tags.
fn database_without(tags: &[&str]) -> (World, ResourceKey) {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let key = world.key(AwsKind::RdsInstance, "");
    for tag in tags {
        world.thing(&key).present.resource.tags_mut().remove(*tag);
    }
    (world, key)
}

fn refusal(world: &World, key: &ResourceKey) -> Failure {
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == *key);
    match step.map(|step| step.blocked_by.as_slice()) {
        Some([Blocker::Refused(failure)]) => failure.clone(),
        _ => panic!("{plan:#?}"),
    }
}

#[test]
fn a_resource_that_lost_its_tags_is_refused_with_a_remedy() {
    let (world, key) = database_without(&[OWNER_TAG, OWNER_UID_TAG, CLUSTER_TAG]);
    let failure = refusal(&world, &key);
    assert_eq!(failure.code.as_deref(), Some("NotOurs"));
    assert!(failure.message.contains("lost the tag"), "{failure}");
    assert!(failure.remedy.contains("or tag it"), "{}", failure.remedy);

    // The uid alone is put back.
    let (mut world, key) = database_without(&[OWNER_UID_TAG]);
    assert!(world.run().is_empty());
    assert!(world.aws[&key].present.tags().contains_key(OWNER_UID_TAG));
}

#[test]
fn a_resource_that_lost_its_tags_is_left_behind_with_a_word() {
    let (mut world, key) = database_without(&[OWNER_TAG, OWNER_UID_TAG]);
    world.deleting = true;
    world.policies.deletion = shopkeeper_plan::planner::DeletionPolicy::Delete;
    let last = world.run();
    let why = |key: &ResourceKey| {
        let step = last.steps.iter().find(|step| step.key == *key);
        match step.map(|step| &step.operation) {
            Some(Operation::LeaveBehind(failure)) => failure,
            _ => panic!("{last:#?}"),
        }
    };
    let needed = why(&ResourceKey::aws(AwsKind::RdsSubnetGroup, key.name.clone()));
    assert!(needed.message.contains("may need it"), "{needed:?}");
    let failure = why(&key);
    assert!(
        failure.to_string().contains(OWNER_UID_TAG) && failure.remedy.contains("RDS instance"),
        "{failure:?}"
    );
    assert!(world.aws.contains_key(&key));

    // The same where it goes from the specification.
    let (mut world, key) = database_without(&[OWNER_TAG, OWNER_UID_TAG]);
    let mut object = read("octank", "orders");
    without(&mut object, "/spec/database");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
    world.wanted = want("octank", &object);
    world.policies.changes = shopkeeper_plan::planner::ChangePolicy::Automatic;
    let entry = format!("leave RdsInstance/{}", key.name);
    for _ in 0..50 {
        world.pass();
        world.tick();
    }
    assert_eq!(world.log.iter().filter(|line| **line == entry).count(), 1);
    assert!(world.aws.contains_key(&key) && !world.inventory.contains_key(&key));
}

#[test]
fn pods_get_no_rights_to_what_belongs_to_others() {
    let named = |world: &World, key: &ResourceKey| {
        let draft = (world.wanted.blueprint)(&world.observe());
        let role = draft
            .iter()
            .find_map(|(_, node)| match &node.wanted {
                Wanted::Aws(desired) => match &**desired {
                    AwsResource::IamRole(role) if !role.inline_policies.is_empty() => {
                        Some(role.clone())
                    }
                    _ => None,
                },
                _ => None,
            })
            .expect("the cache's user and the bucket are ours to make");
        json!(role.inline_policies)
            .to_string()
            .contains(&format!("table/{}", key.name))
    };
    let ours = Some("octank-catalog-uid");
    let path = Some("CatalogService/shop/catalog");
    let (world, key) = with_table([path, Some(CLUSTER), ours]);
    assert!(named(&world, &key));
    for tags in [
        [
            Some("CatalogService/other/catalog"),
            Some(CLUSTER),
            Some("other-uid"),
        ],
        [None, None, None],
        // Of an earlier one of this name, before it is adopted: no pod has the right yet.
        [path, Some(CLUSTER), Some("earlier-uid")],
    ] {
        let (mut world, key) = with_table(tags);
        assert!(!named(&world, &key), "{tags:?}");
        world.aws.remove(&key);
        assert!(named(&world, &key), "it is ours to make");
    }

    // Where AWS does not tell, and after a restore, pods keep what they have.
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    let silent = Failure::new(Class::Throttled, "slow down");
    world.unknown.insert(key.clone(), silent);
    assert!(named(&world, &key));
    world.unknown.clear();
    let tags = world.thing(&key).present.resource.tags_mut();
    tags.insert(OWNER_UID_TAG.to_owned(), "earlier-uid".to_owned());
    assert!(named(&world, &key));
    // Somebody has replaced its tags by others.
    let tags = world.thing(&key).present.resource.tags_mut();
    tags.retain(|tag, _| !tag.starts_with("shopkeeper.dev/"));
    assert!(named(&world, &key));
    let tags = world.thing(&key).present.resource.tags_mut();
    tags.insert(
        OWNER_TAG.to_owned(),
        "CatalogService/other/catalog".to_owned(),
    );
    assert!(!named(&world, &key));
}

#[test]
fn a_role_waits_for_word_of_what_it_would_open() {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    let draft = world.draft();
    let table = draft
        .keys()
        .find(|key| key.kind.id() == "DynamoDbTable")
        .unwrap()
        .clone();
    let silent = Failure::new(Class::Transient, "no answer");
    world.unknown.insert(table, silent);
    world.pass();
    let role = "create IamRole/octank-eu-west-1-shop-catalog";
    let made = |world: &World| world.log.iter().any(|entry| entry == role);
    assert!(!made(&world), "{:?}", world.log);
    world.unknown.clear();
    world.pass();
    assert!(made(&world), "{:?}", world.log);
}
