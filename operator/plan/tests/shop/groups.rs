//! Storefronts that share a load balancer: what of it they have to agree on, who waits for whom, and what moving in and out does.

use serde_json::{Value, json};
use shopkeeper_api::Storefront;
use shopkeeper_plan::{
    claims::Standing,
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    observed::Observed,
    plan::{Blocker, Effect},
    planner::ChangePolicy,
    resolve::{GroupMember, References, Resolve, groups},
    resource::ResourceKey,
};

use crate::{
    fixture::{Wanted, facts, read, references, typed, wanted},
    world::World,
};

const PREFIX: &str = "alb.ingress.kubernetes.io";

/// A Storefront with a host of its own, in the groups `shop` and `staff`.
fn storefront(name: &str, more: Value) -> Value {
    let mut object = read("octank", "storefront");
    object["metadata"]["name"] = json!(name);
    object["metadata"]["uid"] = json!(format!("{name}-uid"));
    object["metadata"]["creationTimestamp"] = json!("2026-11-24T10:00:00Z");
    let spec = object["spec"].as_object_mut().unwrap();
    spec.insert("hosts".into(), json!([format!("{name}.example")]));
    spec.insert("routes".into(), json!([{"path": "/", "frontend": "web"}]));
    spec.insert("loadBalancerGroups".into(), json!({"public": "shop"}));
    spec.extend(more.as_object().unwrap().clone());
    object
}

/// The public member that a Storefront has of `shop`.
fn member(object: &Value, is_inside: bool) -> GroupMember {
    let storefront: Storefront = typed(object);
    GroupMember {
        standing: Standing::of(&storefront),
        membership: groups::memberships(&storefront).remove(0),
        is_inside,
    }
}

fn among(object: &Value, others: &[GroupMember]) -> Wanted {
    let references = References {
        group_members: others.to_vec(),
        ..references("octank")
    };
    let storefront: Storefront = typed(object);
    wanted(storefront.resolve(&facts("octank"), &references).unwrap())
}

fn ingress(name: &str) -> ResourceKey {
    ResourceKey::kubernetes(KubernetesKind::Ingress, name)
}

/// Why the Ingress of a Storefront that is not there yet, or is as `found` says, is not written.
fn refusal(object: &Value, others: &[GroupMember], found: Option<&World>) -> Option<Failure> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let observed = found.map_or_else(Observed::default, World::observe);
    let blueprint = (among(object, others).blueprint)(&observed);
    match &blueprint.get(&ingress(name)).unwrap().wanted {
        shopkeeper_plan::blueprint::Wanted::Held(failure) => Some(failure.clone()),
        _ => None,
    }
}

fn annotations(world: &World, name: &str) -> Value {
    world.kubernetes[&ingress(name)].body["metadata"]["annotations"].clone()
}

#[test]
fn the_members_are_named_to_the_controller_and_have_no_owner_in_their_tags() {
    let mut groups = json!({"public": "shop", "internal": "staff", "order": 20});
    let world = World::settled(among(
        &storefront("one", json!({"loadBalancerGroups": groups})),
        &[],
    ));
    let tags = "cost-center=shop,shopkeeper.dev/cluster=arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod";
    for (name, group) in [("one", "shop"), ("one-back-office", "staff")] {
        let found = annotations(&world, name);
        assert_eq!(found[format!("{PREFIX}/group.name")], group);
        assert_eq!(found[format!("{PREFIX}/group.order")], "20");
        assert_eq!(found[format!("{PREFIX}/tags")], tags);
    }
    groups = json!({"internal": "staff"});
    let world = World::settled(among(
        &storefront("one", json!({"loadBalancerGroups": groups})),
        &[],
    ));
    let found = annotations(&world, "one");
    assert!(found[format!("{PREFIX}/group.name")].is_null());
    let tags = found[format!("{PREFIX}/tags")].as_str().unwrap();
    assert!(
        tags.contains("shopkeeper.dev/owner=Storefront/shop/one"),
        "{tags}"
    );
    let found = annotations(&world, "one-back-office");
    assert_eq!(found[format!("{PREFIX}/group.name")], "staff");
    assert!(found[format!("{PREFIX}/group.order")].is_null());
}

