//! Whatever the API server lets in can be read, resolved or refused with a reason, built and planned; whatever it does not let
//! in breaks nothing. Made from the schemas, not from what somebody thought of.

use std::sync::LazyLock;

use proptest::{prelude::*, strategy::ValueTree as _};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Managed, OrderService, Platform, Storefront};
use shopkeeper_plan::{
    failure::Class,
    observed::Observed,
    plan::{Blocker, Step},
};
use shopkeeper_specifications::Definitions;

use crate::{fixture::resolved, world::World};

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::new);

/// Few enough for every build; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

/// Reads a custom resource as the operator does. What the schema lets in has to be readable: a deletion of what is not would be
/// missed.
fn assert_readable<K: DeserializeOwned + Serialize>(object: &Value) {
    let read: K = serde_json::from_value(object.clone())
        .unwrap_or_else(|error| panic!("admitted and not readable: {error}\n{object:#}"));
    let again: Value = serde_json::to_value(&read).unwrap();
    let read_again: K = serde_json::from_value(again.clone()).unwrap();
    assert_eq!(again, serde_json::to_value(&read_again).unwrap());
}

/// Everything that has to hold for any custom resource of a kind.
fn holds<K: Managed + DeserializeOwned + Serialize>(bytes: &[u8]) {
    let kind = K::KIND;
    let object = DEFINITIONS.custom_resource(kind, bytes);
    assert_readable::<K>(&object);
    let wanted = match resolved("octank", &object) {
        Ok(wanted) => wanted,
        Err(failure) => {
            assert!(
                matches!(failure.class, Class::Invalid | Class::NotReady),
                "{failure:?}\n{object:#}"
            );
            assert!(
                failure.class != Class::Invalid || !failure.remedy.is_empty(),
                "refused without a remedy: {failure:?}\n{object:#}"
            );
            return;
        }
    };
    let again = resolved("octank", &object).expect("it resolved a moment ago");
    let nothing = Observed::default();
    let (blueprint, same) = ((wanted.blueprint)(&nothing), (again.blueprint)(&nothing));
    assert_eq!(format!("{blueprint:?}"), format!("{same:?}"));
    let world = World::new(wanted);
    assert_eq!(
        json!(world.plan_for(&nothing, &blueprint)),
        json!(world.plan_for(&nothing, &same))
    );
    if DEFINITIONS.is_admitted(kind, &object) {
        // It settles, and the plan of what was carried out is empty, but for what no AWS account would give and what
        // names nothing that is there.
        let mut world = World::new(again);
        let plan = world.run();
        let is_refused = |step: &Step| {
            let mut blockers = step.blocked_by.iter();
            blockers.any(|blocker| matches!(blocker, Blocker::Refused(_) | Blocker::Missing(_)))
        };
        assert!(
            plan.is_empty() || plan.steps.iter().any(is_refused),
            "it does not settle: {plan:#?}\n{object:#}"
        );
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_platform(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        holds::<Platform>(&bytes);
    }

    #[test]
    fn any_storefront(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        holds::<Storefront>(&bytes);
    }

    #[test]
    fn any_catalog_service(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        holds::<CatalogService>(&bytes);
    }

    #[test]
    fn any_order_service(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        holds::<OrderService>(&bytes);
    }
}

/// Otherwise the properties above would hold for want of anything to hold for.
#[test]
fn many_specifications_are_admitted_and_many_are_not() {
    for kind in DEFINITIONS.kinds() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let strategy = proptest::collection::vec(any::<u8>(), 0..1200);
        let admitted = (0..200)
            .filter(|_| {
                let bytes = strategy.new_tree(&mut runner).unwrap().current();
                let object = DEFINITIONS.custom_resource(kind, &bytes);
                DEFINITIONS.is_admitted(kind, &object)
            })
            .count();
        println!("{kind}: {admitted} of 200");
        assert!((40..190).contains(&admitted), "{kind}: {admitted} of 200");
    }
}
