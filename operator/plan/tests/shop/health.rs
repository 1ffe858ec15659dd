//! How load balancers see whether pods are well.

use serde_json::{Value, json};
use shopkeeper_api::{OrderService, Storefront};
use shopkeeper_plan::{kubernetes::KubernetesKind, resource::ResourceKey};

use crate::{
    fixture::{read, resolve, want},
    world::World,
};

const NLB: &str = "service.beta.kubernetes.io/aws-load-balancer";
const ALB: &str = "alb.ingress.kubernetes.io";

/// An OrderService with a port for its managers and a readiness probe. The Storefront of the example leads to it.
fn orders(readiness: Value, exposures: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["ports"] = json!([
        {"name": "http", "containerPort": 8080},
        {"name": "management", "containerPort": 9000},
    ]);
    object["spec"]["workload"]["probes"] = json!({"readiness": readiness});
    object["spec"]["network"] = json!({"exposures": exposures});
    object
}

fn body<'a>(world: &'a World, kind: KubernetesKind, name: &str) -> &'a Value {
    &world.kubernetes[&ResourceKey::kubernetes(kind, name)].body
}

/// What an object says of health checks, by the names without their prefix.
fn said(world: &World, kind: KubernetesKind, name: &str, prefix: &str) -> Value {
    let annotations = body(world, kind, name)["metadata"]["annotations"].as_object();
    annotations
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)))
        .filter(|(name, _)| name.contains("healthcheck") || name.contains("success-codes"))
        .map(|(name, value)| (name[1..].to_owned(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn remarks(resolved: &shopkeeper_plan::resolve::Resolved) -> Vec<String> {
    let components = resolved.components.iter();
    let remarks = components.flat_map(|component| &component.remarks);
    let remarks = remarks.filter(|remark| remark.reason == "HealthPathNotDeclared");
    remarks.map(|remark| remark.text.clone()).collect()
}

#[test]
fn load_balancers_ask_what_the_readiness_probe_asks() {
    let exposures = json!([
        {"name": "web", "type": "Ingress", "ingress": {}},
        {"name": "nlb", "type": "Service", "ports": ["http"], "service": {"type": "LoadBalancer"}},
        {"name": "staff", "type": "Ingress", "ingress": {"className": "nginx"}},
        {"name": "nodes", "type": "Service", "service": {"type": "NodePort"}},
    ]);
    let probe =
        json!({"httpGet": {"port": "management", "path": "/actuator/health", "scheme": "HTTPS"}});
    let world = World::settled(want("octank", &orders(probe, exposures.clone())));
    let alb = json!({
        "healthcheck-path": "/actuator/health", "healthcheck-port": "9000", "healthcheck-protocol": "HTTPS", "success-codes": "200-399",
    });
    assert_eq!(said(&world, KubernetesKind::Service, "orders", ALB), alb);
    assert_eq!(
        said(&world, KubernetesKind::Ingress, "orders-web", ALB),
        alb
    );
    assert_eq!(
        said(&world, KubernetesKind::Service, "orders-nlb", NLB),
        json!({
            "healthcheck-path": "/actuator/health", "healthcheck-port": "9000", "healthcheck-protocol": "https",
            "healthcheck-success-codes": "200-399",
        })
    );
    for (kind, name, prefix) in [
        (KubernetesKind::Ingress, "orders-staff", ALB),
        (KubernetesKind::Service, "orders-nodes", NLB),
    ] {
        assert_eq!(said(&world, kind, name, prefix), json!({}), "{name}");
    }
    // No load balancer sends headers: what it would be told without them is not what the probe is told.
    let probe = json!({"httpGet": {"path": "/up", "httpHeaders": [{"name": "Host", "value": "orders.example"}]}});
    let world = World::settled(want("octank", &orders(probe, exposures)));
    assert_eq!(
        said(&world, KubernetesKind::Service, "orders-nlb", NLB),
        json!({})
    );
}

#[test]
fn a_single_port_is_asked_where_requests_go() {
    let mut object = orders(json!({"httpGet": {}}), json!([]));
    object["spec"]["workload"]["ports"] = json!([{"name": "http", "containerPort": 8080}]);
    let world = World::settled(want("octank", &object));
    assert_eq!(
        said(&world, KubernetesKind::Service, "orders", ALB),
        json!({"healthcheck-path": "/", "healthcheck-protocol": "HTTP", "success-codes": "200-399"})
    );
}

#[test]
fn what_the_user_says_of_health_checks_stays() {
    let mut object = orders(
        json!({"httpGet": {"path": "/up"}}),
        json!([
            {"name": "web", "type": "Ingress", "ingress": {"annotations": {format!("{ALB}/success-codes"): "200,401"}}},
            {"name": "nlb", "type": "Service", "service": {"type": "LoadBalancer",
                "annotations": {format!("{NLB}-healthcheck-protocol"): "tcp"}}},
        ]),
    );
    object["spec"]["network"]["service"] =
        json!({"type": "ClusterIP", "annotations": {format!("{ALB}/healthcheck-port"): "8081"}});
    let world = World::settled(want("octank", &object));
    // They hold together: the rest of them is the user's, too. What the Service says would win over the Ingress.
    for (kind, name, prefix, expected) in [
        (
            KubernetesKind::Service,
            "orders",
            ALB,
            json!({"healthcheck-path": "/up", "healthcheck-port": "8081"}),
        ),
        (
            KubernetesKind::Ingress,
            "orders-web",
            ALB,
            json!({"healthcheck-path": "/up", "success-codes": "200,401"}),
        ),
        (
            KubernetesKind::Service,
            "orders-nlb",
            NLB,
            json!({"healthcheck-protocol": "tcp"}),
        ),
    ] {
        assert_eq!(said(&world, kind, name, prefix), expected, "{name}");
    }
    let ingress = json!({"annotations": {format!("{ALB}/backend-protocol-version"): "GRPC"}});
    let web = json!([{"name": "web", "type": "Ingress", "ingress": ingress}]);
    let object = orders(json!({"httpGet": {"path": "/up"}}), web);
    let world = World::settled(want("octank", &object));
    assert_eq!(
        said(&world, KubernetesKind::Service, "orders", ALB),
        json!({"healthcheck-path": "/up"})
    );
}

#[test]
fn load_balancers_are_let_in_where_they_ask() {
    let private = |port: Value, exposure: Value| -> Vec<Value> {
        let probe = json!({"httpGet": {"port": port}});
        let world = World::settled(want("octank", &orders(probe, json!([exposure]))));
        let policy = body(&world, KubernetesKind::NetworkPolicy, "orders");
        let rules = policy["spec"]["ingress"].as_array().unwrap().iter();
        rules
            .filter(|rule| rule["from"][0]["ipBlock"]["cidr"] == "10.0.0.0/24")
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].clone())
            .collect()
    };
    let nlb = json!({"name": "nlb", "type": "Service", "ports": ["http"], "service": {"type": "LoadBalancer"}});
    let web = json!({"name": "web", "type": "Ingress", "ingress": {}});
    for exposure in [nlb, web] {
        let entered = private(json!("management"), exposure.clone());
        assert_eq!(entered, ["http", "management"]);
        let entered = private(json!(9100), exposure);
        assert_eq!(entered, [json!("http"), json!(9100)]);
    }
    for exposure in [
        json!({"name": "a", "type": "Service", "ports": ["http"], "service": {"type": "NodePort"}}),
        json!({"name": "a", "type": "Ingress", "ingress": {"className": "nginx", "trafficFrom": "PrivateSubnets"}}),
    ] {
        assert_eq!(private(json!("management"), exposure), ["http"]);
    }
}

#[test]
fn a_probe_that_no_load_balancer_asks_is_told_where_there_is_one() {
    let of = |readiness: Value, exposures: Value| {
        let mut object = orders(readiness, exposures);
        object["metadata"]["name"] = json!("refunds");
        remarks(&resolve::<OrderService>("octank", &object).unwrap())
    };
    let web = json!([{"name": "web", "type": "Ingress", "ingress": {}}]);
    let tcp = json!({"tcpSocket": {}});
    assert_eq!(
        of(tcp.clone(), web.clone()),
        [
            "spec.workload.probes.readiness asks by tcpSocket, and load balancers ask for / by HTTP and send nothing to pods that do not \
             answer 200: ask by httpGet"
        ]
    );
    let exec = json!({"exec": {"command": ["true"]}});
    assert!(of(exec, web.clone())[0].contains("asks by exec"));
    assert!(of(json!({"httpGet": {}}), web).is_empty());
    for exposures in [
        json!([]),
        json!([{"name": "a", "type": "Service", "service": {"type": "LoadBalancer"}}]),
        json!([{"name": "a", "type": "Ingress", "ingress": {"className": "nginx"}}]),
        json!([{"name": "a", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "g"}]}}]),
    ] {
        assert!(of(tcp.clone(), exposures).is_empty());
    }
    let routed = orders(tcp.clone(), json!([]));
    let routed = resolve::<OrderService>("octank", &routed).unwrap();
    assert_eq!(remarks(&routed).len(), 1, "a Storefront leads there");

    let mut storefront = read("octank", "storefront");
    storefront["spec"]["frontends"][0]["workload"]["probes"] = json!({"readiness": tcp});
    let of = |object: &Value| remarks(&resolve::<Storefront>("octank", object).unwrap());
    let told = of(&storefront);
    assert!(
        told[0].starts_with("spec.frontends[web].workload.probes.readiness asks by tcpSocket")
            && told[0].ends_with("ask by httpGet, or set spec.frontends[web].healthPath"),
        "{told:?}"
    );
    storefront["spec"]["frontends"][0]["healthPath"] = json!("/up");
    assert!(of(&storefront).is_empty());
    let world = World::settled(want("octank", &storefront));
    assert_eq!(
        said(&world, KubernetesKind::Service, "octank-web", ALB),
        json!({"healthcheck-path": "/up"})
    );
}
