//! Names that two custom resources ask for: exactly one of them gets them, and nothing of the other's is touched.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use shopkeeper_api::{
    CatalogService, OrderService, Storefront,
    status::{condition, reason},
};
use shopkeeper_plan::{
    aws::AwsKind,
    claims::{self, Claim, Name, Rival, Standing, Wait, Waiting, decide},
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    planner::{Inventory, InventoryEntry},
    report,
    resolve::Resolve,
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{EXAMPLES, read, typed, want},
    world::World,
};

fn claims_of(object: &Value) -> Vec<Claim> {
    match object["kind"].as_str().unwrap() {
        "CatalogService" => typed::<CatalogService>(object).claims(),
        "OrderService" => typed::<OrderService>(object).claims(),
        "Storefront" => typed::<Storefront>(object).claims(),
        _ => Vec::new(),
    }
}

/// Everything that gives an object a name.
fn busy(shop: &str, name: &str) -> Value {
    let mut object = read(shop, name);
    if object["spec"]["workload"].is_object() {
        object["spec"]["workload"]["serviceAccountName"] = json!("somebody");
        object["spec"]["workload"]["metrics"] = json!({});
        if let Some(binding) = object.pointer_mut("/spec/bindings/0") {
            binding["secretName"] = json!("told-by-hand");
        }
        object["spec"]["scaling"] = json!({"type": "Autoscale", "autoscale": {"min": 2, "max": 4}});
    }
    let groups = json!({"securityGroupIds": ["sg-0a"], "exposures": [
        {"name": "nlb", "type": "Service", "service": {"type": "LoadBalancer"}},
        {"name": "alb", "type": "Ingress", "ingress": {}},
        {"name": "route", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "shared"}]}},
    ]});
    match object["kind"].as_str().unwrap() {
        "Platform" => {}
        "Storefront" => {
            let frontends = object
                .pointer_mut("/spec/frontends")
                .and_then(Value::as_array_mut);
            for frontend in frontends.into_iter().flatten() {
                frontend["network"] = groups.clone();
            }
            let spec = object["spec"].as_object_mut().unwrap();
            spec.insert("hosts".into(), json!(["www.octank.example"]));
            spec.insert(
                "gateway".into(),
                json!({"parentRefs": [{"name": "shared"}]}),
            );
        }
        _ => object["spec"]["network"] = groups,
    }
    object
}

#[test]
fn all_that_is_built_is_asked_for_by_name() {
    let mut met = BTreeSet::new();
    for (shop, name) in EXAMPLES {
        for object in [read(shop, name), busy(shop, name)] {
            let names = claims::names(&claims_of(&object));
            let world = World::settled(want(shop, &object));
            for key in (world.wanted.blueprint)(&world.observe()).keys() {
                let ResourceKind::Kubernetes(kind) = key.kind else {
                    continue;
                };
                assert!(
                    names.iter().any(|name| name.objects().contains(key)),
                    "{shop}/{name}: nobody asks for {key}: {names:?}"
                );
                assert!(
                    names.contains(&Name::of(kind, &key.name).unwrap()),
                    "{shop}/{name}: {key}"
                );
                met.insert(kind);
            }
        }
    }
    assert_eq!(
        met,
        KubernetesKind::ALL.iter().copied().collect(),
        "every kind is built somewhere"
    );
}

#[test]
fn the_objects_of_a_name_have_that_name() {
    for kind in KubernetesKind::ALL {
        for called in ["shop", "shop-bindings"] {
            let Some(name) = Name::of(*kind, called) else {
                continue;
            };
            let objects = name.objects();
            assert!(
                objects.contains(&ResourceKey::kubernetes(*kind, called)),
                "{kind:?}: {objects:?}"
            );
            for object in objects {
                let ResourceKind::Kubernetes(kind) = object.kind else {
                    panic!("{object}");
                };
                assert_eq!(Name::of(kind, &object.name), Some(name.clone()), "{object}");
            }
        }
    }
}

fn service<K: Resolve + serde::de::DeserializeOwned>(kind: &str, name: &str) -> Vec<Claim> {
    typed::<K>(&json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "shop"},
        "spec": {"workload": {"image": "registry.example/it:1"}},
    }))
    .claims()
}

fn storefront(name: &str, frontend: &str, routes: &Value) -> Vec<Claim> {
    typed::<Storefront>(&json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "Storefront", "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "frontends": [{"name": frontend, "exposure": "Internal", "workload": {"image": "registry.example/it:1"}}],
            "routes": routes,
        },
    }))
    .claims()
}

fn meet(one: &[Claim], other: &[Claim]) -> bool {
    !claims::names(one).is_disjoint(&claims::names(other))
}

