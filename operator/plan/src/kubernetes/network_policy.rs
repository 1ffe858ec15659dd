//! NetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shopkeeper_api::{exposures::TrafficSource, network::Caller, workload::Port};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::{
    facts::PlatformFacts,
    resolve::{Component, HealthProbe, ResolvedService, Way},
};

/// Who may open connections to the pods: the callers that are listed, the load balancers of Storefronts that route here and
/// of the workload's own exposures, and the Platform's Prometheus on the port of the metrics. Nobody else.
pub fn build(
    frame: &Frame<'_>,
    component: &Component,
    platform: &PlatformFacts,
) -> KubernetesObject {
    let mut ingress = Vec::new();
    let peers: Vec<Value> = component
        .callers
        .iter()
        .filter_map(|caller| peer(caller, &frame.owner.namespace))
        .collect();
    ingress.extend(rule(peers, ports(component, |_| true)));
    for (source, entered) in entrances(component) {
        // The controller registers pod addresses: packets come from the load balancer's own addresses in its subnets.
        let subnets = match source {
            TrafficSource::PublicSubnets => &platform.public_subnets,
            TrafficSource::PrivateSubnets => &platform.private_subnets,
            TrafficSource::Callers => continue,
        };
        let from: Vec<Value> = subnets
            .iter()
            .map(|subnet| json!({"ipBlock": {"cidr": subnet.cidr}}))
            .collect();
        let asked = entered.asked_at;
        let is_asked = |port: &Port| Some(port.container_port) == asked && !port.is_udp();
        let mut ports = ports(component, |port| {
            entered.names.contains(port.name.as_str()) || is_asked(port)
        });
        if let Some(number) = asked
            && !component.workload.ports.iter().any(is_asked)
        {
            ports.push(json!({"port": number, "protocol": "TCP"}));
        }
        ingress.extend(rule(from, ports));
    }
    for (service, published) in services(component) {
        let from = service.senders(&platform.vpc).into_iter();
        let from = from
            .map(|cidr| json!({"ipBlock": {"cidr": cidr}}))
            .collect();
        let by_udp: BTreeSet<i32> = published
            .iter()
            .filter(|port| port.is_udp())
            .map(|port| port.effective_service_port())
            .collect();
        // A port of both protocols is one of TCP_UDP to the load balancer.
        let has_sender = |port: &Port| {
            published.contains(&port) && by_udp.contains(&port.effective_service_port())
        };
        ingress.extend(rule(from, ports(component, has_sender)));
    }
    if let (Some(metrics), Some(prometheus)) = (&component.metrics, &platform.prometheus) {
        ingress.push(json!({
            "from": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": prometheus.namespace}},
                "podSelector": {"matchLabels": prometheus.labels},
            }],
            "ports": [{"port": metrics.port.name, "protocol": "TCP"}],
        }));
    }
    ObjectBuilder::new(frame, KubernetesKind::NetworkPolicy, &component.name)
        .with("spec", json!({"podSelector": {"matchLabels": frame.selector()}, "policyTypes": ["Ingress"], "ingress": ingress}))
        .build()
}

/// A rule without sources would let everybody in, and one without ports open all of them.
fn rule(from: Vec<Value>, ports: Vec<Value>) -> Option<Value> {
    (!from.is_empty() && !ports.is_empty()).then(|| json!({"from": from, "ports": ports}))
}

/// What whoever comes from somewhere enters by.
#[derive(Default)]
struct Entrance<'a> {
    /// Names of ports.
    names: BTreeSet<&'a str>,
    /// Number of the port at which load balancers ask whether the pods are well.
    asked_at: Option<i32>,
}

impl<'a> Entrance<'a> {
    fn add(&mut self, names: impl Iterator<Item = &'a str>, probe: Option<&HealthProbe>) {
        self.names.extend(names);
        self.asked_at = self.asked_at.or(probe.map(|probe| probe.port));
    }
}

/// Where packets come from that enter through load balancers and nodes, and the ports that they enter by.
fn entrances(component: &Component) -> BTreeMap<TrafficSource, Entrance<'_>> {
    let mut entrances: BTreeMap<_, Entrance<'_>> = BTreeMap::new();
    let health = &component.health;
    let of_routes = component.routed_from.iter();
    let of_routes = of_routes.map(|source| (*source, health.probe.as_ref()));
    let of_service = component.service.entered_from().map(|exposure| {
        let probe = health.asked_through(&component.service);
        (TrafficSource::from(exposure), probe)
    });
    for (source, probe) in of_routes.chain(of_service) {
        let names = component.workload.ports.iter();
        let names = names.map(|port| port.name.as_str());
        entrances.entry(source).or_default().add(names, probe);
    }
    for exposure in &component.exposures {
        let probe = match &exposure.way {
            Way::Service(service) => health.asked_through(service),
            Way::Route(route) => health.probe.as_ref().filter(|_| route.is_of_aws()),
        };
        entrances
            .entry(exposure.traffic_from)
            .or_default()
            .add(exposure.ports.iter().map(String::as_str), probe);
    }
    entrances
}

/// The Services in front of the pods, and the ports that each publishes.
fn services(component: &Component) -> impl Iterator<Item = (&ResolvedService, Vec<&Port>)> {
    let all = component.workload.ports.iter().collect();
    let further = component.exposures.iter().filter_map(|exposure| {
        let Way::Service(service) = &exposure.way else {
            return None;
        };
        Some((service, component.ports_of(exposure)))
    });
    [(&component.service, all)].into_iter().chain(further)
}

fn ports(component: &Component, entered: impl Fn(&Port) -> bool) -> Vec<Value> {
    component
        .workload
        .ports
        .iter()
        .filter(|port| entered(port))
        .map(|port| json!({"port": port.name, "protocol": port.protocol.map_or("TCP", |protocol| protocol.as_str())}))
        .collect()
}

fn peer(caller: &Caller, own_namespace: &str) -> Option<Value> {
    let pods = |component: String, instance: &str, namespace: Option<&String>| {
        let labels =
            json!({"app.kubernetes.io/name": component, "app.kubernetes.io/instance": instance});
        let namespace = namespace.map_or(own_namespace, String::as_str);
        json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": labels},
        })
    };
    if let Some(service) = &caller.service {
        return Some(pods(
            service.name.clone(),
            &service.name,
            service.namespace.as_ref(),
        ));
    }
    if let Some(frontend) = &caller.frontend {
        return Some(pods(
            format!("{}-{}", frontend.storefront, frontend.name),
            &frontend.storefront,
            frontend.namespace.as_ref(),
        ));
    }
    if let Some(namespace) = &caller.namespace {
        return Some(
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}),
        );
    }
    caller
        .cidr
        .as_ref()
        .map(|cidr| json!({"ipBlock": {"cidr": cidr}}))
}
