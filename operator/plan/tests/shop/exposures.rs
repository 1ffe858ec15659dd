//! Further ways to a service, beside its Service.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, OrderService, Storefront, exposures::TrafficSource};
use shopkeeper_plan::{
    claims,
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    report,
    resolve::{References, Resolve, routes_come_from},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, read, references, resolve, typed, want},
    world::World,
};

const NLB: &str = "service.beta.kubernetes.io/aws-load-balancer";
const ALB: &str = "alb.ingress.kubernetes.io";

/// An OrderService with two ports and some exposures, which no Storefront leads to.
fn orders(exposures: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["workload"]["ports"] = json!([
        {"name": "http", "containerPort": 8080},
        {"name": "admin", "containerPort": 9000},
    ]);
    object["spec"]["network"] = json!({"exposures": exposures});
    object
}

fn all() -> Value {
    json!([
        {"name": "nlb", "type": "Service", "ports": ["http"], "service": {
            "type": "LoadBalancer", "annotations": {"example.com/team": "orders"}, "loadBalancer": {"sourceRanges": ["10.20.0.0/16"]}}},
        {"name": "nodes", "type": "Service", "service": {"type": "NodePort", "nodePorts": {"admin": 30090}}},
        {"name": "partners", "type": "Ingress", "ingress": {
            "exposure": "Public", "hosts": ["orders.octank.example"],
            "annotations": {format!("{ALB}/group.name"): "partners", format!("{ALB}/scheme"): "internal"},
            "paths": [{"path": "/orders"}, {"path": "/status", "pathType": "Exact", "port": "admin"}]}},
        {"name": "staff", "type": "Ingress", "ingress": {"className": "nginx", "hosts": ["orders.local"], "secretName": "orders-certificate",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}}},
        {"name": "mesh", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "shared", "namespace": "edge"}], "trafficFrom": "Callers"}},
    ])
}

fn key(kind: KubernetesKind, name: &str) -> ResourceKey {
    ResourceKey::kubernetes(kind, name)
}

fn body<'a>(world: &'a World, kind: KubernetesKind, name: &str) -> &'a Value {
    &world.kubernetes[&key(kind, name)].body
}

fn refused(object: &Value) -> String {
    resolve::<OrderService>("octank", object)
        .map(drop)
        .unwrap_err()
        .describe()
}

#[test]
fn a_service_has_several_ways_to_it() {
    let world = World::settled(want("octank", &orders(all())));
    assert!(world.plan().is_empty());
    let pods = json!({"app.kubernetes.io/name": "orders", "app.kubernetes.io/instance": "orders"});
    assert_eq!(
        body(&world, KubernetesKind::Service, "orders")["spec"]["type"],
        "ClusterIP"
    );
    let nlb = body(&world, KubernetesKind::Service, "orders-nlb");
    assert_eq!(nlb["spec"]["selector"], pods);
    assert_eq!(
        nlb["metadata"]["labels"]["app.kubernetes.io/name"], "orders-nlb",
        "a ServiceMonitor selects that of the pods alone"
    );
    assert_eq!(nlb["spec"]["ports"].as_array().unwrap().len(), 1);
    assert_eq!(nlb["spec"]["ports"][0]["targetPort"], "http");
    assert_eq!(
        nlb["spec"]["loadBalancerSourceRanges"],
        json!(["10.20.0.0/16"])
    );
    let annotations = &nlb["metadata"]["annotations"];
    assert_eq!(annotations[format!("{NLB}-scheme")], "internal");
    assert_eq!(annotations["example.com/team"], "orders");

    let nodes = body(&world, KubernetesKind::Service, "orders-nodes");
    assert_eq!(nodes["spec"]["type"], "NodePort");
    assert_eq!(nodes["spec"]["ports"][1]["nodePort"], 30090);

    let partners = body(&world, KubernetesKind::Ingress, "orders-partners");
    let path = |path: &str, kind: &str, port: u16| json!({"path": path, "pathType": kind, "backend": {"service": {"name": "orders", "port": {"number": port}}}});
    assert_eq!(
        partners["spec"],
        json!({
            "ingressClassName": "alb",
            "rules": [{"host": "orders.octank.example", "http": {"paths": [path("/orders", "Prefix", 80), path("/status", "Exact", 9000)]}}],
            "tls": [{"hosts": ["orders.octank.example"]}],
        })
    );
    let annotations = &partners["metadata"]["annotations"];
    for (name, value) in [
        ("scheme", "internet-facing"),
        ("group.name", "partners"),
        ("subnets", "subnet-public-a,subnet-public-b"),
        ("healthcheck-path", "/readyz"),
        ("listen-ports", r#"[{"HTTP":80},{"HTTPS":443}]"#),
    ] {
        assert_eq!(annotations[format!("{ALB}/{name}")], value, "{name}");
    }

    let staff = body(&world, KubernetesKind::Ingress, "orders-staff");
    assert_eq!(staff["spec"]["ingressClassName"], "nginx");
    assert_eq!(
        staff["spec"]["tls"],
        json!([{"hosts": ["orders.local"], "secretName": "orders-certificate"}])
    );
    let annotations = staff["metadata"]["annotations"].as_object().unwrap();
    assert!(
        !annotations.keys().any(|name| name.starts_with(ALB)),
        "{annotations:?}"
    );
    assert_eq!(
        annotations["nginx.ingress.kubernetes.io/proxy-body-size"],
        "8m"
    );

    let mesh = body(&world, KubernetesKind::HTTPRoute, "orders-mesh");
    assert_eq!(
        mesh["spec"],
        json!({
            "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared", "namespace": "edge"}],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"kind": "Service", "name": "orders", "port": 80}]}],
        })
    );
}