#[test]
fn what_a_newcomer_says_otherwise_of_the_load_balancer_keeps_it_out() {
    let acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/a1";
    let there = [member(&storefront("one", json!({})), true)];
    assert_eq!(refusal(&storefront("two", json!({})), &there, None), None);
    for (more, field, says) in [
        (
            json!({"loadBalancer": {"idleTimeoutSeconds": 120}}),
            "spec.loadBalancer.idleTimeoutSeconds",
            "makes it 120, and Storefront shop/one, with which it shares the load balancer of group shop, has 60",
        ),
        (
            json!({"loadBalancer": {"deletionProtection": "Enabled"}}),
            "spec.loadBalancer.deletionProtection",
            "makes it true",
        ),
        (
            json!({"loadBalancer": {"attributes": {"routing.http.drop_invalid_header_fields.enabled": "false"}}}),
            "spec.loadBalancer.attributes[routing.http.drop_invalid_header_fields.enabled]",
            "makes it false",
        ),
        (
            json!({"loadBalancer": {"wafAclArn": acl}}),
            "spec.loadBalancer.wafAclArn",
            "has none",
        ),
        (
            json!({"tls": {"type": "None"}}),
            "spec.tls.type",
            "makes it plain HTTP",
        ),
        (
            json!({"tls": {"type": "Discovered", "policy": "ELBSecurityPolicy-TLS13-1-3-2021-06"}}),
            "spec.tls.policy",
            "has ELBSecurityPolicy-TLS13-1-2-2021-06",
        ),
    ] {
        let failure = refusal(&storefront("two", more), &there, None).unwrap();
        assert_eq!(failure.class, Class::Invalid);
        let told = failure.describe();
        assert!(told.starts_with(&format!("{field}: ")), "{told}");
        assert!(told.contains(says), "{told}");
        assert!(
            told.contains("let both say the same, or choose another group"),
            "{told}"
        );
    }
    // Each one's own: how long the pods that end get answers through, and which certificates there are.
    let own = json!({"loadBalancer": {"deregistrationDelaySeconds": 5}, "tls": {"type": "Existing", "existing": {
        "certificateArns": ["arn:aws:acm:eu-west-1:123456789012:certificate/1"],
    }}});
    assert_eq!(refusal(&storefront("two", own), &there, None), None);
    // Somebody else's internal group of that name.
    let staff = json!({"loadBalancerGroups": {"internal": "shop"}});
    let of_staff = storefront("staff", staff);
    let told = refusal(
        &storefront("two", json!({})),
        &[member(&of_staff, true)],
        None,
    )
    .unwrap();
    assert_eq!(
        told.describe().split(':').next(),
        Some("spec.loadBalancerGroups.public")
    );
    // On another Platform there are other subnets and tags.
    let mut elsewhere = storefront("far", json!({"platformRef": {"name": "other"}}));
    let near = storefront("two", json!({"platformRef": {"name": "octank"}}));
    let told = refusal(&near, &[member(&elsewhere, true)], None).unwrap();
    assert!(
        told.describe()
            .starts_with("spec.platformRef: makes it octank"),
        "{told}"
    );
    elsewhere["spec"]["platformRef"]["name"] = json!("octank");
    assert_eq!(refusal(&near, &[member(&elsewhere, true)], None), None);
}

