//! Ingress, for the AWS Load Balancer Controller or the controller of another class.

use serde_json::{Map, Value, json};

use super::{
    KubernetesKind, KubernetesObject,
    load_balancer::{HEALTH_PATH, are_of_health, of_probe, pairs, shared_tags, subnets, tags},
    object::{Frame, ObjectBuilder, texts},
};
use crate::{
    facts::PlatformFacts,
    resolve::{IngressClass, LoadBalancer, ResolvedTls, Rule},
};

/// Prefix of the controller's annotations.
pub(super) const PREFIX: &str = "alb.ingress.kubernetes.io";

const WEB_ACL: &str = "wafv2-acl-arn";
const GROUP: &str = "group.name";
const SCHEME: &str = "scheme";
/// What is said of a load balancer, and so of that of a whole group.
const OF_LOAD_BALANCER: [&str; 8] = [
    GROUP,
    SCHEME,
    "group.order",
    "load-balancer-attributes",
    "ssl-redirect",
    "ssl-policy",
    "certificate-arn",
    WEB_ACL,
];

/// Where an Ingress is that is to be in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupPlace {
    /// Not there, or not in the group.
    Outside,
    /// In the group, and to say something else of the load balancer, or to have other rules.
    Inside,
    /// In the group, and as it is to be there.
    Settled,
}

fn annotation<'a>(ingress: &'a Value, name: &str) -> Option<&'a str> {
    ingress["metadata"]["annotations"][format!("{PREFIX}/{name}")].as_str()
}

/// The group that an Ingress is in.
#[must_use]
pub fn group_of(ingress: &Value) -> Option<&str> {
    annotation(ingress, GROUP)
}

/// Where an Ingress is that is to be in the group of the one that is desired.
#[must_use]
pub fn place_in_group(desired: &KubernetesObject, found: Option<&Value>) -> GroupPlace {
    let Some(found) = found else {
        return GroupPlace::Outside;
    };
    let differs = |name: &&str| annotation(&desired.body, name) != annotation(found, name);
    if differs(&GROUP) {
        return GroupPlace::Outside;
    }
    let rules = |ingress: &Value| ingress["spec"]["rules"].clone();
    if OF_LOAD_BALANCER.iter().any(differs) || rules(&desired.body) != rules(found) {
        return GroupPlace::Inside;
    }
    GroupPlace::Settled
}

/// Whether applying an Ingress gives it another load balancer, which has another address.
#[must_use]
pub fn moves(desired: &KubernetesObject, found: &Value) -> bool {
    let class = |ingress: &Value| ingress["spec"]["ingressClassName"].clone();
    desired.kind == KubernetesKind::Ingress
        && (class(&desired.body) != class(found)
            || MOVES
                .iter()
                .any(|name| annotation(&desired.body, name) != annotation(found, name)))
}

/// Annotations that say which load balancer it is.
const MOVES: [&str; 2] = [GROUP, SCHEME];

/// Whether a path in an Ingress is that of what says which load balancer it is.
#[must_use]
pub fn is_of_move(path: &str) -> bool {
    path == "spec.ingressClassName"
        || MOVES.iter().any(|name| {
            path.trim_end_matches(']')
                .ends_with(&format!("{PREFIX}/{name}"))
        })
}

/// How AWS calls who reaches a load balancer.
#[must_use]
pub const fn scheme(public: bool) -> &'static str {
    if public {
        "internet-facing"
    } else {
        "internal"
    }
}

/// Whether an Ingress has, or once had, a web ACL.
fn has_web_acl(found: &Value) -> bool {
    found["metadata"]["annotations"][format!("{PREFIX}/{WEB_ACL}")].is_string()
}

