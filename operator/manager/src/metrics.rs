//! Shopkeeper's own metrics. Labels are bounded: kinds, services, operations and classes, never names.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::{
        MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};
use shopkeeper_aws::{
    budget::{Budgets, Level, Priority},
    calls::CallObserver,
};
use shopkeeper_plan::budget::AwsApi;

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
struct ApiLabels {
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    api: &'static str,
    priority: &'static str,
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
    throttled: Family<ApiLabels, Counter>,
    budget_refusals: Family<RefusalLabels, Counter>,
    budgets: BudgetLevels,
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
            throttled: Family::default(),
            budget_refusals: Family::default(),
            budgets: BudgetLevels::default(),
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
        registry.register(
            "shopkeeper_aws_throttled",
            "Calls that AWS throttled; each halves the budget for a while",
            metrics.throttled.clone(),
        );
        registry.register(
            "shopkeeper_aws_budget_refusals",
            "Calls that were not made, since the budget was spent",
            metrics.budget_refusals.clone(),
        );
        registry.register_collector(Box::new(metrics.budgets.clone()));
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

    /// Shows the budgets for a region from now on.
    pub fn show_budgets(&self, region: &str, budgets: &Budgets) {
        self.budgets
            .of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((region.to_owned(), budgets.clone()));
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

/// What is left of the budgets. It grows without anybody's doing: read when it is asked for.
#[derive(Clone, Debug, Default)]
struct BudgetLevels {
    of: Arc<Mutex<Vec<(String, Budgets)>>>,
}

impl Collector for BudgetLevels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let levels: Vec<(String, Level)> = self
            .of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .flat_map(|(region, budgets)| {
                let levels = budgets.levels().into_iter();
                levels.map(|level| (region.clone(), level))
            })
            .collect();
        if levels.is_empty() {
            return Ok(());
        }
        /// What a gauge tells of a level.
        type Reading = fn(&Level) -> f64;
        let gauges: [(&str, &str, Reading); 2] = [
            (
                "shopkeeper_aws_budget_tokens",
                "Calls to AWS that could be made at once",
                |level| level.tokens,
            ),
            (
                "shopkeeper_aws_budget_calls_per_second",
                "Calls to AWS that may be made in the long run; less than configured after throttling",
                |level| level.rate,
            ),
        ];
        for (name, help, value) in gauges {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (region, level) in &levels {
                gauge
                    .encode_family(&[("region", region.as_str()), ("api", level.api.name())])?
                    .encode_gauge(&value(level))?;
            }
        }
        Ok(())
    }
}

impl CallObserver for ShopMetrics {
    fn throttled(&self, api: AwsApi) {
        self.throttled
            .get_or_create(&ApiLabels { api: api.name() })
            .inc();
    }

    fn budget_spent(&self, api: AwsApi, priority: Priority) {
        self.budget_refusals
            .get_or_create(&RefusalLabels {
                api: api.name(),
                priority: priority.label(),
            })
            .inc();
    }

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
