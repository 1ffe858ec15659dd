//! HTTPRoute of the Gateway API.

use serde_json::{Value, json};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder, texts},
};
use crate::resolve::{Backend, LoadBalancer, Rule};

/// Group of the Gateway API.
const GROUP: &str = "gateway.networking.k8s.io";
/// Matches that a rule takes.
const MOST_MATCHES: usize = 64;
/// Rules that an HTTPRoute takes.
pub const MOST_RULES: usize = 16;

/// The rules of a load balancer that are known, for Gateways. Those that lead to the same place are one rule: an HTTPRoute takes few.
pub fn build(frame: &Frame<'_>, load_balancer: &LoadBalancer, rules: &[Rule]) -> KubernetesObject {
    let parents: Vec<Value> = load_balancer
        .gateways
        .iter()
        .map(|gateway| {
            let mut parent = json!({
                "group": GROUP,
                "kind": "Gateway",
                "name": gateway.name,
                "namespace": gateway.namespace.as_ref().unwrap_or(&frame.owner.namespace),
            });
            if let Some(section) = &gateway.section_name {
                parent["sectionName"] = json!(section);
            }
            parent
        })
        .collect();
    let rules: Vec<Value> = grouped(rules)
        .into_iter()
        .map(|(backend, matches)| {
            json!({
                "matches": matches,
                "backendRefs": [{"kind": "Service", "name": backend.service, "port": backend.port}],
            })
        })
        .collect();
    let mut spec = json!({"parentRefs": parents, "rules": rules});
    if !load_balancer.hosts.is_empty() {
        spec["hostnames"] = json!(load_balancer.hosts);
    }
    ObjectBuilder::new(frame, KubernetesKind::HTTPRoute, &load_balancer.name)
        .annotations(texts(&load_balancer.annotations))
        .with("spec", spec)
        .build()
}

/// Where requests lead, and which. Their order means nothing: a Gateway takes the longest path that matches.
pub fn grouped(rules: &[Rule]) -> Vec<(&Backend, Vec<Value>)> {
    let mut grouped: Vec<(&Backend, Vec<Value>)> = Vec::new();
    for rule in rules {
        let path = json!({"path": {
            "type": if rule.exact { "Exact" } else { "PathPrefix" },
            "value": rule.path,
        }});
        let room = grouped
            .iter_mut()
            .find(|(backend, matches)| **backend == rule.backend && matches.len() < MOST_MATCHES);
        match room {
            Some((_, matches)) => matches.push(path),
            None => grouped.push((&rule.backend, vec![path])),
        }
    }
    grouped
}