/// Of two that come at the same time the older one gets in; nobody who is in is stopped by somebody who is not.
#[test]
fn a_newcomer_stops_nobody_and_whoever_changes_waits_for_the_others() {
    let slow = json!({"loadBalancer": {"idleTimeoutSeconds": 120}});
    let one = storefront("one", json!({}));
    let mut two = storefront("two", slow.clone());
    two["metadata"]["creationTimestamp"] = json!("2026-11-24T11:00:00Z");
    assert_eq!(refusal(&one, &[member(&two, false)], None), None);
    assert!(refusal(&two, &[member(&one, false)], None).is_some());
    assert!(refusal(&one, &[member(&two, true)], None).is_some());

    let world = World::settled(among(&one, &[]));
    // What is wrong already is somebody else's, and its own routes still change nothing.
    assert_eq!(refusal(&one, &[member(&two, true)], Some(&world)), None);
    let edited = storefront("one", slow);
    let same = [member(&storefront("two", json!({})), true)];
    assert!(refusal(&edited, &same, Some(&world)).is_some());
    let outside = [member(&storefront("two", json!({})), false)];
    assert_eq!(refusal(&edited, &outside, Some(&world)), None);
    // Once both have been edited, both go on.
    assert_eq!(refusal(&edited, &[member(&two, true)], Some(&world)), None);
}

#[test]
fn a_rule_that_is_never_reached_is_told() {
    let any = |path: &str, order: Value| {
        let mut object = storefront(
            "any",
            json!({"hosts": ["*.example"], "routes": [{"path": path, "frontend": "web"}]}),
        );
        object["spec"]["loadBalancerGroups"]["order"] = order;
        object
    };
    let one = storefront("one", json!({}));
    let catches = |any: &Value| refusal(any, &[member(&one, true)], None).map(|it| it.describe());
    let told = catches(&any("/", Value::Null)).unwrap();
    assert_eq!(
        told,
        "spec.routes[/]: takes all requests of spec.routes[/] of Storefront shop/one, with which it shares the load balancer of group shop. \
         To do: give this Storefront a higher spec.loadBalancerGroups.order, or hosts"
    );
    assert_eq!(catches(&any("/", json!(5))), None, "it comes last");
    assert_eq!(catches(&any("/sale", Value::Null)), None, "it takes a part");
    let told = refusal(&one, &[member(&any("/", Value::Null), true)], None).unwrap();
    assert!(
        told.message
            .contains("is never reached behind spec.routes[/]"),
        "{told}"
    );
    let twin = storefront("two", json!({"hosts": ["one.example"]}));
    let told = refusal(&twin, &[member(&one, true)], None).unwrap();
    assert!(
        told.message
            .contains("matches the same requests as spec.routes[/]"),
        "{told}"
    );
    let exact = json!({"hosts": ["one.example"], "routes": [{"path": "/items", "pathType": "Exact", "frontend": "web"}]});
    let told = refusal(&storefront("two", exact), &[member(&one, true)], None).unwrap();
    assert!(told.message.contains("is never reached behind"), "{told}");
}

#[test]
fn the_limits_of_a_load_balancer_are_those_of_all_its_members() {
    let routes = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|index| json!({"path": format!("/p{index}"), "frontend": "web"}))
            .collect()
    };
    let one = member(&storefront("one", json!({"routes": routes(60)})), true);
    let fits = storefront("two", json!({"routes": routes(40)}));
    assert_eq!(refusal(&fits, std::slice::from_ref(&one), None), None);
    let two = storefront("two", json!({"routes": routes(41)}));
    assert_eq!(
        refusal(&two, &[one], None).unwrap().describe(),
        "spec.routes: 41 rules, and 60 of the other members of group shop, are 101, and an Application Load Balancer takes 100. To do: \
         choose another group in spec.loadBalancerGroups for one of them"
    );
    let certified = |name: &str, from: usize, count: usize| {
        let arns: Vec<String> = (from..from + count)
            .map(|index| format!("arn:aws:acm:eu-west-1:123456789012:certificate/{index}"))
            .collect();
        storefront(
            name,
            json!({"tls": {"type": "Existing", "existing": {"certificateArns": arns}}}),
        )
    };
    let one = [member(&certified("one", 0, 20), true)];
    assert_eq!(refusal(&certified("two", 14, 12), &one, None), None);
    let told = refusal(&certified("two", 20, 7), &one, None).unwrap();
    assert!(
        told.describe()
            .starts_with("spec.tls.existing.certificateArns: "),
        "{told}"
    );
}