#[test]
fn names_meet_across_kinds_and_fields() {
    let dup = service::<CatalogService>("CatalogService", "dup");
    assert!(meet(&dup, &service::<OrderService>("OrderService", "dup")));
    assert!(!meet(
        &dup,
        &service::<OrderService>("OrderService", "other")
    ));

    let front = storefront("a", "b", &json!([]));
    assert!(meet(
        &front,
        &service::<OrderService>("OrderService", "a-b")
    ));
    assert!(!meet(&front, &service::<OrderService>("OrderService", "a")));
    // The load balancer of the frontend is called as the public one of another Storefront.
    let routes = json!([{"path": "/", "frontend": "c"}]);
    assert!(meet(&front, &storefront("a-b", "c", &routes)));
    assert!(!meet(&front, &storefront("a-b", "c", &json!([]))));
    assert!(meet(
        &storefront("a", "b-c", &json!([])),
        &storefront("a-b", "c", &json!([]))
    ));

    // A Secret and a ServiceAccount under a name that was written down.
    let mut catalog = read("octank", "catalog");
    let secret = claims_of(&catalog)
        .into_iter()
        .find_map(|claim| match claim.name {
            Name::Secret(name) => Some(name),
            _ => None,
        })
        .unwrap();
    let mut orders = read("octank", "orders");
    assert!(!meet(&claims_of(&catalog), &claims_of(&orders)));
    orders["spec"]["bindings"][0]["secretName"] = json!(secret);
    assert!(meet(&claims_of(&catalog), &claims_of(&orders)));
    catalog["spec"]["bindings"] = json!([]);
    assert!(!meet(&claims_of(&catalog), &claims_of(&orders)));
    catalog["spec"]["workload"]["serviceAccountName"] = json!("orders");
    assert!(meet(&claims_of(&catalog), &claims_of(&orders)));
}

#[test]
fn who_has_begun_has_the_name() {
    let held = |claims: &[Claim], key: ResourceKey, role: &str| {
        let entry = InventoryEntry {
            adopted: false,
            role: role.to_owned(),
            applied: None,
            remade_for: None,
        };
        claims[0].is_held_by(&Inventory::from([(key, entry)]))
    };
    let service = service::<OrderService>("OrderService", "a-b");
    let front = storefront("a", "b", &json!([]));
    let role = ResourceKey::aws(AwsKind::IamRole, "octank-shop-it-nodes");
    let object = |kind, name| ResourceKey::kubernetes(kind, name);
    // The nodes are made long before the first object.
    assert!(held(&service, role.clone(), "nodes.role"));
    assert!(held(&front, role.clone(), "frontends.b.nodes.role"));
    assert!(!held(&front, role, "frontends.bc.nodes.role"));
    for claims in [&service, &front] {
        let service = object(KubernetesKind::Service, "a-b");
        assert!(held(claims, service, "service"));
        let map = object(KubernetesKind::ConfigMap, "a-b-bindings");
        assert!(held(claims, map, "bindings"));
        let other = object(KubernetesKind::Service, "a-c");
        assert!(!held(claims, other, "service"));
    }
}

fn standing(name: &str, created: i64) -> Standing {
    Standing {
        path: format!("Kind/shop/{name}"),
        uid: format!("{name}-uid"),
        created: Some(Timestamp::from_second(created).unwrap()),
        ending: false,
    }
}

/// What `subject` is told of one rival.
fn told(subject: &Standing, subject_has: bool, rival: Standing, has: bool) -> Result<(), Failure> {
    let claim = service::<OrderService>("OrderService", "dup").remove(0);
    decide(
        subject,
        &[Rival {
            standing: rival,
            claim,
            has,
            wants: true,
            subject_has,
            waits_for: Vec::new(),
        }],
    )
}

#[test]
fn exactly_one_of_two_goes_on_and_it_is_who_has_the_name_or_else_the_older() {
    let ages = [
        (standing("a", 10), standing("b", 20), true),
        (standing("a", 10), standing("b", 10), true),
        (standing("b", 10), standing("a", 10), false),
        (standing("b", 20), standing("a", 10), false),
    ];
    for (one, other, older) in ages {
        for (one_has, other_has) in [(false, false), (true, true), (true, false), (false, true)] {
            let first = told(&one, one_has, other.clone(), other_has).is_ok();
            let second = told(&other, other_has, one.clone(), one_has).is_ok();
            assert_ne!(first, second, "{one:?} {one_has} {other:?} {other_has}");
            let expected = if one_has == other_has { older } else { one_has };
            assert_eq!(first, expected, "{one:?} {one_has} {other:?} {other_has}");
        }
    }
    assert_eq!(decide(&standing("a", 10), &[]), Ok(()));
}

#[test]
fn what_is_on_its_way_out_is_waited_for_and_gives_way() {
    let subject = standing("b", 20);
    let going = Standing {
        ending: true,
        ..standing("a", 10)
    };
    let failure = told(&subject, false, going.clone(), true).unwrap_err();
    assert_eq!(failure.class, Class::NotReady, "{failure}");
    assert!(failure.message.contains("Kind/shop/a"), "{failure}");
    // It never got anything, and does not any more.
    assert_eq!(told(&subject, false, going, false), Ok(()));

    let leftover = |subject_has| {
        decide(
            &subject,
            &[Rival {
                standing: standing("a", 10),
                claim: service::<OrderService>("OrderService", "dup").remove(0),
                has: true,
                wants: false,
                subject_has,
                waits_for: Vec::new(),
            }],
        )
    };
    assert_eq!(leftover(false).unwrap_err().class, Class::NotReady);
    // What is there already goes on, but for the one object.
    assert_eq!(leftover(true), Ok(()));
}

