//! Service.

use serde_json::{Map, Value, json};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::resolve::Component;

/// The name and the virtual address of the pods. The health path is an annotation of the Service, because one load balancer
/// asks each of its services for another path.
pub fn build(frame: &Frame<'_>, component: &Component) -> KubernetesObject {
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
            value
        })
        .collect();
    let mut annotations = Map::new();
    if component.load_balancer.is_some() {
        annotations.insert(
            "alb.ingress.kubernetes.io/healthcheck-path".to_owned(),
            json!(component.health_path),
        );
    }
    ObjectBuilder::new(frame, KubernetesKind::Service, &component.name)
        .annotations(annotations)
        .with(
            "spec",
            json!({"type": "ClusterIP", "selector": frame.selector(), "ports": ports}),
        )
        .build()
}
