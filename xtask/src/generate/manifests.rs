//! config/: what an installation on a cluster applies, and the IAM policy it needs.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use shopkeeper_plan::{kubernetes::KubernetesKind, permissions};

/// Name of the operator's Deployment, ServiceAccount and roles, and of its label.
const NAME: &str = "shopkeeper";

/// Where the operator runs.
const NAMESPACE: &str = "shopkeeper-system";

/// The default port of `shopkeeper run`.
const METRICS_PORT: u16 = 8080;

/// What the operator does with the objects that it makes.
const MANAGE: [&str; 6] = ["create", "delete", "get", "list", "patch", "watch"];

/// What a watch needs.
const WATCH: [&str; 3] = ["get", "list", "watch"];

/// Rights on resources that are neither custom resources nor made by the operator: API group, resource, verbs, and why.
/// Definitions are only looked at ([`rules`]): they are installed by whoever installs the operator.
const OTHERS: [(&str, &str, &[&str]); 5] = [
    // Their labels decide who may use a Platform, and NetworkPolicies select by them.
    ("", "namespaces", &WATCH),
    // Ready nodes are counted for each group, and those of a group that is replaced are cordoned.
    ("", "nodes", &["get", "list", "patch", "watch"]),
    ("", "pods", &["get", "list"]),
    // Drained by eviction, so that disruption budgets hold.
    ("", "pods/eviction", &["create"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

/// Namespace, ServiceAccount and rights.
pub(super) fn rbac(crds: &[CustomResourceDefinition]) -> Result<String> {
    let subject = json!([{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]);
    documents(&[
        namespace(),
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels()},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAME, "labels": labels()},
            "rules": rules(crds),
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME, "labels": labels()},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
            "subjects": subject,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels()},
            "rules": [
                // A right to create cannot be limited by name, since there is no name yet when it is asked for.
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
                {
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "resourceNames": [NAME],
                    "verbs": ["get", "list", "patch", "update", "watch"],
                },
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels()},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": subject,
        }),
    ])
}

fn rules(crds: &[CustomResourceDefinition]) -> Vec<Value> {
    let group = crds
        .first()
        .map(|crd| crd.spec.group.as_str())
        .unwrap_or_default();
    let own: Vec<&str> = crds
        .iter()
        .map(|crd| crd.spec.names.plural.as_str())
        .collect();
    let sub = |name: &str| {
        own.iter()
            .map(|plural| format!("{plural}/{name}"))
            .collect::<Vec<_>>()
    };
    let mut rules = vec![
        // `patch` for the finalizer; nothing else of a custom resource is ever written but its status.
        json!({"apiGroups": [group], "resources": own, "verbs": ["get", "list", "patch", "watch"]}),
        json!({"apiGroups": [group], "resources": sub("status"), "verbs": ["get", "patch"]}),
        // Owner references with blockOwnerDeletion need it where OwnerReferencesPermissionEnforcement is on.
        json!({"apiGroups": [group], "resources": sub("finalizers"), "verbs": ["update"]}),
        // Whether they are those that the operator was built with. A list or watch of one name is a right on that name.
        json!({
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "resourceNames": own.iter().map(|plural| format!("{plural}.{group}")).collect::<Vec<_>>(),
            "verbs": WATCH,
        }),
    ];
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in KubernetesKind::ALL {
        let group = kind
            .api_version()
            .split_once('/')
            .map_or("", |(group, _)| group);
        children.entry(group).or_default().push(kind.plural());
    }
    rules.extend(children.into_iter().map(|(group, mut resources)| {
        resources.sort_unstable();
        json!({"apiGroups": [group], "resources": resources, "verbs": MANAGE})
    }));
    rules.extend(
        OTHERS
            .iter()
            .map(|(group, resource, verbs)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})),
    );
    rules
}

/// The operator as a Deployment, and a Service for its metrics.
pub(super) fn operator() -> Result<String> {
    let selector =
        json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "operator"});
    let metadata = json!({"name": NAME, "namespace": NAMESPACE, "labels": labels()});
    documents(&[
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                // The second takes over when the first goes: one of them leads.
                "replicas": 2,
                "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": labels()}, "spec": pod(&selector)},
            },
        }),
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": format!("{NAME}-metrics"), "namespace": NAMESPACE, "labels": labels()},
            "spec": {"selector": selector, "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}]},
        }),
    ])
}

fn pod(selector: &Value) -> Value {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "metrics"}});
    json!({
        "serviceAccountName": NAME,
        // Running passes may finish, and the Lease is handed on.
        "terminationGracePeriodSeconds": 60,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [{
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }],
        "containers": [{
            "name": "operator",
            "image": format!("{NAME}:{}", env!("CARGO_PKG_VERSION")),
            "args": ["run"],
            "env": [
                {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
            ],
            "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
            "livenessProbe": probe("/healthz"),
            "readinessProbe": probe("/readyz"),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        }],
    })
}

fn namespace() -> Value {
    let mut labels = labels();
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(
            format!("pod-security.kubernetes.io/{mode}"),
            "restricted".into(),
        );
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
}

fn labels() -> BTreeMap<String, String> {
    [("name", NAME), ("component", "operator"), ("part-of", NAME)]
        .into_iter()
        .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
        .collect()
}

fn documents(objects: &[Value]) -> Result<String> {
    let mut text = String::from(
        "# Generated by `cargo xtask gen` from xtask/src/generate/manifests.rs. Do not edit.\n",
    );
    for object in objects {
        text.push_str("---\n");
        text.push_str(&serde_yaml_ng::to_string(object)?);
    }
    Ok(text)
}

/// The operator's IAM policies by file name, as JSON, which has no place for a remark on where it comes from.
pub(super) fn iam_policies() -> Result<Vec<(String, String)>> {
    permissions::policies()
        .into_iter()
        .map(|(name, policy)| {
            let text = serde_json::to_string_pretty(&policy)?;
            Ok((format!("iam-policy-{name}.json"), format!("{text}\n")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_a_wildcard() {
        let crds = shopkeeper_api::all_crds().unwrap();
        for rule in rules(&crds) {
            for field in ["apiGroups", "resources", "verbs"] {
                assert!(
                    !rule[field].as_array().unwrap().contains(&json!("*")),
                    "{rule}"
                );
            }
        }
    }

    #[test]
    fn every_custom_resource_and_child_can_be_watched() {
        let crds = shopkeeper_api::all_crds().unwrap();
        let rules = rules(&crds);
        let watched = |plural: &str| {
            rules.iter().any(|rule| {
                rule["resources"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(plural))
                    && rule["verbs"].as_array().unwrap().contains(&json!("watch"))
            })
        };
        assert!(crds.iter().all(|crd| watched(&crd.spec.names.plural)));
        assert!(
            KubernetesKind::ALL
                .iter()
                .all(|kind| watched(kind.plural()))
        );
    }
}