#[test]
fn who_comes_through_them_may_enter_by_the_ports_that_they_lead_to() {
    let entered = |exposures: Value| {
        let world = World::settled(want("octank", &orders(exposures)));
        let rules =
            body(&world, KubernetesKind::NetworkPolicy, "orders")["spec"]["ingress"].clone();
        let mut entered = Vec::new();
        for rule in rules.as_array().unwrap() {
            let ports = rule["ports"].as_array().unwrap().iter();
            let ports: Vec<_> = ports
                .map(|port| port["port"].as_str().unwrap().to_owned())
                .collect();
            for from in rule["from"].as_array().unwrap() {
                if let Some(cidr) = from["ipBlock"]["cidr"].as_str() {
                    entered.push(format!("{cidr} {}", ports.join(",")));
                }
            }
        }
        entered
    };
    let nlb = |exposure: &str| json!({"name": "nlb", "type": "Service", "ports": ["admin"], "service": {"type": "LoadBalancer", "loadBalancer": {"exposure": exposure}}});
    let ingress = |settings: Value| json!({"name": "web", "type": "Ingress", "ingress": settings});
    let route = |from: &str| json!({"name": "web", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "g"}], "trafficFrom": from}});
    // The Storefront of the example leads to it from the public subnets.
    let public = entered(json!([]));
    let with = |more: &[&str]| {
        let mut all = public.clone();
        all.extend(more.iter().map(|one| (*one).to_owned()));
        all
    };
    let private = |ports: &str| {
        [
            format!("10.0.0.0/24 {ports}"),
            format!("10.0.1.0/24 {ports}"),
        ]
    };
    assert_eq!(entered(json!([nlb("Public")])), public);
    for (exposure, ports) in [
        // It asks whether the pods are well where the probe does.
        (nlb("Internal"), "http,admin"),
        (ingress(json!({})), "http"),
        (
            ingress(json!({"className": "nginx", "trafficFrom": "PrivateSubnets"})),
            "http",
        ),
        (route("PrivateSubnets"), "http"),
    ] {
        let private = private(ports);
        assert_eq!(
            entered(json!([exposure])),
            with(&[&private[0], &private[1]]),
            "{exposure}"
        );
    }
    for exposure in [
        json!({"name": "a", "type": "Service", "service": {"type": "ClusterIP"}}),
        ingress(json!({"className": "nginx"})),
        route("Callers"),
    ] {
        assert_eq!(entered(json!([exposure])), public, "{exposure}");
    }
    let both = private("http,admin");
    assert_eq!(
        entered(json!([nlb("Internal"), ingress(json!({}))])),
        with(&[&both[0], &both[1]])
    );
}

