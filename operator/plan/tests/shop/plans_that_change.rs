//! Plans that change between the moment they are shown, the moment they are approved, and the moment something is done.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    failure::{Class, Failure},
    plan::{Blocker, Plan},
    report,
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want},
    world::World,
};

fn orders(class: &str, queues: &[&str]) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["instanceClass"] = json!(class);
    let queues: Vec<Value> = queues.iter().map(|name| json!({"name": name})).collect();
    object["spec"]["notifications"]["queues"] = json!(queues);
    object
}

const BEFORE: (&str, &[&str]) = ("db.r7g.large", &["fulfilment", "audit"]);

/// The database is to get another class, and the queue `audit`, which is empty, is taken out. Approved as it was shown.
fn approved() -> (World, ResourceKey) {
    let mut world = World::settled(want("octank", &orders(BEFORE.0, BEFORE.1)));
    let audit = ResourceKey::aws(AwsKind::SqsQueue, "octank-shop-orders-audit");
    for (key, thing) in &mut world.aws {
        thing.present.empty = Some(key.kind.id() == "SqsQueue");
    }
    world.wanted = want("octank", &orders("db.r7g.xlarge", &["fulfilment"]));
    let plan = world.run();
    assert_eq!(waiting(&plan).len(), 2, "{plan:#?}");
    assert!(world.approved.is_none() && plan.approval_hash().is_some());
    world.approved = plan.approval_hash();
    (world, audit)
}

fn waiting(plan: &Plan) -> Vec<&ResourceKey> {
    let steps = plan.steps.iter();
    steps
        .filter(|step| step.blocked_by.contains(&Blocker::Approval))
        .map(|step| &step.key)
        .collect()
}

