//! What becomes of a part whose reference leads nowhere: it stays as it is, or is left out, and the rest goes on.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ComponentBuilder;
use crate::{
    blueprint::Section,
    failure::Failure,
    kubernetes::KubernetesKind,
    resolve::{Backend, LoadBalancer, Rule},
    resource::ResourceKey,
};

/// The variables of a component that say where services are which are not there.
#[derive(Debug, Default)]
pub(super) struct LostEndpoints {
    /// Those that the pods have, with the values that they have.
    pub kept: BTreeMap<String, String>,
    /// What is missing.
    pub awaits: Vec<Failure>,
    /// Whether the pods lack one: they would start without it.
    pub lacking: bool,
}

impl ComponentBuilder<'_> {
    /// The endpoints that lead nowhere. What the workload sets by itself needs no endpoint.
    pub(super) fn lost_endpoints(&self) -> LostEndpoints {
        let component = self.component;
        let mut lost = LostEndpoints::default();
        for endpoint in &component.endpoints {
            let Err(failure) = &endpoint.value else {
                continue;
            };
            lost.awaits.push(failure.clone());
            let mut declared = component.workload.env.iter();
            if declared.any(|variable| variable.name == endpoint.name) {
                continue;
            }
            match self.variable(&endpoint.name) {
                Some(value) => {
                    lost.kept.insert(endpoint.name.clone(), value.to_owned());
                }
                None => lost.lacking = true,
            }
        }
        lost
    }

    /// A variable as the pods have it.
    fn variable(&self, name: &str) -> Option<&str> {
        let named = |list: &Value, name: &str| {
            let mut items = list.as_array()?.iter();
            items.position(|item| item["name"] == name)
        };
        let containers = &self.deployment()?["spec"]["template"]["spec"]["containers"];
        let variables = &containers[named(containers, &self.component.name)?]["env"];
        variables[named(variables, name)?]["value"].as_str()
    }

    /// Adds a resource that is left as it is, since what it needs is missing.
    pub(super) fn awaited(&mut self, role: String, key: ResourceKey, failure: &Failure) {
        let key = self
            .blueprint
            .pending(Section::Workload, role, key, Vec::new(), &[]);
        self.blueprint.wait_for(&key, [failure.clone()]);
    }
}

/// The rules of a load balancer, as far as they are known, and what is missing of the others. Of those the ones that `found` has are kept
/// as they are there.
pub(super) fn rules(
    load_balancer: &LoadBalancer,
    kind: KubernetesKind,
    found: Option<&Value>,
) -> (Vec<Rule>, Vec<Failure>) {
    let mut known = Vec::new();
    let mut awaits = Vec::new();
    for rule in &load_balancer.rules {
        match &rule.backend {
            Ok(backend) => known.push(rule.to(backend.clone())),
            Err(failure) => {
                awaits.push(failure.clone());
                let kept = found.and_then(|found| match kind {
                    KubernetesKind::HTTPRoute => of_route(found, &rule.path, rule.exact),
                    _ => of_ingress(found, &rule.path, rule.exact),
                });
                known.extend(kept.map(|backend| rule.to(backend)));
            }
        }
    }
    (known, awaits)
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Where an Ingress leads a path. Its rules differ in their hosts alone.
fn of_ingress(found: &Value, path: &str, exact: bool) -> Option<Backend> {
    let kind = if exact { "Exact" } else { "Prefix" };
    list(found, "/spec/rules")
        .flat_map(|rule| list(rule, "/http/paths"))
        .find(|found| found["path"] == path && found["pathType"] == kind)
        .and_then(|found| {
            let service = &found["backend"]["service"];
            backend(&service["name"], &service["port"]["number"])
        })
}

/// Where an HTTPRoute leads a path.
fn of_route(found: &Value, path: &str, exact: bool) -> Option<Backend> {
    let kind = if exact { "Exact" } else { "PathPrefix" };
    list(found, "/spec/rules")
        .find(|rule| {
            list(rule, "/matches")
                .any(|found| found["path"]["value"] == path && found["path"]["type"] == kind)
        })
        .and_then(|rule| {
            let backend_ref = list(rule, "/backendRefs").next()?;
            backend(&backend_ref["name"], &backend_ref["port"])
        })
}

fn backend(service: &Value, port: &Value) -> Option<Backend> {
    Some(Backend {
        service: service.as_str()?.to_owned(),
        port: i32::try_from(port.as_i64()?).ok()?,
    })
}
