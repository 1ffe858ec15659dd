//! What is made of `examples/retail-store`, held field by field against what the sample's own charts make.
//!
//! The tables beside this file have a row for each field of each object. A test fails where we make something else than the table
//! says, where the sample and we differ without a reason, where there is a reason without a difference, and where a field of ours
//! or a part that [`LOOKED_AT`] names has no row.

mod made;
mod table;

use serde_json::json;

use crate::fixture::read;
use made::made;
use table::{compare, table};

/// The workloads: the table, the example's file, and the name of the workload's objects.
const WORKLOADS: [(&str, &str, &str); 3] = [
    ("catalog", "catalog", "catalog"),
    ("orders", "orders", "orders"),
    ("ui", "storefront", "retail-ui"),
];

/// What every table has to say something about.
const LOOKED_AT: [&str; 34] = [
    "Deployment metadata.name",
    "Deployment spec.replicas",
    "Deployment spec.selector",
    "Deployment spec.strategy",
    "Pod metadata.annotations",
    "Pod metadata.labels",
    "Pod spec.affinity",
    "Pod spec.imagePullSecrets",
    "Pod spec.initContainers",
    "Pod spec.nodeSelector",
    "Pod spec.securityContext",
    "Pod spec.serviceAccountName",
    "Pod spec.terminationGracePeriodSeconds",
    "Pod spec.tolerations",
    "Pod spec.topologySpreadConstraints",
    "Pod spec.volumes",
    "Container args",
    "Container command",
    "Container image",
    "Container imagePullPolicy",
    "Container lifecycle",
    "Container livenessProbe",
    "Container ports",
    "Container readinessProbe",
    "Container resources.limits",
    "Container resources.requests",
    "Container securityContext",
    "Container startupProbe",
    "Container volumeMounts",
    "Environment",
    "Service spec.ports",
    "ServiceAccount",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
];

#[test]
fn every_field_is_the_samples_or_has_a_reason() {
    let problems: Vec<String> = WORKLOADS
        .into_iter()
        .flat_map(|(workload, file, name)| {
            let made = made(&read("retail-store", file), name);
            let problems = compare(&table(workload), &made, &LOOKED_AT);
            problems
                .into_iter()
                .map(move |problem| format!("{workload}: {problem}"))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_charts_autoscalers_can_be_had() {
    // `autoscaling` of the charts' values, which is off by default.
    for ((_, file, name), cpu) in WORKLOADS.into_iter().zip([80, 80, 50]) {
        let mut object = read("retail-store", file);
        let part = if file == "storefront" {
            &mut object["spec"]["frontends"][0]
        } else {
            &mut object["spec"]
        };
        part["scaling"] =
            json!({"type": "Autoscale", "autoscale": {"min": 1, "max": 10, "cpu": cpu}});
        let made = made(&object, name);
        let of_autoscaler: Vec<_> = made
            .iter()
            .filter(|(path, _)| path.starts_with("HorizontalPodAutoscaler spec"))
            .map(|(path, value)| (path.as_str(), value.clone()))
            .collect();
        assert_eq!(
            of_autoscaler,
            [
                ("HorizontalPodAutoscaler spec.maxReplicas", json!(10)),
                (
                    "HorizontalPodAutoscaler spec.metrics[0].resource.name",
                    json!("cpu")
                ),
                (
                    "HorizontalPodAutoscaler spec.metrics[0].resource.target.averageUtilization",
                    json!(cpu)
                ),
                (
                    "HorizontalPodAutoscaler spec.metrics[0].resource.target.type",
                    json!("Utilization")
                ),
                (
                    "HorizontalPodAutoscaler spec.metrics[0].type",
                    json!("Resource")
                ),
                ("HorizontalPodAutoscaler spec.minReplicas", json!(1)),
                (
                    "HorizontalPodAutoscaler spec.scaleTargetRef.apiVersion",
                    json!("apps/v1")
                ),
                (
                    "HorizontalPodAutoscaler spec.scaleTargetRef.kind",
                    json!("Deployment")
                ),
                (
                    "HorizontalPodAutoscaler spec.scaleTargetRef.name",
                    json!(name)
                ),
            ]
        );
        assert!(!made.contains_key("Deployment spec.replicas"), "{name}");
    }
}
