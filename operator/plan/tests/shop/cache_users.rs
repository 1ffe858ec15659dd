//! Users of a cache: how they are made, how a running cache gets them and loses them, and what pods hear of it.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, CacheAuthentication},
    blueprint::Wanted,
    difference,
    plan::{Action, Blocker, Effect, Plan},
    planner::{ChangePolicy, DeletionPolicy},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want, without},
    world::World,
};

const CACHE: &str = "octank-shop-catalog";
const USER: &str = "octank-shop-catalog-app";

/// The catalog with these users of its cache; without any, its pods connect as they did before there were users.
fn catalog(users: &Value) -> Value {
    let mut object = read("octank", "catalog");
    object["spec"]["cache"]["users"] = users.clone();
    if users == &json!([]) {
        without(&mut object, "/spec/cache/users");
    } else if users.as_array().unwrap().len() > 1 {
        object["spec"]["cache"]["applicationUser"] = json!("app");
    }
    object
}

fn password() -> Value {
    json!([{"name": "app", "authentication": "Password"}])
}

fn about_to(from: &Value, to: &Value) -> World {
    let mut world = World::settled(want("octank", &catalog(from)));
    world.wanted = want("octank", &catalog(to));
    world
}

fn changed(plan: &Plan) -> Vec<(String, Effect, bool)> {
    plan.steps
        .iter()
        .filter(|step| !step.changes.is_empty() && step.key.kind.id().starts_with("Cache"))
        .map(|step| {
            (
                format!("{} {}", step.key.kind.id(), step.changes[0].field),
                step.effect,
                step.blocked_by.contains(&Blocker::Approval),
            )
        })
        .collect()
}

/// What the pods are given, as it stands in the cluster.
fn binding(world: &World) -> Value {
    let key = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Secret,
        "catalog-cache",
    );
    world.kubernetes[&key].body["data"].clone()
}

#[test]
fn they_are_made_from_the_password_to_the_pods() {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    assert!(world.run().is_empty());
    let secret = format!("create SecretsManagerSecret/shopkeeper/elasticache/{USER}");
    let user = format!("create CacheUser/{USER}");
    let group = format!("create CacheUserGroup/{CACHE}");
    let order = [
        &secret,
        &user,
        &group,
        "create CacheReplicationGroup",
        "apply Secret/catalog-cache",
        "apply Deployment",
    ];
    let places: Vec<usize> = order.iter().map(|entry| world.at(entry)).collect();
    assert!(places.is_sorted(), "{:#?}", world.log);
    // Who does not authenticate may do nothing, and there is no password of theirs to be kept.
    let nobody = world.key(AwsKind::CacheUser, "-default");
    let AwsResource::CacheUser(nobody) = &world.thing(&nobody).present.resource else {
        unreachable!()
    };
    assert_eq!(
        (nobody.user_name.as_str(), nobody.access_string.as_str()),
        ("default", "off -@all")
    );
    assert_eq!(
        (nobody.authentication, nobody.password_current),
        (CacheAuthentication::Password, None)
    );
    let given = binding(&world);
    for entry in ["username", "password", "uri", "host", "port", "cacheName"] {
        assert!(given[entry].is_string(), "{entry}: {given}");
    }
}

#[test]
fn a_running_cache_gets_its_first_users_with_leave_and_its_pods_not_before() {
    let mut world = about_to(&json!([]), &password());
    let pods = world.kubernetes.clone();
    let before = binding(&world);
    let plan = world.run();
    assert_eq!(
        changed(&plan),
        [(
            "CacheReplicationGroup userGroup".to_owned(),
            Effect::Downtime,
            true
        )]
    );
    assert_eq!(
        before,
        binding(&world),
        "no password that the cache would refuse"
    );
    assert_eq!(pods, world.kubernetes);
    // All that has no effect is there already.
    world.at("create CacheUserGroup");

    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    assert!(world.at("update CacheReplicationGroup") < world.at("apply Secret/catalog-cache"));
    assert!(world.at("update CacheReplicationGroup") < world.at("apply Deployment"));
    assert!(binding(&world)["password"].is_string());
}

