//! Service.

use serde_json::{Map, Value, json};
use shopkeeper_api::{storefront::Exposure, workload::Port};

use super::{
    KubernetesKind, KubernetesObject, ingress,
    load_balancer::{HEALTH_PATH, SUCCESS_CODES, are_of_health, of_probe, pairs, subnets, tags},
    object::{Frame, ObjectBuilder, texts},
};
use crate::{
    facts::PlatformFacts,
    names::Owner,
    resolve::{
        Component, ResolvedExposure, ResolvedService, ResolvedServiceLoadBalancer, Way, selector,
    },
};

/// Prefix of the annotations that make a Network Load Balancer.
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// The name and the address of the pods. The health check of an Ingress is in annotations of the Service, because one load balancer
/// asks each of its services for something else.
pub fn build(
    frame: &Frame<'_>,
    component: &Component,
    platform: &PlatformFacts,
) -> KubernetesObject {
    let mut ours = Map::new();
    if !component.routed_from.is_empty() {
        let prefix = ingress::PREFIX;
        let health = &component.health;
        ours.insert(format!("{prefix}/{HEALTH_PATH}"), json!(health.path));
        if !is_told_of_health(component) {
            let of_probe = of_probe(health.probe.as_ref()).into_iter();
            ours.extend(of_probe.map(|(name, value)| (format!("{prefix}/{name}"), json!(value))));
        }
    }
    let ports = component.workload.ports.iter().collect::<Vec<_>>();
    of_pods(frame, component, &component.service, &ports, ours, platform)
}

/// Whether the user says how pods are asked, here or on an Ingress that leads here: what the Service says would win over that.
fn is_told_of_health(component: &Component) -> bool {
    let of_ingresses = component.exposures.iter().filter_map(|exposure| {
        let Way::Route(route) = &exposure.way else {
            return None;
        };
        Some(&route.annotations)
    });
    std::iter::once(&component.service.annotations)
        .chain(of_ingresses)
        .any(are_of_health)
}

/// One more Service in front of the same pods. Its labels are its own: whoever selects that of the pods, as a ServiceMonitor does,
/// would find the pods twice.
pub fn build_exposure(
    owner: &Owner,
    component: &Component,
    exposure: &ResolvedExposure,
    service: &ResolvedService,
    platform: &PlatformFacts,
) -> KubernetesObject {
    let frame = Frame {
        owner,
        component: &exposure.name,
    };
    let ports = component.ports_of(exposure);
    of_pods(&frame, component, service, &ports, Map::new(), platform)
}

/// A Service called as the frame is, in front of the pods of a component.
fn of_pods(
    frame: &Frame<'_>,
    component: &Component,
    service: &ResolvedService,
    ports: &[&Port],
    ours: Map<String, Value>,
    platform: &PlatformFacts,
) -> KubernetesObject {
    let ports: Vec<Value> = ports
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
    let mut annotations = texts(&service.annotations);
    annotations.extend(ours);
    let selector = selector(&component.name, &frame.owner.name);
    let mut spec = json!({"type": service.type_.as_str(), "selector": selector, "ports": ports});
    if let Some(load_balancer) = &service.load_balancer {
        spec["loadBalancerClass"] = json!(load_balancer.class);
        if !load_balancer.source_ranges.is_empty() {
            spec["loadBalancerSourceRanges"] = json!(load_balancer.source_ranges);
        }
        if load_balancer.is_of_aws() {
            // Pods are targets themselves. Ports that nobody uses would be open on every node.
            spec["allocateLoadBalancerNodePorts"] = json!(!service.node_ports.is_empty());
            annotations.extend(of_network_load_balancer(frame, load_balancer, platform));
            // They hold together: where the user says one, the others are the user's too.
            let mut told = service.annotations.keys();
            let health = format!("{PREFIX}-healthcheck-");
            if !told.any(|name| name.starts_with(&health)) {
                let of_health = of_health(component, service).into_iter();
                annotations
                    .extend(of_health.map(|(name, value)| (format!("{PREFIX}-{name}"), value)));
            }
        }
    }
    ObjectBuilder::new(frame, KubernetesKind::Service, frame.component)
        .annotations(annotations)
        .with("spec", spec)
        .build()
}

/// What the controller is told.
fn of_network_load_balancer(
    frame: &Frame<'_>,
    load_balancer: &ResolvedServiceLoadBalancer,
    platform: &PlatformFacts,
) -> Map<String, Value> {
    let (scheme, public) = match load_balancer.exposure {
        Exposure::Public => ("internet-facing", true),
        Exposure::Internal => ("internal", false),
    };
    let mut annotations = vec![
        ("scheme", scheme.to_owned()),
        ("nlb-target-type", "ip".to_owned()),
        ("subnets", subnets(platform, public)),
        ("additional-resource-tags", tags(frame, platform)),
    ];
    if !load_balancer.attributes.is_empty() {
        annotations.push(("attributes", pairs(&load_balancer.attributes)));
    }
    annotations
        .into_iter()
        .map(|(name, value)| (format!("{PREFIX}-{name}"), json!(value)))
        .collect()
}

/// What a Network Load Balancer asks of the pods. By itself it only connects to each port, and cannot do even that where the port is
/// of UDP.
fn of_health(component: &Component, service: &ResolvedService) -> Vec<(String, Value)> {
    let Some(probe) = component.health.asked_through(service) else {
        return Vec::new();
    };
    let mut annotations = vec![(HEALTH_PATH.to_owned(), json!(component.health.path))];
    annotations.extend(
        of_probe(Some(probe))
            .into_iter()
            .map(|(name, value)| match name {
                SUCCESS_CODES => (format!("healthcheck-{name}"), json!(value)),
                _ => (name.to_owned(), json!(value.to_lowercase())),
            }),
    );
    annotations
}
