//! How load balancers speak to pods.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, Storefront};
use shopkeeper_plan::{kubernetes::KubernetesKind, resolve::Resolve, resource::ResourceKey};

use crate::{
    fixture::{facts, lost, read, references, resolve, typed, want},
    world::World,
};

const ALB: &str = "alb.ingress.kubernetes.io";

fn orders(ports: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["ports"] = ports;
    object
}

/// What the Service says, by the names without their prefix: protocol, version, path, port and codes.
fn said(object: &Value) -> [Option<String>; 5] {
    let world = World::settled(want("octank", object));
    let key = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
    let annotations = &world.kubernetes[&key].body["metadata"]["annotations"];
    [
        "backend-protocol",
        "backend-protocol-version",
        "healthcheck-path",
        "healthcheck-port",
        "success-codes",
    ]
    .map(|name| Some(annotations[format!("{ALB}/{name}")].as_str()?.to_owned()))
}

#[test]
fn they_speak_as_the_first_port_says() {
    let http = json!({"name": "http", "containerPort": 8080});
    for (first, protocol, version) in [
        (http.clone(), None, None),
        (
            json!({"name": "https", "containerPort": 8443}),
            Some("HTTPS"),
            None,
        ),
        (
            json!({"name": "web", "containerPort": 8443, "appProtocol": "https"}),
            Some("HTTPS"),
            None,
        ),
        (
            json!({"name": "https", "containerPort": 8443, "appProtocol": "grpc"}),
            Some("HTTPS"),
            Some("GRPC"),
        ),
        (
            json!({"name": "grpc", "containerPort": 9090}),
            None,
            Some("GRPC"),
        ),
        (
            json!({"name": "grpc", "containerPort": 9090, "appProtocol": "http"}),
            None,
            None,
        ),
        (
            json!({"name": "web", "containerPort": 9090, "appProtocol": "kubernetes.io/h2c"}),
            None,
            Some("HTTP2"),
        ),
    ] {
        let udp = json!({"name": "quic", "containerPort": 4433, "protocol": "UDP"});
        let other = json!({"name": "other", "containerPort": 9443, "appProtocol": "https"});
        let said = said(&orders(json!([udp, first, other])));
        let expected = [protocol, version].map(|text| text.map(str::to_owned));
        assert_eq!(said[..2], expected, "{first}");
    }
    let mut own = orders(json!([{"name": "grpc", "containerPort": 9090}]));
    own["spec"]["network"] = json!({"service": {"type": "ClusterIP", "annotations": {format!("{ALB}/backend-protocol-version"): "HTTP1"}}});
    assert_eq!(said(&own)[1].as_deref(), Some("HTTP1"));
}

#[test]
fn nothing_is_said_where_no_load_balancer_leads() {
    let mut object = orders(json!([{"name": "https", "containerPort": 8443}]));
    let at = |object: &Value, routed: bool| {
        let mut references = references("octank");
        if !routed {
            references.routed_from.clear();
        }
        let orders: OrderService = typed(object);
        let resolved = orders.resolve(&facts("octank"), &references).unwrap();
        let world = World::settled(crate::fixture::wanted(resolved));
        let key = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
        let annotations = &world.kubernetes[&key].body["metadata"]["annotations"];
        annotations[format!("{ALB}/backend-protocol")].is_string()
    };
    assert!(at(&object, true));
    assert!(!at(&object, false));
    object["spec"]["network"] =
        json!({"exposures": [{"name": "web", "type": "Ingress", "ingress": {}}]});
    assert!(at(&object, false));
}

#[test]
fn by_grpc_they_ask_for_health_by_grpc() {
    let mut object = orders(json!([
        {"name": "grpc", "containerPort": 9090},
        {"name": "metrics", "containerPort": 9100},
    ]));
    let mut of = |readiness: Value| {
        object["spec"]["workload"]["probes"] = json!({"readiness": readiness});
        let remarks = resolve::<OrderService>("octank", &object).unwrap();
        assert!(
            remarks.components[0].remarks.is_empty(),
            "{:?}",
            remarks.components[0].remarks
        );
        let [_, _, path, port, codes] = said(&object);
        [path, port, codes].map(Option::unwrap_or_default)
    };
    assert_eq!(
        of(json!({"grpc": {}})),
        ["/grpc.health.v1.Health/Check", "9090", "0"]
    );
    for other in [
        json!({"httpGet": {"port": "metrics", "path": "/up"}}),
        json!({"tcpSocket": {}}),
    ] {
        assert_eq!(of(other), ["/AWS.ALB/healthcheck", "", "12"]);
    }
}

#[test]
fn what_needs_tls_at_the_load_balancer_is_told() {
    let grpc = orders(json!([{"name": "grpc", "containerPort": 9090}]));
    let mut exposed = grpc.clone();
    let refused = |object: &Value| {
        let resolved = resolve::<OrderService>("octank", object).map(drop);
        resolved.err().map(|failure| failure.describe())
    };
    for (ingress, is_refused) in [
        (json!({}), true),
        (
            json!({"hosts": ["orders.example"], "tls": {"type": "None"}}),
            true,
        ),
        (json!({"hosts": ["orders.example"]}), false),
        (json!({"className": "nginx"}), false),
    ] {
        exposed["spec"]["network"] =
            json!({"exposures": [{"name": "web", "type": "Ingress", "ingress": ingress}]});
        let said = refused(&exposed);
        assert_eq!(said.is_some(), is_refused, "{ingress}: {said:?}");
        if let Some(said) = said {
            assert!(
                said.contains("spec.network.exposures[web].ingress: leads to pods that speak gRPC")
                    && said.contains("certificates in tls"),
                "{said}"
            );
        }
    }

    let mut references = references("octank");
    let ports = shopkeeper_plan::resolve::HasPorts::service_ports(&typed::<OrderService>(&grpc));
    for (key, service) in &mut references.services {
        if key.name == "orders" {
            service.ports = ports.clone();
        }
    }
    let mut storefront = read("octank", "storefront");
    let of = |storefront: &Value| {
        let storefront: Storefront = typed(storefront);
        lost(&storefront.resolve(&facts("octank"), &references).unwrap())
    };
    assert_eq!(of(&storefront), None);
    storefront["spec"]["tls"] = json!({"type": "None"});
    let failure = of(&storefront).unwrap();
    assert!(
        failure
            .message
            .contains("spec.routes[/orders]: leads to pods that speak gRPC"),
        "{failure}"
    );
    storefront["spec"]["gateway"] = json!({"parentRefs": [{"name": "shared"}]});
    assert_eq!(of(&storefront), None);
}
