//! The place of pods in the network: the Service in front of them, their security groups, and the web ACL of a load balancer.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, OrderService, platform::Prometheus};
use shopkeeper_plan::{
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    plan::{Action, Effect},
    resolve::{References, Resolve, platform},
    resource::ResourceKey,
};

use crate::{
    fixture::{facts, lost, read, references, resolve, typed, want, want_on, wanted},
    world::World,
};

const GROUPS: &str = "shopkeeper.dev/security-groups";
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

fn orders(network: Value) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["network"] = network;
    object
}

fn body<'a>(world: &'a World, kind: KubernetesKind, name: &str) -> &'a Value {
    &world.kubernetes[&ResourceKey::kubernetes(kind, name)].body
}

fn settle(world: &mut World, object: &Value) {
    world.wanted = want("octank", object);
    world.log.clear();
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn a_service_with_a_load_balancer_of_its_own() {
    let object = orders(json!({"service": {
        "type": "LoadBalancer",
        "annotations": {"example.com/team": "orders", format!("{PREFIX}-scheme"): "internet-facing"},
        "loadBalancer": {"sourceRanges": ["10.20.0.0/16"], "attributes": {"load_balancing.cross_zone.enabled": "true"}},
    }}));
    let mut world = World::new(want("octank", &object));
    for _ in 0..200 {
        let plan = world.pass();
        let service = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
        let has_address = world
            .kubernetes
            .get(&service)
            .is_some_and(|found| found.body["status"]["loadBalancer"].is_object());
        assert!(
            has_address || world.plan().steps.iter().any(|step| step.key == service),
            "it is not ready before it has an address"
        );
        if !world.tick() && plan.is_empty() {
            break;
        }
    }
    assert!(world.plan().is_empty());
    let service = body(&world, KubernetesKind::Service, "orders");
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["loadBalancerClass"], "service.k8s.aws/nlb");
    assert_eq!(
        service["spec"]["loadBalancerSourceRanges"],
        json!(["10.20.0.0/16"])
    );
    assert_eq!(service["spec"]["allocateLoadBalancerNodePorts"], false);
    let annotations = &service["metadata"]["annotations"];
    for (name, value) in [
        ("scheme", "internal"),
        ("nlb-target-type", "ip"),
        ("subnets", "subnet-private-a,subnet-private-b"),
        ("attributes", "load_balancing.cross_zone.enabled=true"),
    ] {
        assert_eq!(annotations[format!("{PREFIX}-{name}")], value, "{name}");
    }
    assert_eq!(annotations["example.com/team"], "orders");
    let tags = annotations[format!("{PREFIX}-additional-resource-tags")]
        .as_str()
        .unwrap();
    assert!(
        tags.contains("shopkeeper.dev/owner=OrderService/shop/orders"),
        "{tags}"
    );
    // It has its addresses in the private subnets; the Storefront's in the public ones.
    let policy = body(&world, KubernetesKind::NetworkPolicy, "orders").to_string();
    for cidr in ["10.0.0.0/24", "10.0.1.0/24", "10.0.100.0/24"] {
        assert_eq!(
            policy.matches(&format!("{cidr}\"")).count(),
            1,
            "{cidr}: {policy}"
        );
    }
}

#[test]
fn a_type_can_change_and_what_the_api_server_assigns_is_no_drift() {
    let mut world = World::settled(want("octank", &orders(json!({}))));
    let types = [
        json!({"type": "LoadBalancer", "loadBalancer": {"exposure": "Public"}}),
        json!({"type": "NodePort", "nodePorts": {"http": 30080}}),
        json!({"type": "NodePort"}),
        json!({"type": "ClusterIP"}),
    ];
    for service in types {
        settle(&mut world, &orders(json!({"service": service})));
        let expected = ["apply NetworkPolicy/orders", "apply Service/orders"];
        assert!(
            world
                .log
                .iter()
                .all(|line| expected.contains(&line.as_str())),
            "nothing but the Service and who may enter: {:#?}",
            world.log
        );
        assert!(world.log.contains(&"apply Service/orders".to_owned()));
        let key = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
        let found = world.kubernetes.get_mut(&key).unwrap();
        assert_eq!(found.body["spec"]["type"], service["type"]);
        let wanted = &service["nodePorts"]["http"];
        if !wanted.is_null() {
            assert_eq!(&found.body["spec"]["ports"][0]["nodePort"], wanted);
        }
        // As the API server does.
        found.body["spec"]["clusterIP"] = json!("10.100.7.7");
        found.body["spec"]["healthCheckNodePort"] = json!(31000);
        if wanted.is_null() && service["type"] == "NodePort" {
            found.body["spec"]["ports"][0]["nodePort"] = json!(31234);
        }
        found.body["spec"]["externalTrafficPolicy"] = json!("Cluster");
        let plan = world.plan();
        assert!(plan.is_empty(), "{plan:#?}");
    }
}

