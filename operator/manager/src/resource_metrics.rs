//! Metrics of the custom resources themselves, counted from the caches when they are asked for: there is no state of its own that could
//! become untrue.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use shopkeeper_api::status::{Status, condition};
use shopkeeper_plan::resource::ResourceKind;

use crate::{key::Kind, stores::Stores};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ConditionLabels {
    kind: &'static str,
    r#type: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// How many there are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    conditions: BTreeMap<ConditionLabels, i64>,
    drifted: BTreeMap<KindLabels, i64>,
    approvals: BTreeMap<KindLabels, i64>,
}

impl Counts {
    /// Adds a custom resource. A status may say anything: only the words that are ours become labels.
    fn add(&mut self, kind: Kind, status: &Status) {
        for found in &status.conditions {
            let known = condition::ALL
                .into_iter()
                .find(|r#type| *r#type == found.type_);
            let status = ["True", "False", "Unknown"]
                .into_iter()
                .find(|status| *status == found.status);
            if let (Some(r#type), Some(status)) = (known, status) {
                let kind = kind.name();
                let labels = ConditionLabels {
                    kind,
                    r#type,
                    status,
                };
                *self.conditions.entry(labels).or_default() += 1;
            }
        }
        if status
            .plan
            .as_ref()
            .is_some_and(|plan| plan.waiting_for_approval)
        {
            let labels = KindLabels { kind: kind.name() };
            *self.approvals.entry(labels).or_default() += 1;
        }
        for item in &status.inventory {
            if item.drifted == Some(true)
                && let Some(kind) = ResourceKind::from_id(&item.kind)
            {
                let labels = KindLabels { kind: kind.id() };
                *self.drifted.entry(labels).or_default() += 1;
            }
        }
    }
}

type Count = Box<dyn Fn() -> Counts + Send + Sync>;

/// `shopkeeper_resource_condition`, `shopkeeper_drifted_resources` and `shopkeeper_approvals_waiting`. Silent until this replica leads: each has the same caches, and
/// sums over replicas are to be right.
#[derive(Clone, Default)]
pub struct ResourceMetrics(Arc<OnceLock<Count>>);

impl fmt::Debug for ResourceMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ResourceMetrics")
            .finish_non_exhaustive()
    }
}

impl ResourceMetrics {
    /// From now on, what is in these caches is told.
    pub fn tell_of(&self, stores: Arc<Stores>) {
        self.count_by(move || {
            let mut counts = Counts::default();
            stores.each_status(|kind, status| counts.add(kind, status));
            counts
        });
    }

    fn count_by(&self, count: impl Fn() -> Counts + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(count));
    }
}

impl Collector for ResourceMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(count) = self.0.get() else {
            return Ok(());
        };
        let counts = count();
        encode(
            &mut encoder,
            "shopkeeper_resource_condition",
            "Custom resources by kind, type and status of a condition",
            &counts.conditions,
        )?;
        encode(
            &mut encoder,
            "shopkeeper_drifted_resources",
            "Resources in AWS and Kubernetes that are not as declared and, by policy.drift Report, left so",
            &counts.drifted,
        )?;
        encode(
            &mut encoder,
            "shopkeeper_approvals_waiting",
            "Custom resources whose plan waits for a person",
            &counts.approvals,
        )
    }
}

fn encode<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: &BTreeMap<L, i64>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, count) in counts {
        ConstGauge::new(*count).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text, registry::Registry};
    use serde_json::json;

    use super::*;

    fn status(ready: &str) -> Status {
        let condition = |r#type: &str, status: &str| json!({"type": r#type, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({
            "plan": {"generation": 1, "summary": "1 change: 1 restart", "waitingForApproval": ready == "False"},
            "conditions": [condition("Ready", ready), condition("DataReady", "True"), condition("somebody's", "True")],
            "inventory": [
                {"kind": "RdsInstance", "name": "a", "role": "database", "drifted": true},
                {"kind": "SqsQueue", "name": "b", "role": "queue"},
                {"kind": "anything", "name": "c", "role": "queue", "drifted": true},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn custom_resources_are_counted_by_condition_and_drift_by_kind() {
        let metrics = ResourceMetrics::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(metrics.clone()));
        let scrape = || {
            let mut told = String::new();
            text::encode(&mut told, &registry).unwrap();
            told
        };
        assert!(!scrape().contains("shopkeeper_"), "it does not lead");
        metrics.count_by(|| {
            let mut counts = Counts::default();
            for ready in ["True", "True", "False"] {
                counts.add(Kind::OrderService, &status(ready));
            }
            counts
        });
        let told = scrape();
        for line in [
            r#"shopkeeper_resource_condition{kind="OrderService",type="Ready",status="True"} 2"#,
            r#"shopkeeper_resource_condition{kind="OrderService",type="Ready",status="False"} 1"#,
            r#"shopkeeper_resource_condition{kind="OrderService",type="DataReady",status="True"} 3"#,
            r#"shopkeeper_drifted_resources{kind="RdsInstance"} 3"#,
            r#"shopkeeper_approvals_waiting{kind="OrderService"} 1"#,
        ] {
            assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
        }
        assert!(
            !told.contains("somebody") && !told.contains("anything"),
            "{told}"
        );
    }
}
