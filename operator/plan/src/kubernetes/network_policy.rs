//! NetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shopkeeper_api::{exposures::TrafficSource, network::Caller};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::{facts::PlatformFacts, resolve::Component};

/// Who may open connections to the pods: the callers that are listed, the load balancers of Storefronts that route here and
/// of the workload's own exposures, and Prometheus on the port of the metrics. Nobody else.
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
        ingress.extend(rule(from, ports(component, |name| entered.contains(name))));
    }
    if let Some(metrics) = &component.metrics {
        ingress.push(json!({
            "from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}],
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

/// Where packets come from that enter through load balancers and nodes, and the names of the ports that they enter by.
fn entrances(component: &Component) -> BTreeMap<TrafficSource, BTreeSet<&str>> {
    let mut entrances: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    let of_service = component.service.entered_from().map(TrafficSource::from);
    for source in component.routed_from.iter().copied().chain(of_service) {
        let all = component.workload.ports.iter();
        entrances
            .entry(source)
            .or_default()
            .extend(all.map(|port| port.name.as_str()));
    }
    for exposure in &component.exposures {
        entrances
            .entry(exposure.traffic_from)
            .or_default()
            .extend(exposure.ports.iter().map(String::as_str));
    }
    entrances
}

fn ports(component: &Component, entered: impl Fn(&str) -> bool) -> Vec<Value> {
    component
        .workload
        .ports
        .iter()
        .filter(|port| entered(&port.name))
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