#[test]
fn a_node_hands_on_with_its_own_address() {
    let world = World::settled(want(
        "octank",
        &orders(json!({"service": {"type": "NodePort"}})),
    ));
    let policy = body(&world, KubernetesKind::NetworkPolicy, "orders").to_string();
    assert!(policy.contains("10.0.0.0/24"), "{policy}");
}

#[test]
fn what_cannot_be_published_is_refused() {
    let refused = |network: Value, without_ports: bool| {
        let mut object = orders(network);
        if without_ports {
            object["spec"]["workload"]["ports"] = json!([]);
            object["spec"]["workload"]["metrics"] = Value::Null;
            object["spec"]["workload"]["probes"] = Value::Null;
        }
        resolve::<OrderService>("octank", &object)
            .map(drop)
            .unwrap_err()
            .describe()
    };
    let unknown = refused(
        json!({"service": {"type": "NodePort", "nodePorts": {"htpp": 30080}}}),
        false,
    );
    assert!(
        unknown.contains("spec.network.service.nodePorts.htpp: names no port")
            && unknown.contains("spec.workload.ports"),
        "{unknown}"
    );
    let nothing = refused(json!({"service": {"type": "NodePort"}}), true);
    assert!(
        nothing.contains("spec.network.service: there is no port"),
        "{nothing}"
    );
    let mut platform = facts("octank");
    platform.public_subnets.clear();
    let object: OrderService = typed(&orders(
        json!({"service": {"type": "LoadBalancer", "loadBalancer": {"exposure": "Public"}}}),
    ));
    let hidden = object
        .resolve(&platform, &references("octank"))
        .map(drop)
        .unwrap_err()
        .describe();
    assert!(
        hidden.contains("spec.network.service.loadBalancer.exposure")
            && hidden.contains("has no public subnets"),
        "{hidden}"
    );
}

fn told(world: &World) -> Value {
    body(world, KubernetesKind::Deployment, "orders")["spec"]["template"]["metadata"]["annotations"]
        [GROUPS]
        .clone()
}

#[test]
fn pods_are_given_security_groups_when_they_are_made() {
    let with = |groups: Value| orders(json!({"securityGroupIds": groups}));
    let world = World::settled(want("octank", &with(json!(["sg-0b", "sg-0a"]))));
    let policy = body(&world, KubernetesKind::SecurityGroupPolicy, "orders");
    assert_eq!(
        policy["spec"],
        json!({
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "orders", "app.kubernetes.io/instance": "orders"}},
            "securityGroups": {"groupIds": ["sg-0a", "sg-0b"]},
        })
    );
    assert_eq!(told(&world), "sg-0a,sg-0b");

    // Pods that run get others by being replaced, once the policy has them.
    let mut world = World::settled(want("octank", &orders(json!({}))));
    assert_eq!(told(&world), Value::Null);
    for (groups, policy, mark) in [
        (json!(["sg-0a"]), "apply", json!("sg-0a")),
        (json!(["sg-0a", "sg-0c"]), "apply", json!("sg-0a,sg-0c")),
        (json!([]), "remove", json!("None")),
    ] {
        world.wanted = want("octank", &with(groups));
        world.log.clear();
        let mut rolled = 0;
        for _ in 0..60 {
            let plan = world.pass();
            rolled += plan
                .steps
                .iter()
                .filter(|step| {
                    step.key.to_string() == "Deployment orders"
                        && step.action == Action::Update
                        && step.effect == Effect::Rolling
                })
                .count();
            if !world.tick() && plan.is_empty() {
                break;
            }
        }
        assert!(world.plan().is_empty());
        assert_eq!(rolled, 1);
        assert_eq!(
            world.log,
            [
                format!("{policy} SecurityGroupPolicy/orders"),
                "apply Deployment/orders".to_owned()
            ]
        );
        assert_eq!(told(&world), mark);
    }
}