#[test]
fn the_loser_is_told_the_field_the_owner_and_the_remedy() {
    let failure = told(&standing("b", 20), false, standing("a", 10), true).unwrap_err();
    let said = failure.describe();
    for part in [
        "metadata.name: workload dup belongs to Kind/shop/a",
        "has it already",
        "To do: delete this custom resource and make it under another name, or delete Kind/shop/a",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let report = report::of_failure(&failure, false);
    let told: Vec<_> = report
        .conditions
        .iter()
        .map(|condition| (condition.r#type, condition.status, condition.reason))
        .collect();
    assert_eq!(
        told,
        [
            (condition::READY, "False", reason::NAME_TAKEN),
            (condition::STALLED, "True", reason::NAME_TAKEN)
        ]
    );

    let rival = Rival {
        standing: standing("a", 10),
        claim: storefront("a", "b", &json!([])).remove(0),
        has: false,
        wants: true,
        subject_has: false,
        waits_for: Vec::new(),
    };
    let said = decide(&standing("b", 20), &[rival]).unwrap_err().describe();
    assert!(
        said.contains("spec.frontends[b].name: workload a-b belongs to")
            && said.contains("is older"),
        "{said}"
    );
}

/// Each has the name of the one before it, of an earlier specification, and asks for that of the next: `a` for what `b` has left.
fn in_a_circle(names: &[&str]) -> Vec<Failure> {
    let of = |name: &str| Name::ServiceAccount(format!("of-{name}"));
    let next = |index: usize| names[(index + 1) % names.len()];
    let decided = names.iter().enumerate().map(|(index, name)| {
        let subject = standing(name, 10);
        let circles = claims::circles(&subject, [of(name)].into(), |asked| {
            let others = names.iter().enumerate();
            others
                .filter(|(index, _)| of(next(*index)) == *asked)
                .map(|(_, other)| Waiting {
                    standing: standing(other, 10),
                    held: [of(other)].into(),
                })
                .collect()
        });
        let rival = standing(next(index), 10);
        let mut claim = service::<OrderService>("OrderService", "dup").remove(1);
        claim.name = of(next(index));
        let rival = Rival {
            waits_for: circles.get(&rival.uid).cloned().unwrap_or_default(),
            standing: rival,
            claim,
            has: true,
            wants: false,
            subject_has: false,
        };
        decide(&subject, &[rival]).unwrap_err()
    });
    decided.collect()
}

#[test]
fn a_circle_is_told_as_one_and_does_not_pass_by_itself() {
    for failure in in_a_circle(&["a", "b"]) {
        assert_eq!(failure.class, Class::Invalid, "{failure}");
        assert!(failure.message.contains("neither goes on"), "{failure}");
    }
    for names in [&["a", "b", "c"][..], &["a", "b", "c", "d"]] {
        for failure in in_a_circle(names) {
            assert_eq!(failure.class, Class::Invalid, "{failure}");
            assert_eq!(failure.code.as_deref(), Some(claims::NAME_TAKEN));
        }
    }
    assert_eq!(
        in_a_circle(&["a", "b", "c"])[0].describe(),
        "NameTaken: metadata.name: ServiceAccount of-b belongs to Kind/shop/b, which gives it up once it has ServiceAccount of-c; \
         that belongs to Kind/shop/c, which gives it up once it has ServiceAccount of-a; and that belongs to this one: a circle, in \
         which none goes on before the others. To do: give one of them a name that none of them has; once it has moved, the name \
         that it had is free, and the others follow"
    );
}

#[test]
fn who_only_stands_in_line_is_in_no_circle() {
    let of = |name: &str| Name::ServiceAccount(name.to_owned());
    // The second waits for the first and the third for the second; the subject waits for neither.
    let circles = claims::circles(&standing("first", 10), [of("1")].into(), |asked| {
        let line = [("1", "second", "2"), ("2", "third", "3")];
        line.iter()
            .filter(|(awaited, ..)| of(awaited) == *asked)
            .map(|(_, name, held)| Waiting {
                standing: standing(name, 10),
                held: [of(held)].into(),
            })
            .collect()
    });
    let wait = |name: &str, holder: &str| Wait {
        name: of(name),
        holder: format!("Kind/shop/{holder}"),
    };
    assert_eq!(circles["second-uid"], [wait("1", "first")]);
    assert_eq!(
        circles["third-uid"],
        [wait("2", "second"), wait("1", "first")]
    );
    assert!(!circles.contains_key("first-uid"));
}