fn set_class(world: &mut World, class: &str) -> ResourceKey {
    let key = world.key(AwsKind::RdsInstance, "");
    let AwsResource::RdsInstance(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.instance_class = class.into();
    key
}

fn class(world: &World) -> String {
    match &world.aws[&world.key(AwsKind::RdsInstance, "")]
        .present
        .resource
    {
        AwsResource::RdsInstance(found) => found.instance_class.clone(),
        _ => unreachable!(),
    }
}

/// What the conditions say of readiness.
fn ready(world: &World, plan: &Plan) -> String {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(plan, &blueprint, &observed, false);
    let mut conditions = report.conditions.into_iter();
    conditions.find(|it| it.r#type == "Ready").unwrap().message
}

#[test]
fn what_is_as_it_was_shown_is_approved_and_what_is_not_is_told() {
    let (mut world, audit) = approved();
    let hash = world.approved.clone().unwrap();
    // A message came after the plan was shown.
    world.thing(&audit).present.empty = Some(false);
    let plan = world.pass();
    let told = format!(
        "the plan changed after {hash} was approved: SQS queue octank-shop-orders-audit: was approved `to be deleted`, and is kept in \
         AWS, since it is not empty and AWS has no snapshot of it"
    );
    assert_eq!(plan.decisions.changed.as_deref(), Some(told.as_str()));
    assert_eq!(plan.decisions.last_approval, Some(hash));
    assert!(
        ready(&world, &plan).contains(&told),
        "{}",
        ready(&world, &plan)
    );
    // It is told for as long as something of what was approved is under way, and no longer.
    let plan = world.pass();
    assert_eq!(plan.decisions.changed.as_deref(), Some(told.as_str()));
    let last = world.run();
    assert!(
        last.is_empty() && last.decisions.changed.is_none(),
        "{last:#?}"
    );
    assert_eq!(class(&world), "db.r7g.xlarge");
    assert!(world.aws.contains_key(&audit));
    assert!(!world.inventory.contains_key(&audit), "it was handed back");
}

#[test]
fn what_was_not_shown_is_asked_for_under_a_hash_of_its_own() {
    let (mut world, audit) = approved();
    let hash = world.approved.clone();
    // Somebody changed the class by hand: it is another change than the one that was approved.
    let database = set_class(&mut world, "db.r7g.8xlarge");
    let plan = world.run();
    assert_eq!(waiting(&plan), [&database], "{plan:#?}");
    assert!(plan.approval_hash().is_some() && plan.approval_hash() != hash);
    let told = ready(&world, &plan);
    assert_eq!(class(&world), "db.r7g.8xlarge");
    assert!(
        told.contains(
            "was approved `instanceClass db.r7g.large -> db.r7g.xlarge`, and would by now be"
        ) && told.contains(
            "`instanceClass db.r7g.8xlarge -> db.r7g.xlarge` (Failover), which is asked for again"
        ),
        "{told}"
    );
    // What is left over goes after all that is wanted, and needs no second approval.
    assert!(
        plan.decisions
            .approved()
            .any(|decision| decision.key == audit)
    );
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    assert!(!world.aws.contains_key(&audit));
}

#[test]
fn an_empty_queue_that_was_approved_to_go_is_no_approval_to_delete_what_came() {
    let (mut world, audit) = approved();
    world.thing(&audit).present.empty = Some(false);
    // Under another policy it would go with its messages, and a graver effect is another matter.
    world.policies.deletion = shopkeeper_plan::planner::DeletionPolicy::Delete;
    let plan = world.run();
    assert!(waiting(&plan).contains(&&audit), "{plan:#?}");
    assert!(world.aws.contains_key(&audit));
    assert!(ready(&world, &plan).contains("(DataLoss), which is asked for again"));
}

#[test]
fn what_is_not_needed_any_more_and_what_has_come_is_told() {
    let (mut world, _) = approved();
    let database = set_class(&mut world, "db.r7g.xlarge");
    let AwsResource::RdsInstance(found) = &mut world.thing(&database).present.resource else {
        unreachable!()
    };
    found.port = 5433;
    let plan = world.pass();
    let told = plan.decisions.changed.clone().unwrap();
    assert!(
        told.contains("would by now be `port 5433 -> 5432` (Restart)"),
        "{told}"
    );

    let (mut world, audit) = approved();
    set_class(&mut world, "db.r7g.xlarge");
    let told = world.pass().decisions.changed.unwrap();
    assert!(
        told.contains("was approved `instanceClass db.r7g.large -> db.r7g.xlarge`, which is not needed any more"),
        "{told}"
    );
    assert!(world.run().is_empty());
    assert!(!world.aws.contains_key(&audit));
}

#[test]
fn a_hash_approves_nothing_twice_and_nothing_that_was_never_shown() {
    let (mut world, audit) = approved();
    let shown = world.shown.clone();
    assert!(world.run().is_empty());
    assert!(!world.aws.contains_key(&audit));
    // The same loss months later, with the annotation still there and a status that shows the old plan.
    world.shown = shown;
    let database = set_class(&mut world, "db.r7g.large");
    let plan = world.plan();
    assert_eq!(waiting(&plan), [&database]);
    assert_eq!(
        (
            plan.decisions.changed.as_ref(),
            plan.decisions.outdated.as_ref()
        ),
        (None, None)
    );

    // Another generation is another plan, whatever the status still shows.
    let (mut world, _) = approved();
    world.wanted.owner.generation += 1;
    world.shown = Default::default();
    let plan = world.plan();
    assert_eq!(waiting(&plan).len(), 2);
    let outdated = plan.decisions.outdated.clone().unwrap();
    assert!(
        outdated.contains(&format!(
            "={} approves nothing",
            world.approved.as_ref().unwrap()
        )),
        "{outdated}"
    );
    assert!(ready(&world, &plan).ends_with(&outdated));
    // What is repeated of an annotation is short.
    world.approved = Some("x".repeat(5000));
    assert!(world.plan().decisions.outdated.unwrap().len() < 200);
}

#[test]
fn silence_just_after_the_approval_takes_nothing_of_it() {
    let (mut world, audit) = approved();
    let database = world.key(AwsKind::RdsInstance, "");
    let silence = Failure::new(Class::Throttled, "Rate exceeded");
    world.unknown.insert(database, silence);
    let plan = world.pass();
    assert_eq!(plan.decisions.changed, None, "{plan:#?}");
    world.unknown.clear();
    assert!(world.run().is_empty());
    assert_eq!(class(&world), "db.r7g.xlarge");
    assert!(!world.aws.contains_key(&audit));
}
