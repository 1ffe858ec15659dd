//! Resources that are others than are wanted: what AWS cannot change holds up all that could be changed of them.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    failure::Class,
    plan::Blocker,
    report,
};

use crate::{
    fixture::{read, want},
    world::World,
};

fn orders(rds: &[(&str, Value)]) -> Value {
    let mut object = read("octank", "orders");
    for (member, value) in rds {
        object["spec"]["database"]["rds"][*member] = value.clone();
    }
    object
}

#[test]
fn a_database_of_another_engine_is_one_refusal_and_nothing_is_asked_for() {
    let mut world = World::settled(want("octank", &orders(&[])));
    // In two edits, which admission cannot see: the database was taken out, and another one declared before it was gone.
    let mut object = orders(&[
        ("engine", json!("MySQL")),
        ("version", json!("8.4")),
        ("username", json!("shop")),
        ("instanceClass", json!("db.r7g.xlarge")),
        ("backupRetentionDays", json!(2)),
    ]);
    object["spec"]["notifications"]["topics"][0]["displayName"] = json!("Octank");
    world.wanted = want("octank", &object);
    let plan = world.run();
    let database = world.key(AwsKind::RdsInstance, "");
    let steps: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.key == database)
        .collect();
    let [step] = steps.as_slice() else {
        panic!("{steps:#?}")
    };
    let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
        panic!("{step:#?}")
    };
    assert_eq!(failure.class, Class::Invalid);
    assert!(
        failure.message.starts_with("engine, username: AWS cannot change engine from postgres to mysql, nor username from shopkeeper to shop;"),
        "{failure:?}"
    );
    assert!(
        failure.remedy.contains("restore the engine")
            && failure.remedy.contains("restore the name")
            && failure
                .remedy
                .contains("or take it out of the specification"),
        "{failure:?}"
    );
    assert_eq!(
        plan.approval_hash(),
        None,
        "nothing is asked for that AWS refuses"
    );
    assert!(
        world.log.iter().all(|line| !line.contains("RdsInstance")),
        "{:#?}",
        world.log
    );
    // What does not depend on it goes on.
    assert!(
        world
            .log
            .iter()
            .any(|line| line.starts_with("update SnsTopic")),
        "{:#?}",
        world.log
    );
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let stalled = report
        .conditions
        .iter()
        .find(|it| it.r#type == "Stalled")
        .unwrap();
    assert!(
        stalled.message.contains("AWS cannot change engine"),
        "{}",
        stalled.message
    );

    // As the remedies say: restored, it goes on.
    world.wanted = want("octank", &orders(&[("backupRetentionDays", json!(21))]));
    assert!(world.run().is_empty());
}

#[test]
fn what_is_made_again_when_it_is_deleted_says_so() {
    let mut world = World::settled(want("octank", &orders(&[])));
    let topic = world.key(AwsKind::SnsTopic, "ship");
    let AwsResource::SnsTopic(found) = &mut world.thing(&topic).present.resource else {
        unreachable!()
    };
    found.fifo = true;
    found.display_name = "theirs".into();
    let plan = world.run();
    let steps: Vec<_> = plan.steps.iter().filter(|step| step.key == topic).collect();
    let [step] = steps.as_slice() else {
        panic!("{steps:#?}")
    };
    let Blocker::Refused(failure) = &step.blocked_by[0] else {
        panic!("{step:#?}")
    };
    assert_eq!(
        failure.remedy,
        "delete the resource in AWS, and it is made again"
    );
}