#[test]
fn security_groups_that_keep_pods_from_coming_up_can_be_taken_out() {
    let with = |groups: Value| orders(json!({"securityGroupIds": groups}));
    let mut world = World::settled(want("octank", &with(json!(["sg-0a"]))));
    world.pods_fail = true;
    while world.tick() {}
    world.wanted = want("octank", &with(json!([])));
    world.run();
    let key = ResourceKey::kubernetes(KubernetesKind::SecurityGroupPolicy, "orders");
    assert!(!world.kubernetes.contains_key(&key), "{:#?}", world.log);
    assert_eq!(told(&world), "None");
}

#[test]
fn a_cluster_that_cannot_do_it_is_told() {
    let object: OrderService = typed(&orders(json!({"securityGroupIds": ["sg-0a"]})));
    let references = References {
        security_group_policies: false,
        ..references("octank")
    };
    let failure = object
        .resolve(&facts("octank"), &references)
        .map(|resolved| lost(&resolved))
        .unwrap()
        .unwrap();
    assert_eq!(failure.class, Class::NotReady);
    let text = failure.describe();
    assert!(
        text.contains("spec.network.securityGroupIds: the cluster has no kind SecurityGroupPolicy")
            && text.contains("leave securityGroupIds out"),
        "{text}"
    );
}

#[test]
fn a_web_acl_that_is_taken_out_is_taken_off() {
    const ACL: &str = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/a1b2c3d4";
    let with = |acl: Value| {
        let mut object = read("octank", "storefront");
        object["spec"]["loadBalancer"] = json!({"wafAclArn": acl});
        if acl.is_null() {
            object["spec"]["loadBalancer"] = json!({});
        }
        object
    };
    let acl = |world: &World| {
        body(world, KubernetesKind::Ingress, "octank")["metadata"]["annotations"]
            ["alb.ingress.kubernetes.io/wafv2-acl-arn"]
            .clone()
    };
    let mut world = World::settled(want("octank", &with(Value::Null)));
    assert_eq!(
        acl(&world),
        Value::Null,
        "one that never had one is left alone"
    );
    settle(&mut world, &with(json!(ACL)));
    assert_eq!(acl(&world), ACL);
    settle(&mut world, &with(Value::Null));
    assert_eq!(acl(&world), "none");
    world.log.clear();
    assert!(world.run().is_empty() && world.log.is_empty());
    settle(&mut world, &with(json!(ACL)));
    assert_eq!(acl(&world), ACL);
}

#[test]
fn what_lets_load_balancers_in_stays_while_nobody_knows_the_routes() {
    let object = read("octank", "catalog");
    let mut world = World::settled(want("octank", &object));
    let key = ResourceKey::kubernetes(KubernetesKind::NetworkPolicy, "catalog");
    let before = world.kubernetes[&key].body["spec"].clone();
    let unread = "Storefront shop/octank cannot be read";
    let mut unknown = References {
        routes_unknown: Some(Failure::new(Class::NotReady, unread)),
        routed_from: BTreeSet::new(),
        ..references("octank")
    };
    let wanted_with = |references: &References| {
        let resolved = typed::<CatalogService>(&object).resolve(&facts("octank"), references);
        wanted(resolved.unwrap())
    };
    world.wanted = wanted_with(&unknown);
    world.run();
    assert_eq!(world.kubernetes[&key].body["spec"], before);
    assert!(format!("{:?}", world.plan()).contains(unread));
    // Once it is known that none leads here, the rule goes.
    unknown.routes_unknown = None;
    world.wanted = wanted_with(&unknown);
    assert!(world.run().is_empty());
    assert_ne!(world.kubernetes[&key].body["spec"], before);
}

/// Who may enter by which ports, as far as addresses say: `10.0.0.0/24 http`.
fn entered(network: Value, ports: &Value) -> Vec<String> {
    let mut object = orders(network);
    object["spec"]["workload"]["ports"] = ports.clone();
    object["spec"]["workload"]
        .as_object_mut()
        .unwrap()
        .remove("probes");
    let world = World::settled(want("octank", &object));
    let policy = body(&world, KubernetesKind::NetworkPolicy, "orders");
    let mut entered = Vec::new();
    for rule in policy["spec"]["ingress"].as_array().unwrap() {
        let ports = rule["ports"].as_array().unwrap().iter();
        let ports: Vec<_> = ports.map(|port| port["port"].as_str().unwrap()).collect();
        let blocks = rule["from"].as_array().unwrap().iter();
        let blocks = blocks.filter_map(|from| from["ipBlock"]["cidr"].as_str());
        entered.extend(blocks.map(|cidr| format!("{cidr} {}", ports.join(","))));
    }
    // The Storefront of the example leads there, and a load balancer asks for the health of the pods.
    entered.retain(|one| !one.starts_with("10.0.1") && !one.starts_with("10.0.0.0/24"));
    entered
}