#[test]
fn they_come_and_go_one_by_one() {
    let mut world = World::settled(want("octank", &orders(json!([]))));
    let step = |world: &mut World, exposures: Value| {
        world.wanted = want("octank", &orders(exposures));
        world.log.clear();
        assert!(world.run().is_empty());
        assert!(world.plan().is_empty());
        let mut log = world.log.clone();
        log.retain(|line| !line.contains("NetworkPolicy"));
        log
    };
    let some = |names: &[&str]| {
        let all = all();
        let all = all.as_array().unwrap().iter();
        Value::from(
            all.filter(|one| names.contains(&one["name"].as_str().unwrap()))
                .cloned()
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(step(&mut world, some(&["nlb", "mesh"])).len(), 2);
    assert_eq!(
        step(&mut world, some(&["mesh"])),
        ["remove Service/orders-nlb"]
    );
    let mut other = some(&["mesh"]);
    other[0]["type"] = json!("Ingress");
    other[0].as_object_mut().unwrap().remove("httpRoute");
    other[0]["ingress"] = json!({});
    let log = step(&mut world, other);
    assert_eq!(
        log,
        ["apply Ingress/orders-mesh", "remove HTTPRoute/orders-mesh"]
    );
    assert!(
        world
            .kubernetes
            .contains_key(&key(KubernetesKind::Service, "orders"))
    );
}

#[test]
fn it_is_not_ready_before_they_are() {
    let exposures =
        json!([{"name": "nlb", "type": "Service", "service": {"type": "LoadBalancer"}}]);
    let mut world = World::settled(want("octank", &orders(exposures)));
    world
        .kubernetes
        .get_mut(&key(KubernetesKind::Service, "orders-nlb"))
        .unwrap()
        .body["status"] = json!({});
    let (plan, observed) = (world.plan(), world.observe());
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    assert!(!report.ready);
    let edge = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == "EdgeReady")
        .unwrap();
    assert_eq!(edge.status, "False");
    assert!(edge.message.contains("orders-nlb"), "{}", edge.message);
}

#[test]
fn frontends_have_them_too_and_no_two_parts_ask_for_one_name() {
    let mut object = read("octank", "storefront");
    object["spec"]["frontends"][0]["network"] = json!({"exposures": [
        {"name": "nlb", "type": "Service", "service": {"type": "LoadBalancer"}},
    ]});
    let frontend = object["spec"]["frontends"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let name = format!("octank-{frontend}-nlb");
    let world = World::settled(want("octank", &object));
    let service = body(&world, KubernetesKind::Service, &name);
    assert_eq!(
        service["spec"]["selector"]["app.kubernetes.io/name"],
        format!("octank-{frontend}")
    );
    let claimed = typed::<Storefront>(&object).claims();
    let claim = claimed
        .iter()
        .find(|claim| claim.name == claims::Name::Workload(name.clone()))
        .unwrap();
    assert_eq!(
        claim.field,
        format!("spec.frontends[{frontend}].network.exposures[nlb].name")
    );

    let mut other = object["spec"]["frontends"][0].clone();
    other["name"] = json!(format!("{frontend}-nlb"));
    other.as_object_mut().unwrap().remove("network");
    object["spec"]["frontends"]
        .as_array_mut()
        .unwrap()
        .push(other);
    let failure = resolve::<Storefront>("octank", &object)
        .map(drop)
        .unwrap_err();
    assert!(
        failure.describe().contains(&format!(
            "spec.frontends.{frontend}.exposures.nlb: workload {name} is also asked for"
        )),
        "{failure}"
    );
}

#[test]
fn what_cannot_be_exposed_is_refused() {
    let service = |settings: Value| json!([{"name": "a", "type": "Service", "service": settings}]);
    for (exposures, parts) in [
        (
            json!([{"name": "a", "type": "Service", "ports": ["htpp"], "service": {"type": "NodePort"}}]),
            [
                "spec.network.exposures[a].ports: htpp is no port",
                "spec.workload.ports",
            ],
        ),
        (
            json!([{"name": "a", "type": "Service", "ports": ["http"], "service": {"type": "NodePort", "nodePorts": {"admin": 30080}}}]),
            [
                "spec.network.exposures[a].service.nodePorts.admin: names no port that is published",
                "spec.workload.ports",
            ],
        ),
        (
            json!([
                {"name": "a", "type": "Service", "service": {"type": "NodePort", "nodePorts": {"http": 30080}}},
                {"name": "b", "type": "Service", "service": {"type": "NodePort", "nodePorts": {"admin": 30080}}},
            ]),
            [
                "spec.network.exposures[b].service.nodePorts.admin: 30080 is also a port of spec.network.exposures[a].service",
                "leave it to the API server",
            ],
        ),
        (
            json!([{"name": "a", "type": "Ingress", "ingress": {"paths": [{"path": "/", "port": "htpp"}]}}]),
            [
                "spec.network.exposures[a].ingress.paths[/].port: htpp is no port",
                "spec.workload.ports",
            ],
        ),
        (
            json!([{"name": "a", "type": "Ingress", "ingress": {"paths": [{"path": "/a"}, {"path": "/a/"}]}}]),
            [
                "spec.network.exposures[a].ingress.paths[/a/]: matches the same requests",
                "take one of them out",
            ],
        ),
    ] {
        let said = refused(&orders(exposures));
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{parts:?}: {said}"
        );
    }
    let mut without_ports = orders(service(json!({"type": "NodePort"})));
    without_ports["spec"]["workload"]["ports"] = json!([]);
    for exposure in [
        service(json!({"type": "NodePort"})),
        json!([{"name": "a", "type": "Ingress", "ingress": {}}]),
    ] {
        without_ports["spec"]["network"]["exposures"] = exposure;
        let said = refused(&without_ports);
        assert!(
            said.contains("spec.network.exposures[a]: there is no port to expose"),
            "{said}"
        );
    }
    let of = |exposures: Value, references: &References| -> Failure {
        let mut platform = facts("octank");
        platform.public_subnets.clear();
        let object: OrderService = typed(&orders(exposures));
        object.resolve(&platform, references).map(drop).unwrap_err()
    };
    let public = json!([{"name": "a", "type": "Ingress", "ingress": {"exposure": "Public", "hosts": ["a.example"]}}]);
    let said = of(public, &references("octank")).describe();
    assert!(
        said.contains("exposures[a].ingress.exposure: Platform octank has no public subnets"),
        "{said}"
    );
    let without_gateways = References {
        http_routes: false,
        ..references("octank")
    };
    let route =
        json!([{"name": "a", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "g"}]}}]);
    let failure = of(route, &without_gateways);
    assert_eq!(failure.class, Class::NotReady);
    let said = failure.describe();
    assert!(
        said.contains("exposures[a].httpRoute: the cluster has no kind HTTPRoute"),
        "{said}"
    );
}

