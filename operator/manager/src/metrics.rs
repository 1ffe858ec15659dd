//! Shopkeeper's own metrics. Labels are bounded: kinds, services, operations and classes, never names.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use shopkeeper_aws::calls::CallObserver;

/// Seconds: a call to AWS takes from some milliseconds to the 30 s after which it is given up.
const CALL_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: String,
    operation: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    kind: &'static str,
    action: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DefinitionLabels {
    kind: String,
}

/// `shopkeeper_*`.
#[derive(Clone)]
pub struct ShopMetrics {
    calls: Family<CallLabels, Counter>,
    call_duration: Family<ServiceLabels, Histogram, fn() -> Histogram>,
    steps: Family<StepLabels, Counter>,
    definitions: Family<DefinitionLabels, Gauge>,
}

impl fmt::Debug for ShopMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ShopMetrics")
            .finish_non_exhaustive()
    }
}

impl ShopMetrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Family::default(),
            call_duration: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            steps: Family::default(),
            definitions: Family::default(),
        };
        registry.register(
            "shopkeeper_aws_calls",
            "Calls to AWS by service, operation and HTTP status (none: no answer)",
            metrics.calls.clone(),
        );
        registry.register(
            "shopkeeper_aws_call_duration_seconds",
            "How long calls to AWS took",
            metrics.call_duration.clone(),
        );
        registry.register("shopkeeper_plan_steps", "Executed steps by kind of resource, action and result (ok, or the class of the failure)", metrics.steps.clone());
        registry.register(
            "shopkeeper_definitions_current",
            "Whether the installed definition of a kind has what this version reads and writes",
            metrics.definitions.clone(),
        );
        registry.register(
            "shopkeeper_build",
            "The running version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        metrics
    }

    /// Tells whether the definition of a kind is current.
    pub fn definition(&self, kind: &str, current: bool) {
        self.definitions
            .get_or_create(&DefinitionLabels {
                kind: kind.to_owned(),
            })
            .set(i64::from(current));
    }

    /// Counts an executed step.
    pub fn step(&self, kind: &'static str, action: &'static str, result: &'static str) {
        self.steps
            .get_or_create(&StepLabels {
                kind,
                action,
                result,
            })
            .inc();
    }
}

impl CallObserver for ShopMetrics {
    fn call_ended(&self, service: &str, operation: &str, status: Option<u16>, duration: Duration) {
        let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.calls
            .get_or_create(&CallLabels {
                service: service.to_owned(),
                operation: operation.to_owned(),
                code,
            })
            .inc();
        self.call_duration
            .get_or_create(&ServiceLabels {
                service: service.to_owned(),
            })
            .observe(duration.as_secs_f64());
    }
}