/// Two internal frontends of one Storefront that are told apart by nothing.
#[test]
fn frontends_of_one_storefront_need_hosts_to_share_a_load_balancer() {
    let mut object = storefront("one", json!({"loadBalancerGroups": {"internal": "staff"}}));
    let mut second = object["spec"]["frontends"][1].clone();
    second["name"] = json!("reports");
    object["spec"]["frontends"]
        .as_array_mut()
        .unwrap()
        .push(second);
    let resolve = |object: &Value| {
        typed::<Storefront>(object).resolve(&facts("octank"), &references("octank"))
    };
    object["spec"]["frontends"][1]
        .as_object_mut()
        .unwrap()
        .remove("hosts");
    object["spec"]["frontends"][2]
        .as_object_mut()
        .unwrap()
        .remove("hosts");
    let failure = resolve(&object).unwrap_err();
    assert!(
        failure.describe().starts_with("spec.frontends[reports].hosts: matches the same requests as spec.frontends[back-office].hosts"),
        "{failure}"
    );
    object["spec"]["frontends"][2]["hosts"] = json!(["reports.example"]);
    let failure = resolve(&object).unwrap_err();
    assert!(failure.message.contains("plain HTTP"), "{failure}");
    object["spec"]["frontends"][1]["hosts"] = json!(["office.example"]);
    resolve(&object).unwrap();
}

#[test]
fn another_load_balancer_is_an_interruption_that_waits() {
    let alone = |groups: Value| {
        let mut object = storefront("one", json!({}));
        object["spec"]["loadBalancerGroups"] = groups;
        among(&object, &[])
    };
    for (from, to, field, values) in [
        (
            Value::Null,
            json!({"public": "shop"}),
            "metadata.annotations.alb.ingress.kubernetes.io/group.name",
            ("none", "shop"),
        ),
        (
            json!({"public": "shop"}),
            json!({"public": "sale"}),
            "metadata.annotations.alb.ingress.kubernetes.io/group.name",
            ("shop", "sale"),
        ),
        (
            json!({"public": "shop"}),
            Value::Null,
            "metadata.annotations[alb.ingress.kubernetes.io/group.name]",
            ("shop", "none"),
        ),
    ] {
        let mut world = World::settled(alone(from));
        world.policies.changes = ChangePolicy::ApproveDisruptive;
        world.wanted = alone(to);
        let plan = world.plan();
        let step = plan
            .steps
            .iter()
            .find(|step| step.key == ingress("one"))
            .unwrap();
        assert_eq!(
            (step.effect, step.is_repair),
            (Effect::Downtime, false),
            "{step:?}"
        );
        assert!(step.blocked_by.contains(&Blocker::Approval), "{step:?}");
        let change = &step.changes[0];
        assert_eq!(change.field, field, "it is told first");
        assert_eq!(
            (change.effect, change.to.as_str()),
            (Effect::Downtime, values.1)
        );
        assert_eq!(change.from, values.0);
    }
    // The place among the members moves nothing.
    let mut world = World::settled(alone(json!({"public": "shop"})));
    world.policies.changes = ChangePolicy::ApproveDisruptive;
    world.wanted = alone(json!({"public": "shop", "order": 7}));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.steps[0].effect), (1, Effect::None));
    assert!(plan.steps[0].blocked_by.is_empty());
    // What somebody else moved may have been opened to the internet: it goes back at once.
    let mut world = World::settled(alone(Value::Null));
    world.policies.changes = ChangePolicy::ApproveDisruptive;
    let found = world
        .kubernetes
        .get_mut(&ingress("one-back-office"))
        .unwrap();
    found.body["metadata"]["annotations"][format!("{PREFIX}/scheme")] = json!("internet-facing");
    let plan = world.plan();
    assert_eq!(
        (plan.steps[0].effect, plan.steps[0].is_repair),
        (Effect::None, true)
    );
    assert!(plan.steps[0].blocked_by.is_empty(), "{:?}", plan.steps[0]);
}