#[test]
fn a_tag_that_a_load_balancer_cannot_have_is_refused_where_there_is_one() {
    let mut platform = facts("octank");
    platform
        .tags
        .insert("cost-centre".to_owned(), "shop,web".to_owned());
    let said = |exposures: Value, platform| {
        let object: OrderService = typed(&orders(exposures));
        let failure = object.resolve(platform, &references("octank")).map(drop);
        failure.err().map(|failure| failure.describe())
    };
    for exposures in [
        json!([{"name": "a", "type": "Service", "service": {"type": "LoadBalancer"}}]),
        json!([{"name": "a", "type": "Ingress", "ingress": {}}]),
    ] {
        let said = said(exposures, &platform).unwrap();
        assert!(
            said.contains("spec.defaults.tags[cost-centre] of Platform octank: a load balancer cannot have this tag")
                && said.contains("without commas"),
            "{said}"
        );
    }
    for exposures in [
        json!([]),
        json!([{"name": "a", "type": "Service", "service": {"type": "NodePort"}}]),
        json!([{"name": "a", "type": "Ingress", "ingress": {"className": "nginx"}}]),
        json!([{"name": "a", "type": "HTTPRoute", "httpRoute": {"parentRefs": [{"name": "g"}]}}]),
    ] {
        assert_eq!(said(exposures, &platform), None);
    }
    let storefront: Storefront = typed(&read("octank", "storefront"));
    assert!(
        storefront
            .resolve(&platform, &references("octank"))
            .is_err()
    );
    let mut platform = facts("octank");
    platform.tags.insert("a=b".to_owned(), "c".to_owned());
    assert!(
        storefront
            .resolve(&platform, &references("octank"))
            .is_err()
    );
}

#[test]
fn a_gateway_is_let_in_from_where_it_is() {
    let mut object = read("octank", "storefront");
    let gateway = |from: Option<&str>| match from {
        None => json!({"parentRefs": [{"name": "shared"}]}),
        Some(from) => json!({"parentRefs": [{"name": "shared"}], "trafficFrom": from}),
    };
    assert_eq!(
        routes_come_from(&typed::<Storefront>(&object).spec),
        TrafficSource::PublicSubnets
    );
    for (from, source, cidr) in [
        (None, TrafficSource::PublicSubnets, Some("10.0.100.0/24")),
        (
            Some("PrivateSubnets"),
            TrafficSource::PrivateSubnets,
            Some("10.0.0.0/24"),
        ),
        (Some("Callers"), TrafficSource::Callers, None),
    ] {
        object["spec"]["gateway"] = gateway(from);
        assert_eq!(routes_come_from(&typed::<Storefront>(&object).spec), source);
        let world = World::settled(want("octank", &object));
        let of_frontend = body(&world, KubernetesKind::NetworkPolicy, "octank-web").to_string();
        // A service hears of it from what it is referred to by.
        let references = References {
            routed_from: [source].into(),
            ..references("octank")
        };
        let catalog = typed::<CatalogService>(&read("octank", "catalog"));
        let catalog = catalog.resolve(&facts("octank"), &references).unwrap();
        let world = World::settled(crate::fixture::wanted(catalog));
        let of_service = body(&world, KubernetesKind::NetworkPolicy, "catalog").to_string();
        for policy in [of_frontend, of_service] {
            for subnet in ["10.0.100.0/24", "10.0.0.0/24"] {
                assert_eq!(
                    policy.contains(&format!("{subnet}\"")),
                    cidr == Some(subnet),
                    "{from:?}: {policy}"
                );
            }
        }
    }
}