#[test]
fn the_last_user_leaves_a_running_cache_with_leave_and_then_all_that_was_for_users() {
    let mut world = about_to(&password(), &json!([]));
    let plan = world.run();
    assert!(
        binding(&world)["password"].is_string(),
        "the cache asks for it"
    );
    assert!(world.log.is_empty(), "{:#?}", world.log);
    // Down to the secret, which waits for the user, which waits for the group, which waits for the cache.
    for step in &plan.steps {
        assert!(plan.waits_for_a_person(step), "{step:#?}");
    }
    world.approved = plan.approval_hash();
    assert!(world.run_approving().is_empty());
    let order = [
        "update CacheReplicationGroup",
        "apply Deployment",
        "save and delete CacheUserGroup",
        "save and delete CacheUser/",
        "save and delete SecretsManagerSecret",
    ];
    let places: Vec<usize> = order.iter().map(|entry| world.at(entry)).collect();
    assert!(places.is_sorted(), "{:#?}", world.log);
    for kind in ["CacheUser", "CacheUserGroup", "SecretsManagerSecret"] {
        assert!(!world.kinds().contains(&kind), "{kind}");
    }
}

#[test]
fn a_user_more_or_less_is_a_matter_of_the_group() {
    let both = json!([{"name": "app", "authentication": "Password"}, {"name": "reports", "accessString": "on ~* -@all +@read"}]);
    let mut world = about_to(&password(), &both);
    let pods = world.kubernetes.clone();
    assert!(world.run().is_empty());
    assert!(
        world.at("create CacheUser/octank-shop-catalog-reports")
            < world.at("update CacheUserGroup")
    );
    assert_eq!(pods, world.kubernetes, "it is nothing to the pods");

    world.log.clear();
    world.wanted = want("octank", &catalog(&password()));
    assert!(world.run().is_empty());
    let gone = "save and delete CacheUser/octank-shop-catalog-reports";
    assert!(
        world.at("update CacheUserGroup") < world.at(gone),
        "{:#?}",
        world.log
    );
}

#[test]
fn another_way_to_authenticate_waits_and_the_pods_with_it() {
    let iam = json!([{"name": "app", "authentication": "IAM"}]);
    let mut world = about_to(&password(), &iam);
    let before = binding(&world);
    let plan = world.run();
    assert_eq!(
        changed(&plan),
        [(
            "CacheUser authentication".to_owned(),
            Effect::Downtime,
            true
        )]
    );
    assert_eq!(before, binding(&world));

    // The example reads the password in its `uri`, of which there is none then: the address alone is left.
    world.policies.changes = ChangePolicy::Automatic;
    assert!(world.run().is_empty());
    assert!(world.at("update CacheUser") < world.at("save and delete SecretsManagerSecret"));
    assert!(binding(&world)["username"].is_string());
}

#[test]
fn a_password_in_place_of_iam_waits_as_a_whole() {
    let iam = json!([{"name": "app", "authentication": "IAM"}]);
    let mut world = about_to(&iam, &password());
    let plan = world.run();
    assert_eq!(
        changed(&plan),
        [(
            "CacheUser authentication".to_owned(),
            Effect::Downtime,
            true
        )]
    );
    assert!(
        world.log.iter().all(|line| !line.starts_with("update")),
        "{:#?}",
        world.log
    );
    assert!(binding(&world).get("password").is_none());
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    assert!(binding(&world)["password"].is_string());
}

/// Both fields are one call of ElastiCache: the harmless one must not bring the other with it.
#[test]
fn whether_a_password_is_current_does_not_run_ahead_of_how_a_user_authenticates() {
    let iam = json!([{"name": "app", "authentication": "IAM"}]);
    for seen in [None, Some(false)] {
        let mut world = about_to(&iam, &password());
        let key = world.key(AwsKind::CacheUser, USER);
        let AwsResource::CacheUser(user) = &mut world.thing(&key).present.resource else {
            unreachable!()
        };
        user.password_current = seen;
        let plan = world.plan();
        assert!(
            plan.steps
                .iter()
                .filter(|step| step.key == key && step.action == Action::Update)
                .all(|step| step.blocked_by.contains(&Blocker::Approval)),
            "{:#?}",
            plan.steps
        );
    }
}