#[test]
fn senders_of_udp_come_through_a_load_balancer_with_their_own_addresses() {
    let ports = json!([
        {"name": "http", "containerPort": 8080},
        {"name": "game", "containerPort": 7777, "protocol": "UDP"},
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "containerPort": 53},
    ]);
    let service =
        |load_balancer: Value| json!({"type": "LoadBalancer", "loadBalancer": load_balancer});
    let own = |load_balancer: Value| json!({"service": service(load_balancer)});
    let all = |cidr: &str| format!("{cidr} game,dns,dns-tcp");
    for (load_balancer, expected) in [
        (
            json!({"exposure": "Public"}),
            vec![all("0.0.0.0/0"), all("::/0")],
        ),
        (json!({}), vec![all("10.0.0.0/16")]),
        (
            json!({"exposure": "Public", "sourceRanges": ["192.0.2.7/24", "198.51.100.0/24"]}),
            vec![all("192.0.2.0/24"), all("198.51.100.0/24")],
        ),
        (
            json!({"exposure": "Public", "class": "example.com/lb"}),
            vec![],
        ),
    ] {
        assert_eq!(
            entered(own(load_balancer.clone()), &ports),
            expected,
            "{load_balancer}"
        );
    }
    let exposed = |names: Value| json!({"exposures": [{"name": "a", "type": "Service", "ports": names, "service": service(json!({"exposure": "Public"}))}]});
    assert_eq!(
        entered(exposed(json!(["http", "game"])), &ports),
        ["0.0.0.0/0 game", "::/0 game"]
    );
    assert!(entered(exposed(json!(["http", "dns-tcp"])), &ports).is_empty());
}

#[test]
fn a_frontend_is_open_to_the_load_balancer_where_a_route_leads_to_it() {
    let mut object = read("octank", "storefront");
    let of = |object: &Value| {
        let world = World::settled(want("octank", object));
        let policy = body(&world, KubernetesKind::NetworkPolicy, "octank-web").to_string();
        let service = body(&world, KubernetesKind::Service, "octank-web").to_string();
        (
            policy.contains("ipBlock"),
            service.contains("healthcheck-path"),
        )
    };
    assert_eq!(of(&object), (true, true));
    let routes = object["spec"]["routes"].as_array_mut().unwrap();
    routes.retain(|route| route["frontend"].is_null());
    assert!(!routes.is_empty());
    assert_eq!(of(&object), (false, false));
    object["spec"]["routes"] = json!([]);
    assert_eq!(of(&object), (false, false));
}

#[test]
fn prometheus_is_let_in_where_the_platform_says_that_it_is() {
    let mut object = read("octank", "orders");
    let rules = |object: &Value, declared: Value| {
        let mut platform = facts("octank");
        platform.prometheus = platform::prometheus(typed::<Option<Prometheus>>(&declared).as_ref());
        let world = World::settled(want_on(&platform, object));
        let policy = body(&world, KubernetesKind::NetworkPolicy, "orders");
        policy["spec"]["ingress"].as_array().unwrap().clone()
    };
    let without = rules(&object, Value::Null);
    object["spec"]["workload"]["metrics"] = json!({});
    let default = json!({"app.kubernetes.io/name": "prometheus"});
    let own = json!({"app": "agent"});
    for (declared, let_in) in [
        (Value::Null, Some(("monitoring", &default))),
        (json!({"type": "Pods"}), Some(("monitoring", &default))),
        (
            json!({"type": "Pods", "pods": {"namespace": "observability"}}),
            Some(("observability", &default)),
        ),
        (
            json!({"type": "Pods", "pods": {"labels": {"app": "agent"}}}),
            Some(("monitoring", &own)),
        ),
        (json!({"type": "None"}), None),
    ] {
        let mut expected = without.clone();
        expected.extend(let_in.map(|(namespace, labels)| {
            json!({
                "from": [{
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "podSelector": {"matchLabels": labels},
                }],
                "ports": [{"port": "http", "protocol": "TCP"}],
            })
        }));
        assert_eq!(rules(&object, declared.clone()), expected, "{declared}");
    }
}
