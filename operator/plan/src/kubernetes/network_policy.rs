//! NetworkPolicy.

use serde_json::{Value, json};
use shopkeeper_api::{network::Caller, storefront::Exposure};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::{facts::PlatformFacts, resolve::Component};

/// Who may open connections to the pods: the callers that are listed, the load balancers of a Storefront that routes here,
/// and Prometheus on the port of the metrics. Nobody else.
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
    if !peers.is_empty() {
        ingress.push(json!({"from": peers, "ports": ports(component)}));
    }
    let mut entrances: Vec<Exposure> = Vec::new();
    for exposure in component
        .load_balancer
        .into_iter()
        .chain(component.service.entered_from())
    {
        if !entrances.contains(&exposure) {
            entrances.push(exposure);
        }
    }
    for exposure in entrances {
        // The controller registers pod addresses: packets come from the load balancer's own addresses in its subnets.
        let subnets = match exposure {
            Exposure::Public => &platform.public_subnets,
            Exposure::Internal => &platform.private_subnets,
        };
        let from: Vec<Value> = subnets
            .iter()
            .map(|subnet| json!({"ipBlock": {"cidr": subnet.cidr}}))
            .collect();
        // A rule without sources would let everybody in.
        if !from.is_empty() {
            ingress.push(json!({"from": from, "ports": ports(component)}));
        }
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

fn ports(component: &Component) -> Vec<Value> {
    component
        .workload
        .ports
        .iter()
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
