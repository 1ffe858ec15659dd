//! What has to hold whatever is declared, whatever is there, and whatever comes first. Each of them fails by a panic.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Managed, OrderService, Platform, Storefront};
use shopkeeper_plan::{
    aws::{AwsKind, Change},
    blueprint::Wanted,
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    observed::Observed,
    plan::{Blocker, Plan, Step},
    planner::ChangePolicy,
    resource::{ResourceKey, ResourceKind},
};
use shopkeeper_specifications::{Choices, Definitions};

use crate::{
    fixture::{self, resolved},
    fortunes::{Fortune, Found, fortunes, listed_otherwise, observed, policies},
    invariants,
    surroundings::{Surroundings, join_groups},
    world::{Thing, World, as_reported},
};

/// The shop whose examples are changed.
const SHOP: &str = "octank";

/// The definitions of all kinds.
pub static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::new);

/// One of the kinds.
#[must_use]
pub fn kind(choices: &mut Choices<'_>) -> &'static str {
    let kinds: Vec<&str> = DEFINITIONS.kinds().collect();
    choices.of(&kinds).expect("there are kinds")
}

/// Reads a custom resource as the operator does. What the schema lets in has to be readable: a deletion of what is not would be
/// missed.
fn assert_readable(object: &Value) {
    fn read<K: DeserializeOwned + Serialize>(object: &Value) {
        let read: K = serde_json::from_value(object.clone())
            .unwrap_or_else(|error| panic!("admitted and not readable: {error}\n{object:#}"));
        let again: Value = serde_json::to_value(&read).unwrap();
        let read_again: K = serde_json::from_value(again.clone()).unwrap();
        assert_eq!(again, serde_json::to_value(&read_again).unwrap());
    }
    match object["kind"].as_str().unwrap() {
        Platform::KIND => read::<Platform>(object),
        Storefront::KIND => read::<Storefront>(object),
        CatalogService::KIND => read::<CatalogService>(object),
        OrderService::KIND => read::<OrderService>(object),
        other => panic!("no such kind: {other}"),
    }
}

fn assert_says_what_to_do(failure: &Failure, object: &Value) {
    assert!(
        matches!(failure.class, Class::Invalid | Class::NotReady),
        "{failure:?}\n{object:#}"
    );
    assert!(
        failure.class != Class::Invalid || !failure.remedy.is_empty(),
        "refused without a remedy: {failure:?}\n{object:#}"
    );
}

/// Whether a plan is empty, but for what no AWS account would give and what names nothing that is there.
fn is_settled(plan: &Plan) -> bool {
    let is_refused = |step: &Step| {
        let mut blockers = step.blocked_by.iter();
        blockers.any(|blocker| matches!(blocker, Blocker::Refused(_) | Blocker::Missing(_)))
    };
    plan.is_empty() || plan.steps.iter().any(is_refused)
}

/// A custom resource that the API server may or may not admit. A Storefront is at times in groups of load balancers.
fn custom_resource(kind: &str, choices: &mut Choices<'_>) -> Value {
    let in_groups = kind == Storefront::KIND && choices.one_in(4);
    let mut object = DEFINITIONS.custom_resource(kind, choices);
    if in_groups {
        join_groups(&mut object);
    }
    object
}

/// Whatever is declared, valid or not, and whatever it refers to: it can be read, is resolved or refused with a reason, and gives the
/// same blueprint and plan again, also where what it refers to was listed in another order.
pub fn resolve(kind: &str, choices: &mut Choices<'_>) {
    let complete = !choices.one_in(2);
    let object = custom_resource(kind, choices);
    assert_readable(&object);
    let surroundings = if complete {
        Surroundings::complete(SHOP, &object)
    } else {
        Surroundings::any(&DEFINITIONS, &object, choices)
    };
    let others = [surroundings.clone(), surroundings.listed_otherwise()];
    let wanted = surroundings.resolve(&object);
    let nothing = Observed::default();
    for other in others {
        match (&wanted, other.resolve(&object)) {
            (Ok(wanted), Ok(again)) => {
                let (blueprint, same) = ((wanted.blueprint)(&nothing), (again.blueprint)(&nothing));
                assert_eq!(format!("{blueprint:?}"), format!("{same:?}"), "{object:#}");
                let world = World::new(again);
                assert_eq!(
                    json!(world.plan_for(&nothing, &blueprint)),
                    json!(world.plan_for(&nothing, &same))
                );
            }
            (Err(failure), Err(again)) => assert_eq!(*failure, again, "{object:#}"),
            (one, other) => panic!("{:?} and {:?}\n{object:#}", one.as_ref().err(), other.err()),
        }
    }
    if let Err(failure) = &wanted {
        assert_says_what_to_do(failure, &object);
    }
}

/// Whatever is admitted settles: the plan of what was carried out is empty.
pub fn settle(kind: &str, choices: &mut Choices<'_>) {
    let object = custom_resource(kind, choices);
    if let Some(world) = is_admitted(&object).then(|| settled(&object)).flatten() {
        let plan = world.plan();
        assert!(
            is_settled(&plan),
            "it does not settle: {plan:#?}\n{object:#}"
        );
    }
}

fn is_admitted(object: &Value) -> bool {
    DEFINITIONS.is_admitted(object["kind"].as_str().unwrap(), object)
}

/// The world of a custom resource, once nothing is done in it any more. `None` where it is refused.
fn settled(object: &Value) -> Option<World> {
    let mut world = World::new(resolved(SHOP, object).ok()?);
    world.run();
    Some(world)
}

/// A world that was settled under one specification and is now asked for another.
#[must_use]
pub fn between(before: &Value, after: &Value) -> Option<World> {
    let mut world = settled(before)?;
    if before["kind"] == after["kind"] {
        world.wanted = resolved(SHOP, after).ok()?;
    }
    Some(world)
}

/// Two custom resources of a kind: what was declared and admitted, and what is declared now. `None` where the first is not admitted.
#[must_use]
pub fn before_and_after(kind: &str, choices: &mut Choices<'_>) -> Option<(Value, Value)> {
    let before = custom_resource(kind, choices);
    is_admitted(&before).then(|| (before, custom_resource(kind, choices)))
}

/// Whatever is there: the plan keeps what every plan has to keep, is the same again, also where nodes and pods were listed in another
/// order, and does not ask again for what was approved.
pub fn plan(before: &Value, after: &Value, choices: &mut Choices<'_>) {
    let Some(mut world) = between(before, after) else {
        return;
    };
    let (observed, inventory) = observed(&world, &fortunes(choices));
    world.inventory = inventory;
    world.policies = policies(choices);
    world.deleting = choices.one_in(2);
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    invariants::scrutinise(&plan, &world.input(&observed, &blueprint));
    let otherwise = listed_otherwise(&observed);
    let same = (world.wanted.blueprint)(&otherwise);
    assert_eq!(
        plan,
        world.plan_for(&otherwise, &same),
        "the order in which nodes and pods are listed does not matter"
    );
    if choices.one_in(2) {
        world.approved = plan.approval_hash();
        let approved = world.plan_for(&observed, &blueprint);
        assert_eq!(
            approved.approval_hash(),
            None,
            "what was approved is not asked for again"
        );
    }
}

/// Where nothing is foreign, unknown or refused, any state of the world ends in what is wanted, and the plan is empty then. Gives that
/// plan, where it came to one.
pub fn converge(before: &Value, after: &Value, choices: &mut Choices<'_>) -> Option<Plan> {
    if !is_admitted(after) {
        return None;
    }
    let mut world = between(before, after)?;
    world.policies.changes = ChangePolicy::Automatic;
    meet(&mut world, &fortunes(choices));
    let blueprint = world.draft();
    let plan = world.run();
    assert!(is_settled(&plan), "{plan:#?}\n{before:#}\n{after:#}");
    if !plan.is_empty() {
        return Some(plan);
    }
    let observed = world.observe();
    assert_eq!(plan.unchanged, (world.wanted.blueprint)(&observed).len());
    for (key, thing) in &world.aws {
        assert!(
            blueprint.get(key).is_some()
                || thing.present.is_unconfirmed()
                || thing.present.empty == Some(false),
            "{key} is left behind"
        );
    }
    Some(plan)
}

/// Lets a settled world meet such of these fortunes as it gets over by itself.
fn meet(world: &mut World, fortunes: &[Fortune]) {
    let blueprint = world.draft();
    let keys: Vec<_> = world.aws.keys().cloned().collect();
    for (key, fortune) in keys.iter().zip(fortunes.iter().cycle()) {
        // What others rest on does not go by itself: AWS would not let it.
        let alone = !matches!(key.kind.teardown_stage(), 50..);
        if fortune.found == Found::Absent && alone {
            world.lose(key);
            continue;
        }
        // Gone with its topic.
        let Some(thing) = world.aws.get_mut(key) else {
            continue;
        };
        let in_place = |change: &Change| matches!(change, Change::InPlace { .. });
        thing.present.resource = fortune.drifted(&thing.present.resource, in_place);
        if !fortune.known && blueprint.get(key).is_some() {
            world.inventory.remove(key);
        }
    }
    for (key, node) in blueprint.iter() {
        if let (Wanted::Aws(desired), None) = (&node.wanted, world.aws.get(key)) {
            // Made by a process that ended before it could tell; the others are made now.
            if key.kind == ResourceKind::Aws(AwsKind::IamRole) {
                world
                    .aws
                    .insert(key.clone(), Thing::new(as_reported(desired)));
            }
        }
    }
    let gone: Vec<_> = world
        .kubernetes
        .keys()
        .zip(fortunes.iter().rev().cycle())
        .filter(|(_, fortune)| matches!(fortune.found, Found::Absent | Found::Unseen))
        .map(|(key, _)| key.clone())
        .collect();
    for key in gone {
        world.kubernetes.remove(&key);
    }
}

/// Whatever comes first: where a custom resource comes before what it refers to, where AWS and the API server tell of it later, and in
/// whatever order its steps are done, it ends as where all of it was there from the beginning.
pub fn arrive(kind: &str, choices: &mut Choices<'_>) {
    let complete = Surroundings::complete(SHOP, &fixture::read(SHOP, "platform"));
    let mut arrivals = complete.arrivals(choices);
    let mut delays: Vec<_> = arrivals.iter().map(|_| Delay::any(choices)).collect();
    let object = custom_resource(kind, choices);
    let Some(at_once) = is_admitted(&object).then(|| settled(&object)).flatten() else {
        return;
    };
    let complete = Surroundings::complete(SHOP, &object);
    let mut later = World::new(complete.resolve(&object).expect("it resolved a moment ago"));
    while let Some(delay) = delays.pop() {
        // Until there is what it cannot do without, it is refused, and nothing is done.
        if let Ok(wanted) = complete.before(&arrivals).resolve(&object) {
            later.wanted = wanted;
            delay.pass(&mut later);
        }
        arrivals.pop();
    }
    later.wanted = complete.resolve(&object).expect("it resolved a moment ago");
    let plan = later.run();
    assert_eq!(json!(at_once.plan().steps), json!(plan.steps), "{object:#}");
    assert_eq!(contents(&at_once), contents(&later), "{object:#}");
}

/// What is done before something further comes.
struct Delay {
    /// Which AWS resource nobody knows of meanwhile.
    unknown: Option<usize>,
    /// Which kind of Kubernetes may not be listed meanwhile.
    unlisted: Option<KubernetesKind>,
    /// Which of the free steps is done in each pass, and whether time passes after it. `None` for all of them.
    passes: Vec<(Option<usize>, bool)>,
}

impl Delay {
    fn any(choices: &mut Choices<'_>) -> Self {
        let kinds = [
            KubernetesKind::Deployment,
            KubernetesKind::NetworkPolicy,
            KubernetesKind::Ingress,
            KubernetesKind::Secret,
        ];
        Self {
            unknown: choices.one_in(3).then(|| choices.up_to(63)),
            unlisted: choices.one_in(6).then(|| *choices.of(&kinds).unwrap()),
            passes: (0..choices.up_to(6))
                .map(|_| {
                    let one = choices.one_in(2).then(|| choices.up_to(63));
                    (one, choices.one_in(2))
                })
                .collect(),
        }
    }

    fn pass(&self, world: &mut World) {
        let keys: Vec<ResourceKey> = world.draft().keys().cloned().collect();
        let aws = |key: &&ResourceKey| matches!(key.kind, ResourceKind::Aws(_));
        let keys: Vec<&ResourceKey> = keys.iter().filter(aws).collect();
        if let (Some(which), false) = (self.unknown, keys.is_empty()) {
            let failure = Failure::new(Class::Transient, "no answer");
            world
                .unknown
                .insert(keys[which % keys.len()].clone(), failure);
        }
        world.unlisted.extend(self.unlisted);
        for (one, tick) in &self.passes {
            match one {
                None => drop(world.pass()),
                Some(which) => {
                    let observed = world.observe();
                    let blueprint = (world.wanted.blueprint)(&observed);
                    let plan = world.plan_for(&observed, &blueprint);
                    let free: Vec<Step> = plan.free_steps().cloned().collect();
                    world.pass_cut_short(0);
                    if !free.is_empty() {
                        world.take(&free[which % free.len()]);
                    }
                }
            }
            if *tick {
                world.tick();
            }
        }
        world.unknown.clear();
        world.unlisted.clear();
    }
}

/// What there is in a world, without what tells how it came to be.
fn contents(world: &World) -> BTreeMap<&ResourceKey, Value> {
    let aws = world.aws.iter().map(|(key, thing)| {
        let present = &thing.present;
        (key, json!([present.resource, present.arn, present.empty]))
    });
    let kubernetes = world.kubernetes.iter().map(|(key, object)| {
        let mut body = object.body.clone();
        for field in ["generation", "managedFields", "resourceVersion"] {
            body["metadata"].as_object_mut().unwrap().remove(field);
        }
        body.as_object_mut().unwrap().remove("status");
        (key, body)
    });
    aws.chain(kubernetes).collect()
}
