//! Whatever the API server lets in can be read, resolved or refused with a reason, built and planned; whatever it does not let
//! in breaks nothing. Made from the schemas, not from what somebody thought of.

use proptest::{collection::vec, prelude::*, strategy::ValueTree as _};
use shopkeeper_api::{CatalogService, Managed, OrderService, Platform, Storefront};
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::properties::{self, DEFINITIONS};

/// As many cases as every build has time for; `PROPTEST_CASES` asks for more.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked
            .and_then(|number| number.parse().ok())
            .unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

/// Everything that has to hold for any custom resource of a kind, in any surroundings, and that it settles where it is admitted.
fn holds<K: Managed>(bytes: &[u8]) {
    properties::resolve(K::KIND, &mut Choices::new(bytes));
    properties::settle(K::KIND, &mut Choices::new(bytes));
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_platform(bytes in vec(any::<u8>(), 0..600)) {
        holds::<Platform>(&bytes);
    }

    #[test]
    fn any_storefront(bytes in vec(any::<u8>(), 0..1200)) {
        holds::<Storefront>(&bytes);
    }

    #[test]
    fn any_catalog_service(bytes in vec(any::<u8>(), 0..1200)) {
        holds::<CatalogService>(&bytes);
    }

    #[test]
    fn any_order_service(bytes in vec(any::<u8>(), 0..1200)) {
        holds::<OrderService>(&bytes);
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// Any change of any specification, in any world.
    #[test]
    fn any_plan(bytes in vec(any::<u8>(), 0..1600)) {
        let mut choices = Choices::new(&bytes);
        let kind = properties::kind(&mut choices);
        if let Some((before, after)) = properties::before_and_after(kind, &mut choices) {
            properties::plan(&before, &after, &mut choices);
        }
    }

    /// Whatever is referred to, and whatever is told of AWS and Kubernetes, may come in any order.
    #[test]
    fn any_arrival(bytes in vec(any::<u8>(), 0..1200)) {
        let mut choices = Choices::new(&bytes);
        properties::arrive(properties::kind(&mut choices), &mut choices);
    }
}

/// Otherwise the properties above would hold for want of anything to hold for.
#[test]
fn many_specifications_are_admitted_and_many_are_not() {
    for kind in DEFINITIONS.kinds() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let strategy = vec(any::<u8>(), 0..1200);
        let admitted = (0..200)
            .filter(|_| {
                let bytes = strategy.new_tree(&mut runner).unwrap().current();
                let object = DEFINITIONS.custom_resource(kind, &mut Choices::new(&bytes));
                DEFINITIONS.is_admitted(kind, &object)
            })
            .count();
        println!("{kind}: {admitted} of 200");
        assert!((40..190).contains(&admitted), "{kind}: {admitted} of 200");
    }
}