/// A load balancer with the rules that are known. `found` is the Ingress as it is.
pub fn build(
    frame: &Frame<'_>,
    load_balancer: &LoadBalancer,
    rules: &[Rule],
    platform: &PlatformFacts,
    found: Option<&Value>,
) -> KubernetesObject {
    let paths: Vec<Value> = rules.iter().map(path).collect();
    let rules: Vec<Value> = if load_balancer.hosts.is_empty() {
        vec![json!({"http": {"paths": paths}})]
    } else {
        load_balancer
            .hosts
            .iter()
            .map(|host| json!({"host": host, "http": {"paths": paths}}))
            .collect()
    };
    let mut spec = json!({"rules": rules});
    let mut annotations = texts(&load_balancer.annotations);
    match &load_balancer.class {
        IngressClass::Alb => {
            spec["ingressClassName"] = json!("alb");
            if matches!(load_balancer.tls, ResolvedTls::Discovered { .. }) {
                // The controller looks in ACM for certificates that match these hosts.
                spec["tls"] = json!([{"hosts": load_balancer.hosts}]);
            }
            annotations.extend(of_controller(frame, load_balancer, platform, found));
        }
        IngressClass::Other { name, secret_name } => {
            spec["ingressClassName"] = json!(name);
            if let Some(secret) = secret_name {
                spec["tls"] = json!([{"hosts": load_balancer.hosts, "secretName": secret}]);
            }
        }
    }
    ObjectBuilder::new(frame, KubernetesKind::Ingress, &load_balancer.name)
        .annotations(annotations)
        .with("spec", spec)
        .build()
}

fn path(rule: &Rule) -> Value {
    json!({
        "path": rule.path,
        "pathType": if rule.exact { "Exact" } else { "Prefix" },
        "backend": {"service": {"name": rule.backend.service, "port": {"number": rule.backend.port}}},
    })
}

/// What the AWS Load Balancer Controller is told.
fn of_controller(
    frame: &Frame<'_>,
    load_balancer: &LoadBalancer,
    platform: &PlatformFacts,
    found: Option<&Value>,
) -> Map<String, Value> {
    let settings = &load_balancer.settings;
    let mut annotations = vec![
        (SCHEME, scheme(load_balancer.public).to_owned()),
        // Pods are targets themselves: a node that goes does not take connections of other nodes' pods with it.
        ("target-type", "ip".to_owned()),
        ("subnets", subnets(platform, load_balancer.public)),
        ("load-balancer-attributes", pairs(&settings.attributes)),
        (
            "target-group-attributes",
            format!(
                "deregistration_delay.timeout_seconds={}",
                settings.deregistration_delay_seconds
            ),
        ),
        (
            "tags",
            match load_balancer.group {
                None => tags(frame, platform),
                Some(_) => shared_tags(platform),
            },
        ),
    ];
    if let Some(group) = &load_balancer.group {
        annotations.push((GROUP, group.membership.group.clone()));
        let order = group.membership.order;
        annotations.extend(order.map(|order| ("group.order", order.to_string())));
    }
    match &load_balancer.tls {
        ResolvedTls::None => annotations.push(("listen-ports", r#"[{"HTTP":80}]"#.to_owned())),
        ResolvedTls::Discovered { policy } | ResolvedTls::Existing { policy, .. } => {
            annotations.push(("listen-ports", r#"[{"HTTP":80},{"HTTPS":443}]"#.to_owned()));
            annotations.push(("ssl-redirect", "443".to_owned()));
            annotations.push(("ssl-policy", policy.clone()));
        }
    }
    if let ResolvedTls::Existing {
        certificate_arns, ..
    } = &load_balancer.tls
    {
        annotations.push(("certificate-arn", certificate_arns.join(",")));
    }
    if let Some(health) = &load_balancer.health {
        annotations.push((HEALTH_PATH, health.path.clone()));
        if !are_of_health(&load_balancer.annotations) {
            annotations.extend(of_probe(health.probe.as_ref()));
        }
    }
    if let Some(arn) = &settings.waf_acl_arn {
        annotations.push((WEB_ACL, arn.clone()));
    } else if found.is_some_and(has_web_acl) {
        // An annotation that goes is nothing to do for the controller: the web ACL would stay with the load balancer.
        annotations.push((WEB_ACL, "none".to_owned()));
    }
    annotations
        .into_iter()
        .map(|(name, value)| (format!("{PREFIX}/{name}"), Value::from(value)))
        .collect()
}
