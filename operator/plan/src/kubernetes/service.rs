//! Service.

use serde_json::{Map, Value, json};
use shopkeeper_api::storefront::Exposure;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::{
    facts::PlatformFacts,
    names::{CLUSTER_TAG, OWNER_TAG},
    resolve::{Component, ResolvedServiceLoadBalancer},
};

/// Prefix of the annotations that make a Network Load Balancer.
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// The name and the address of the pods. The health path of an Ingress is an annotation of the Service, because one load balancer
/// asks each of its services for another path.
pub fn build(
    frame: &Frame<'_>,
    component: &Component,
    platform: &PlatformFacts,
) -> KubernetesObject {
    let service = &component.service;
    let ports: Vec<Value> = component
        .workload
        .ports
        .iter()
        .map(|port| {
            let mut value = json!({
                "name": port.name,
                "port": port.effective_service_port(),
                "targetPort": port.name,
                "protocol": port.protocol.map_or("TCP", |protocol| protocol.as_str()),
            });
            if let Some(protocol) = &port.app_protocol {
                value["appProtocol"] = json!(protocol);
            }
            if let Some(number) = service.node_ports.get(&port.name) {
                value["nodePort"] = json!(number);
            }
            value
        })
        .collect();
    let mut annotations: Map<String, Value> = service
        .annotations
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if component.load_balancer.is_some() {
        annotations.insert(
            "alb.ingress.kubernetes.io/healthcheck-path".to_owned(),
            json!(component.health_path),
        );
    }
    let mut spec =
        json!({"type": service.type_.as_str(), "selector": frame.selector(), "ports": ports});
    if let Some(load_balancer) = &service.load_balancer {
        spec["loadBalancerClass"] = json!(load_balancer.class);
        if !load_balancer.source_ranges.is_empty() {
            spec["loadBalancerSourceRanges"] = json!(load_balancer.source_ranges);
        }
        if load_balancer.is_of_aws() {
            // Pods are targets themselves. Ports that nobody uses would be open on every node.
            spec["allocateLoadBalancerNodePorts"] = json!(!service.node_ports.is_empty());
            annotations.extend(of_network_load_balancer(frame, load_balancer, platform));
        }
    }
    ObjectBuilder::new(frame, KubernetesKind::Service, &component.name)
        .annotations(annotations)
        .with("spec", spec)
        .build()
}

/// What the controller is told. The subnets by id: discovery by tags would find those of other clusters.
fn of_network_load_balancer(
    frame: &Frame<'_>,
    load_balancer: &ResolvedServiceLoadBalancer,
    platform: &PlatformFacts,
) -> Map<String, Value> {
    let (scheme, subnets) = match load_balancer.exposure {
        Exposure::Public => ("internet-facing", &platform.public_subnets),
        Exposure::Internal => ("internal", &platform.private_subnets),
    };
    let subnets: Vec<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    let mut tags = platform.tags.clone();
    tags.insert(OWNER_TAG.to_owned(), frame.owner.path());
    tags.insert(CLUSTER_TAG.to_owned(), platform.cluster_arn().to_string());
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        let pairs: Vec<String> = map
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(",")
    };
    let mut annotations = vec![
        ("scheme", scheme.to_owned()),
        ("nlb-target-type", "ip".to_owned()),
        ("subnets", subnets.join(",")),
        ("additional-resource-tags", pairs(&tags)),
    ];
    if !load_balancer.attributes.is_empty() {
        annotations.push(("attributes", pairs(&load_balancer.attributes)));
    }
    annotations
        .into_iter()
        .map(|(name, value)| (format!("{PREFIX}-{name}"), json!(value)))
        .collect()
}
