//! What is said in conditions while AWS does not answer.

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    failure::{Class, Failure},
    last_seen::{LastSeen, last_seen},
    observed::{Lifecycle, Note},
    planner::DriftPolicy,
    report,
};

use crate::reported::{lines, of, orders};

#[test]
fn what_was_as_declared_stays_ready_while_aws_does_not_answer() {
    let keys: Vec<_> = orders().aws.keys().cloned().collect();
    for key in keys {
        for class in [Class::Throttled, Class::Transient] {
            let mut world = orders();
            let failure = Failure::new(class, "Rate exceeded");
            world.unknown.insert(key.clone(), failure.clone());
            world.lately.insert(key.clone(), LastSeen::default());
            let observed = world.observe();
            let blueprint = (world.wanted.blueprint)(&observed);
            let plan = world.plan();
            assert_eq!(plan.free_steps().count(), 0, "{key}: {plan:#?}");
            let report = report::of_plan(&plan, &blueprint, &observed, false);
            let lines = lines(&report);
            let ready = lines
                .iter()
                .find(|line| line.starts_with("Ready="))
                .unwrap();
            assert!(
                ready.starts_with("Ready=True NotObserved: ")
                    && ready.contains("could not be looked at: Rate exceeded"),
                "{key}: {lines:#?}"
            );
            assert!(
                lines.iter().all(|line| !line.contains("=False")),
                "{key}: {lines:#?}"
            );
            assert_eq!(report.failure, Some(failure), "it is asked again soon");
        }
    }
}

#[test]
fn another_change_is_told_although_aws_does_not_answer() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    world
        .unknown
        .insert(key.clone(), Failure::new(Class::Throttled, "Rate exceeded"));
    world.lately.insert(key, LastSeen::default());
    let queue = world.key(AwsKind::SqsQueue, "fulfilment-dead");
    world.aws.remove(&queue);
    assert!(
        of(&world)
            .iter()
            .any(|line| line.starts_with("Ready=False"))
    );
}

#[test]
fn what_is_refused_is_no_silence() {
    let mut world = orders();
    let key = world.key(AwsKind::RdsInstance, "");
    for class in [Class::Denied, Class::Bug, Class::Invalid] {
        world
            .unknown
            .insert(key.clone(), Failure::new(class, "not authorized"));
        world.lately.insert(key.clone(), LastSeen::default());
        assert!(
            of(&world)
                .iter()
                .any(|line| line.starts_with("Ready=False")),
            "{class:?}"
        );
    }
}

#[test]
fn known_drift_and_dangers_are_told_while_aws_does_not_answer() {
    let mut world = orders();
    world.policies.drift = DriftPolicy::Report;
    let key = world.key(AwsKind::RdsInstance, "");
    world.thing(&key).present.note = Some(Note::danger("a certificate ends").into());
    let AwsResource::RdsInstance(instance) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    instance.backup_retention_days += 1;
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let told = of(&world);
    let seen = last_seen(&world.plan(), &blueprint, &observed);
    assert!(seen.values().all(Option::is_some), "{seen:#?}");

    world
        .unknown
        .insert(key.clone(), Failure::new(Class::Throttled, "Rate exceeded"));
    world
        .lately
        .insert(key.clone(), seen[&key].clone().unwrap());
    let silent = of(&world);
    let is_ready = |line: &&String| line.starts_with("Ready=True Drifted: ");
    let before = told.iter().find(is_ready).unwrap();
    let after = silent.iter().find(is_ready).unwrap();
    assert!(
        after.starts_with(before.as_str()) && after.contains("could not be looked at"),
        "{silent:#?}"
    );
    let data = |line: &&String| line.starts_with("DataReady=True");
    for lines in [&told, &silent] {
        let data = lines.iter().find(data).unwrap();
        assert!(data.contains("a certificate ends"), "{lines:#?}");
    }
    // What was not as desired is not taken for it.
    world.unknown.clear();
    world.lately.clear();
    world.thing(&key).present.lifecycle = Lifecycle::Failed("it is gone".into());
    let observed = world.observe();
    assert_eq!(last_seen(&world.plan(), &blueprint, &observed)[&key], None);
}

#[test]
fn of_silence() {
    let failure = Failure::new(Class::Throttled, "Rate exceeded").with_code("Throttling");
    assert_eq!(
        lines(&report::of_silence(&failure, None)),
        [
            "Ready=True NotObserved: was as declared; AWS could not be looked at: Throttling: Rate exceeded"
        ]
    );
    assert_eq!(
        lines(&report::of_silence(
            &failure,
            Some("KMS key a: policy to be changed")
        )),
        ["Ready=True Drifted: KMS key a: policy to be changed"]
    );
}
