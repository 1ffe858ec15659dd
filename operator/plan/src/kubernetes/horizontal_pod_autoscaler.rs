//! HorizontalPodAutoscaler.

use serde_json::{Value, json};
use shopkeeper_api::scaling::{
    Autoscale, MetricTarget, MetricTargetType, ScalingRules, ScalingStepType, SelectPolicy,
};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::resolve::{Component, Replicas};

/// Scales the Deployment; `None` where the number of replicas is fixed.
pub fn build(frame: &Frame<'_>, component: &Component) -> Option<KubernetesObject> {
    let Replicas::Autoscale(range) = &component.replicas else {
        return None;
    };
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": component.name},
        "minReplicas": range.min,
        "maxReplicas": range.max,
        "metrics": metrics(range),
    });
    if let Some(behavior) = &range.behavior {
        for (direction, rules) in [
            ("scaleUp", &behavior.scale_up),
            ("scaleDown", &behavior.scale_down),
        ] {
            if let Some(rules) = rules {
                spec["behavior"][direction] = scaling_rules(rules);
            }
        }
    }
    Some(
        ObjectBuilder::new(
            frame,
            KubernetesKind::HorizontalPodAutoscaler,
            &component.name,
        )
        .with("spec", spec)
        .build(),
    )
}

fn metrics(range: &Autoscale) -> Vec<Value> {
    let of_resource = |name: &str, target: i32| json!({"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": target}}});
    let cpu = range.cpu.map(|target| of_resource("cpu", target));
    let memory = range.memory.map(|target| of_resource("memory", target));
    cpu.into_iter()
        .chain(memory)
        .chain(range.metrics.iter().map(custom))
        .collect()
}

fn custom(declared: &MetricTarget) -> Value {
    let mut metric = json!({"name": declared.name});
    if !declared.match_labels.is_empty() {
        metric["selector"] = json!({"matchLabels": declared.match_labels});
    }
    let body = json!({"metric": metric, "target": {"type": "AverageValue", "averageValue": declared.average_value}});
    match declared.type_ {
        MetricTargetType::Pods => json!({"type": "Pods", "pods": body}),
        MetricTargetType::External => json!({"type": "External", "external": body}),
    }
}

fn scaling_rules(declared: &ScalingRules) -> Value {
    let mut rules = json!({});
    if let Some(window) = declared.stabilization_window_seconds {
        rules["stabilizationWindowSeconds"] = json!(window);
    }
    if let Some(select) = declared.select_policy {
        rules["selectPolicy"] = json!(match select {
            SelectPolicy::Max => "Max",
            SelectPolicy::Min => "Min",
            SelectPolicy::Disabled => "Disabled",
        });
    }
    if !declared.policies.is_empty() {
        let step = |step: &shopkeeper_api::scaling::ScalingStep| {
            let unit = match step.type_ {
                ScalingStepType::Pods => "Pods",
                ScalingStepType::Percent => "Percent",
            };
            json!({"type": unit, "value": step.value, "periodSeconds": step.period_seconds})
        };
        rules["policies"] = declared.policies.iter().map(step).collect();
    }
    rules
}
