//! Storefronts behind a Gateway of the Gateway API.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, Storefront};
use shopkeeper_plan::{
    failure::Class,
    kubernetes::KubernetesKind,
    plan::Action,
    report,
    resolve::{References, Resolve},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, read, references, resolve, typed, want},
    world::World,
};

fn storefront() -> Value {
    let mut object = read("octank", "storefront");
    object["spec"]["hosts"] = json!(["www.octank.example"]);
    object["spec"]["gateway"] =
        json!({"parentRefs": [{"name": "shared", "namespace": "edge", "sectionName": "https"}]});
    object["spec"]["routes"] = json!([
        {"path": "/items", "service": {"kind": "CatalogService", "name": "catalog"}},
        {"path": "/", "frontend": "web"},
        {"path": "/item", "pathType": "Exact", "service": {"kind": "CatalogService", "name": "catalog"}},
    ]);
    object
}

fn route() -> ResourceKey {
    ResourceKey::kubernetes(KubernetesKind::HTTPRoute, "octank")
}

fn ingress() -> ResourceKey {
    ResourceKey::kubernetes(KubernetesKind::Ingress, "octank")
}

#[test]
fn routes_are_one_object_that_leads_to_each_place_by_one_rule() {
    let world = World::settled(want("octank", &storefront()));
    assert!(!world.kubernetes.contains_key(&ingress()));
    let path = |kind: &str, value: &str| json!({"path": {"type": kind, "value": value}});
    assert_eq!(
        world.kubernetes[&route()].body["spec"],
        json!({
            "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared", "namespace": "edge", "sectionName": "https"}],
            "hostnames": ["www.octank.example"],
            "rules": [
                {"matches": [path("PathPrefix", "/items"), path("Exact", "/item")],
                    "backendRefs": [{"kind": "Service", "name": "catalog", "port": 80}]},
                {"matches": [path("PathPrefix", "/")], "backendRefs": [{"kind": "Service", "name": "octank-web", "port": 80}]},
            ],
        })
    );
}

#[test]
fn the_load_balancer_goes_once_the_gateway_has_taken_over() {
    let mut before = storefront();
    before["spec"].as_object_mut().unwrap().remove("gateway");
    let mut world = World::settled(want("octank", &before));
    world.wanted = want("octank", &storefront());
    let plan = world.pass();
    let waits = |plan: &shopkeeper_plan::plan::Plan| {
        let step = plan
            .steps
            .iter()
            .find(|step| step.key == ingress())
            .unwrap();
        assert_eq!(step.action, Action::Delete);
        !step.is_free()
    };
    assert!(waits(&plan));
    assert!(waits(&world.pass()), "it was not taken yet");
    assert!(world.run().is_empty());
    assert!(world.at("apply HTTPRoute/octank") < world.at("remove Ingress/octank"));
}

#[test]
fn a_gateway_that_does_not_take_it_is_named() {
    let mut world = World::settled(want("octank", &storefront()));
    let object = world.kubernetes.get_mut(&route()).unwrap();
    let condition = &mut object.body["status"]["parents"][0]["conditions"][0];
    condition["status"] = json!("False");
    condition["reason"] = json!("NotAllowedByListeners");
    condition["message"] = json!("no listener allows routes of namespace shop");
    let (plan, observed) = (world.plan(), world.observe());
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let edge = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == "EdgeReady")
        .unwrap();
    assert_eq!(edge.status, "False");
    assert!(
        edge.message
            .contains("Gateway shared does not take it: NotAllowedByListeners: no listener allows"),
        "{}",
        edge.message
    );
    // What was said of an earlier form of it says nothing.
    let object = world.kubernetes.get_mut(&route()).unwrap();
    let condition = &mut object.body["status"]["parents"][0]["conditions"][0];
    condition["status"] = json!("True");
    condition["observedGeneration"] = json!(0);
    assert!(!world.plan().is_empty());
}

#[test]
fn what_no_gateway_can_serve_is_refused() {
    let object: Storefront = typed(&storefront());
    let references = References {
        http_routes: false,
        ..references("octank")
    };
    let failure = object
        .resolve(&facts("octank"), &references)
        .map(drop)
        .unwrap_err();
    assert_eq!(failure.class, Class::NotReady);
    let text = failure.describe();
    assert!(
        text.contains("spec.gateway: the cluster has no kind HTTPRoute")
            && text.contains("or leave gateway out"),
        "{text}"
    );
    let mut many = storefront();
    let ports: Vec<Value> = (0..17)
        .map(|number| json!({"name": format!("p{number}"), "containerPort": 9000 + number}))
        .collect();
    many["spec"]["frontends"][0]["workload"]["ports"] = json!(ports);
    many["spec"]["routes"] = (0..17)
        .map(|number| json!({"path": format!("/{number}"), "frontend": "web", "port": format!("p{number}")}))
        .collect();
    let failure = resolve::<Storefront>("octank", &many)
        .map(drop)
        .unwrap_err();
    assert!(
        failure.message.contains("spec.routes: lead to 17 places"),
        "{failure}"
    );
    // A Gateway has subnets of its own.
    let mut platform = facts("octank");
    platform.public_subnets.clear();
    let object: Storefront = typed(&storefront());
    assert!(
        object
            .resolve(&platform, &crate::fixture::references("octank"))
            .is_ok()
    );
}

#[test]
fn the_rules_of_a_load_balancer_are_counted_where_it_is_one_of_aws() {
    let routes = |count: usize| -> Value {
        (0..count)
            .map(|number| json!({"path": format!("/{number}"), "frontend": "web"}))
            .collect()
    };
    let mut object = storefront();
    object["spec"]["routes"] = routes(51);
    object["spec"]["hosts"] = json!(["a.example", "b.example"]);
    resolve::<Storefront>("octank", &object).expect("an HTTPRoute names hosts once");
    object["spec"].as_object_mut().unwrap().remove("gateway");
    assert!(resolve::<Storefront>("octank", &object).is_err());

    let hosts: Value = (0..11)
        .map(|number| json!(format!("h{number}.example")))
        .collect();
    let paths: Value = (0..10)
        .map(|number| json!({"path": format!("/{number}")}))
        .collect();
    for (way, is_refused) in [
        (json!({"type": "Ingress", "ingress": {}}), true),
        (
            json!({"type": "Ingress", "ingress": {"className": "nginx"}}),
            false,
        ),
        (
            json!({"type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "g"}]}}),
            false,
        ),
    ] {
        let mut exposure = way.clone();
        exposure["name"] = json!("a");
        let part = exposure
            .get_mut(if way["type"] == "Ingress" {
                "ingress"
            } else {
                "httpRoute"
            })
            .unwrap();
        part["hosts"] = hosts.clone();
        part["paths"] = paths.clone();
        let mut orders = read("octank", "orders");
        orders["spec"]["network"] = json!({"exposures": [exposure]});
        let resolved = resolve::<OrderService>("octank", &orders).map(drop);
        assert_eq!(resolved.is_err(), is_refused, "{way}: {resolved:?}");
    }
}