#[test]
fn a_password_that_was_rotated_is_taken_over_by_user_and_pods_in_turn() {
    let mut world = World::settled(want("octank", &catalog(&password())));
    let key = world.key(AwsKind::CacheUser, USER);
    let AwsResource::CacheUser(user) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    user.password_current = Some(false);
    world.thing(&key).present.outputs = crate::world::outputs(&world.aws[&key].present.resource);
    let before = binding(&world);
    let plan = world.plan();
    assert_eq!(
        changed(&plan),
        [("CacheUser passwordCurrent".to_owned(), Effect::None, false)]
    );
    world.execute(&plan);
    assert_eq!(binding(&world), before, "it is not taken away meanwhile");
    assert!(world.run().is_empty());
}

#[test]
fn a_user_group_that_somebody_attached_is_left_alone_where_no_users_are_declared() {
    let mut world = World::settled(want("octank", &catalog(&json!([]))));
    let key = world.key(AwsKind::CacheReplicationGroup, CACHE);
    let AwsResource::CacheReplicationGroup(group) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    group.other_user_group = Some("others".into());
    assert!(world.plan().is_empty());

    let mut world = World::settled(want("octank", &catalog(&password())));
    let key = world.key(AwsKind::CacheReplicationGroup, CACHE);
    let desired = world.thing(&key).present.resource.clone();
    let AwsResource::CacheReplicationGroup(group) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    group.user_group = None;
    group.other_user_group = Some("others".into());
    let differences = difference::aws(&desired, &world.aws[&key].present.resource);
    assert_eq!(differences[0].field.name, "userGroup");
    assert_eq!(differences.len(), 1);
}

#[test]
fn a_role_may_connect_as_the_user_of_its_workload_and_as_no_other() {
    let users = json!([{"name": "app"}, {"name": "reports"}]);
    let world = World::settled(want("octank", &catalog(&users)));
    let role = &world.aws[&ResourceKey::aws(AwsKind::IamRole, "octank-eu-west-1-shop-catalog")];
    let AwsResource::IamRole(role) = &role.present.resource else {
        unreachable!()
    };
    let statements = role.inline_policies["shopkeeper"]["Statement"]
        .as_array()
        .unwrap();
    let connect: Vec<&Value> = statements
        .iter()
        .filter(|statement| statement["Action"] == json!("elasticache:Connect"))
        .map(|statement| &statement["Resource"])
        .collect();
    let arn = |resource: &str| format!("arn:aws:elasticache:eu-west-1:123456789012:{resource}");
    assert_eq!(
        connect,
        [&json!([
            arn(&format!("replicationgroup:{CACHE}")),
            arn(&format!("user:{USER}"))
        ])]
    );
    assert!(!world.kinds().contains(&"SecretsManagerSecret"));
    let given = binding(&world);
    assert!(given["username"].is_string() && given.get("password").is_none());
    let of_pods = (world.wanted.blueprint)(&world.observe());
    assert!(
        of_pods
            .iter()
            .all(|(_, node)| !matches!(node.wanted, Wanted::Pending(_)))
    );
}

#[test]
fn what_is_for_users_stays_with_the_cache_under_retain_alone() {
    for (policy, stays) in [
        (DeletionPolicy::Retain, true),
        (DeletionPolicy::Snapshot, false),
        (DeletionPolicy::Delete, false),
    ] {
        let mut world = World::settled(want("octank", &catalog(&password())));
        world.policies.deletion = policy;
        world.deleting = true;
        world.run();
        for kind in [
            AwsKind::CacheReplicationGroup,
            AwsKind::CacheUserGroup,
            AwsKind::CacheUser,
            AwsKind::SecretsManagerSecret,
        ] {
            let is_there = world
                .aws
                .keys()
                .any(|key| key.kind == ResourceKind::Aws(kind));
            assert_eq!(is_there, stays, "{kind:?} under {policy:?}");
        }
    }
}
