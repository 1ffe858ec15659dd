//! Two clusters of one name in two regions of an account, made from the same manifests: what they make stays apart.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, OrderService, Storefront};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    blueprint::Wanted as Desired,
    facts::PlatformFacts,
    names::{CLUSTER_TAG, OWNER_TAG, OWNER_UID_TAG},
    plan::Blocker,
    planner::AdoptionPolicy,
    resolve::Resolve,
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{Wanted, facts, read, references, typed, wanted},
    world::{Thing, World, as_reported},
};

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// What is wanted for a custom resource on a Platform of the same name and with a cluster of the same name, in a region.
fn in_region(region: &str, object: &Value) -> Wanted {
    let facts = PlatformFacts {
        region: region.to_owned(),
        ..facts("octank")
    };
    let references = references("octank");
    // Each API server gives it a uid of its own.
    let mut object = object.clone();
    object["metadata"]["uid"] = json!(format!("{}-{region}", object["kind"]));
    let object = &object;
    let resolved = match object["kind"].as_str().unwrap() {
        "CatalogService" => typed::<CatalogService>(object).resolve(&facts, &references),
        "OrderService" => typed::<OrderService>(object).resolve(&facts, &references),
        "Storefront" => typed::<Storefront>(object).resolve(&facts, &references),
        other => panic!("no such kind: {other}"),
    };
    wanted(resolved.expect("it resolves"))
}

/// Whether AWS has a name of this kind once for several regions.
fn has_global_names(kind: AwsKind) -> bool {
    match kind {
        AwsKind::IamRole | AwsKind::S3Bucket => true,
        AwsKind::KmsKey
        | AwsKind::NodeGroup
        | AwsKind::FargateProfile
        | AwsKind::PodIdentityAssociation
        | AwsKind::DynamoDbTable
        | AwsKind::ScalableTarget
        | AwsKind::CacheSubnetGroup
        | AwsKind::CacheParameterGroup
        | AwsKind::CacheReplicationGroup
        | AwsKind::CacheUserGroup
        | AwsKind::CacheUser
        | AwsKind::SecretsManagerSecret
        | AwsKind::RdsSubnetGroup
        | AwsKind::RdsParameterGroup
        | AwsKind::RdsInstance
        | AwsKind::SnsTopic
        | AwsKind::SnsSubscription
        | AwsKind::SqsQueue => false,
    }
}

/// What is desired under global names.
fn global(world: &World) -> Vec<(ResourceKey, AwsResource)> {
    let draft = world.draft();
    draft
        .iter()
        .filter_map(|(key, node)| match (&key.kind, &node.wanted) {
            (ResourceKind::Aws(kind), Desired::Aws(desired)) if has_global_names(*kind) => {
                Some((key.clone(), (**desired).clone()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn names_that_are_global_are_not_shared() {
    let mut kinds = BTreeSet::new();
    for name in ["catalog", "orders", "storefront"] {
        let mut object = read("octank", name);
        for called in [json!("x"), json!("a-b"), json!("x".repeat(50))] {
            object["metadata"]["name"] = called;
            let [one, other] = REGIONS.map(|region| {
                let names = global(&World::new(in_region(region, &object)));
                names
                    .into_iter()
                    .map(|(key, _)| key)
                    .collect::<BTreeSet<_>>()
            });
            assert!(!one.is_empty() && one.len() == other.len(), "{name}");
            assert!(one.is_disjoint(&other), "{one:?} {other:?}");
            for key in one.iter().chain(&other) {
                assert!(key.name.len() <= 64, "{key}");
                kinds.insert(key.kind.id());
            }
            assert!(
                one.iter().all(|key| key.name.contains(REGIONS[0])),
                "{one:?}"
            );
        }
    }
    assert_eq!(kinds, ["IamRole", "S3Bucket"].into());
}

#[test]
fn what_the_other_region_made_is_foreign_under_every_policy() {
    for name in ["catalog", "orders", "storefront"] {
        let mut object = read("octank", name);
        if object["spec"]["media"].is_object() {
            // The region is in no name that a person wrote down.
            object["spec"]["media"]["bucketName"] = json!("octank-media");
        }
        let theirs = World::new(in_region(REGIONS[1], &object));
        let of_theirs = theirs.wanted.owner.tags(&theirs.wanted.cluster);
        for adoption in [
            AdoptionPolicy::Never,
            AdoptionPolicy::IfTagged,
            AdoptionPolicy::Adopt,
        ] {
            let mut world = World::new(in_region(REGIONS[0], &object));
            world.policies.adoption = adoption;
            // Under our own names, as if both had the same.
            let keys: Vec<_> = global(&world)
                .into_iter()
                .map(|(key, desired)| {
                    let mut found = as_reported(&desired);
                    found.tags_mut().extend(of_theirs.clone());
                    world.aws.insert(key.clone(), Thing::new(found));
                    key
                })
                .collect();
            assert!(!keys.is_empty(), "{name}");
            world.run();
            let plan = world.plan();
            for key in keys {
                let step = plan.steps.iter().find(|step| step.key == key).unwrap();
                let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
                    panic!("{name} under {adoption:?}: {step:#?}")
                };
                assert_eq!(failure.code.as_deref(), Some("NotOurs"));
                let said = failure.describe();
                let whose = format!("of EKS cluster {}", theirs.wanted.cluster);
                assert!(said.contains(&whose), "{said}");
                let tags = world.aws[&key].present.tags();
                for tag in [OWNER_TAG, OWNER_UID_TAG, CLUSTER_TAG] {
                    assert_eq!(tags[tag], of_theirs[tag], "{key} was written to");
                }
            }
        }
    }
}
