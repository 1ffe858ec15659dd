//! The metrics of this crate and their registration.
//!
//! Names are those of client-go and controller-runtime where they exist, so that the dashboards and alerts people have for Go
//! controllers work here. The work queue metrics carry one label more, `lane`. Every label has a bounded set of values (kinds,
//! lanes, methods, codes): never the name of an object.
//!
//! prometheus-client appends `_total` to counters itself; the names below are registered without it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::queue::{Lane, Snapshot};

/// client-go's buckets of the work queue, 10 ns to 10 s there; passes against AWS and queues behind them want the upper end.
const QUEUE_BUCKETS: [f64; 12] = [
    0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0,
];
/// controller-runtime's buckets of `controller_runtime_reconcile_time_seconds`, thinned out.
const RECONCILE_BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];
/// client-go's buckets of `rest_client_request_duration_seconds`.
const REQUEST_BUCKETS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 30.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

fn queue_histogram() -> Histogram {
    Histogram::new(QUEUE_BUCKETS)
}

fn reconcile_histogram() -> Histogram {
    Histogram::new(RECONCILE_BUCKETS)
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_BUCKETS)
}

/// All metrics of this crate.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Work queues.
    pub queue: QueueMetrics,
    /// Passes.
    pub controller: ControllerMetrics,
    /// Watches and stores.
    pub watch: WatchMetrics,
    /// Requests to the API server.
    pub rest_client: RestClientMetrics,
    /// Leader election.
    pub lease: LeaseMetrics,
}

impl Metrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.queue.register(registry);
        metrics.controller.register(registry);
        metrics.watch.register(registry);
        metrics.rest_client.register(registry);
        metrics.lease.register(registry);
        metrics
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLaneLabels {
    name: String,
    lane: &'static str,
}

/// A queue whose state is read at each scrape.
pub(crate) trait QueueSource: Send + Sync {
    fn name(&self) -> &str;
    fn snapshot(&self) -> Snapshot;
}

/// `workqueue_*`, with the labels `name` and, where it applies, `lane` (edit or resync).
///
/// What describes the present (depth, unfinished work) is computed at the scrape, not kept up by a timer.
#[derive(Clone)]
pub struct QueueMetrics {
    queue_duration: Histograms<QueueLaneLabels>,
    work_duration: Histograms<QueueLabels>,
    sources: Arc<Mutex<Vec<Weak<dyn QueueSource>>>>,
}

impl fmt::Debug for QueueMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("QueueMetrics")
            .finish_non_exhaustive()
    }
}

impl Default for QueueMetrics {
    fn default() -> Self {
        Self {
            queue_duration: Family::new_with_constructor(queue_histogram),
            work_duration: Family::new_with_constructor(queue_histogram),
            sources: Arc::default(),
        }
    }
}

impl QueueMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long a key waited after it was due until its pass started",
            self.queue_duration.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long the pass of a key took",
            self.work_duration.clone(),
        );
        registry.register_collector(Box::new(self.clone()));
    }

    pub(crate) fn observe(&self, source: &Arc<dyn QueueSource>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push(Arc::downgrade(source));
    }

    pub(crate) fn queued(&self, name: &str, lane: Lane, waited: Duration) {
        self.queue_duration
            .get_or_create(&QueueLaneLabels {
                name: name.to_owned(),
                lane: lane.label(),
            })
            .observe(waited.as_secs_f64());
    }

    pub(crate) fn worked(&self, name: &str, worked: Duration) {
        self.work_duration
            .get_or_create(&QueueLabels {
                name: name.to_owned(),
            })
            .observe(worked.as_secs_f64());
    }

    fn snapshots(&self) -> Vec<(String, Snapshot)> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|source| source.strong_count() > 0);
        let sources: Vec<_> = sources.iter().filter_map(Weak::upgrade).collect();
        sources
            .iter()
            .map(|source| (source.name().to_owned(), source.snapshot()))
            .collect()
    }
}

/// Counters may carry an exemplar with labels; these do not.
type NoLabels = [(&'static str, &'static str); 0];

impl Collector for QueueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshots = self.snapshots();
        if snapshots.is_empty() {
            return Ok(());
        }
        let lanes = || {
            snapshots.iter().flat_map(|(name, snapshot)| {
                Lane::ALL
                    .into_iter()
                    .enumerate()
                    .map(move |(index, lane)| (name.as_str(), snapshot, index, lane.label()))
            })
        };
        let mut depth = encoder.encode_descriptor(
            "workqueue_depth",
            "Keys ready to run",
            None,
            MetricType::Gauge,
        )?;
        for (name, snapshot, index, lane) in lanes() {
            depth
                .encode_family(&[("name", name), ("lane", lane)])?
                .encode_gauge(&(snapshot.depth[index] as u64))?;
        }
        let mut adds = encoder.encode_descriptor(
            "workqueue_adds",
            "Triggers that made a key pending",
            None,
            MetricType::Counter,
        )?;
        for (name, snapshot, index, lane) in lanes() {
            adds.encode_family(&[("name", name), ("lane", lane)])?
                .encode_counter::<NoLabels, _, u64>(&snapshot.adds[index], None)?;
        }
        let mut retries = encoder.encode_descriptor(
            "workqueue_retries",
            "Failures that led to a retry",
            None,
            MetricType::Counter,
        )?;
        for (name, snapshot) in &snapshots {
            retries
                .encode_family(&[("name", name.as_str())])?
                .encode_counter::<NoLabels, _, u64>(&snapshot.retries, None)?;
        }
        let mut unfinished = encoder.encode_descriptor(
            "workqueue_unfinished_work_seconds",
            "Sum of how long the running passes have been running: it keeps growing when workers are stuck",
            None,
            MetricType::Gauge,
        )?;
        for (name, snapshot) in &snapshots {
            unfinished
                .encode_family(&[("name", name.as_str())])?
                .encode_gauge(&snapshot.unfinished.as_secs_f64())?;
        }
        let mut longest = encoder.encode_descriptor(
            "workqueue_longest_running_processor_seconds",
            "How long the longest running pass has been running",
            None,
            MetricType::Gauge,
        )?;
        for (name, snapshot) in &snapshots {
            longest
                .encode_family(&[("name", name.as_str())])?
                .encode_gauge(&snapshot.longest_running.as_secs_f64())?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    controller: String,
    result: &'static str,
}

/// `controller_runtime_*`, with the label `controller`.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    reconciles: Family<ReconcileLabels, Counter>,
    errors: Family<ControllerLabels, Counter>,
    panics: Family<ControllerLabels, Counter>,
    timeouts: Family<ControllerLabels, Counter>,
    time: Histograms<ControllerLabels>,
    active: Family<ControllerLabels, Gauge>,
    maximum: Family<ControllerLabels, Gauge>,
}

impl Default for ControllerMetrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            time: Family::new_with_constructor(reconcile_histogram),
            active: Family::default(),
            maximum: Family::default(),
        }
    }
}

impl ControllerMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "controller_runtime_reconcile",
            "Passes by result (success, requeue_after, error)",
            self.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Passes that failed",
            self.errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_panics",
            "Passes that panicked",
            self.panics.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_timeouts",
            "Passes that took too long and were ended",
            self.timeouts.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long a pass took",
            self.time.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Passes that run now",
            self.active.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Passes that may run at once",
            self.maximum.clone(),
        );
    }

    /// The counters of one controller. Creates them at zero, so that alerts on increases see the first one.
    pub(crate) fn of(&self, controller: &str) -> OneController {
        let labels = ControllerLabels {
            controller: controller.to_owned(),
        };
        let result = |result| {
            self.reconciles.get_or_create_owned(&ReconcileLabels {
                controller: controller.to_owned(),
                result,
            })
        };
        OneController {
            success: result("success"),
            requeue_after: result("requeue_after"),
            error: result("error"),
            errors: self.errors.get_or_create_owned(&labels),
            panics: self.panics.get_or_create_owned(&labels),
            timeouts: self.timeouts.get_or_create_owned(&labels),
            time: self.time.get_or_create_owned(&labels),
            active: self.active.get_or_create_owned(&labels),
            maximum: self.maximum.get_or_create_owned(&labels),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct OneController {
    pub(crate) success: Counter,
    pub(crate) requeue_after: Counter,
    pub(crate) error: Counter,
    pub(crate) errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) time: Histogram,
    pub(crate) active: Gauge,
    pub(crate) maximum: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

/// `shopkeeper_watch_*` and `shopkeeper_store_objects`, with the label `kind`.
#[derive(Debug, Clone, Default)]
pub struct WatchMetrics {
    errors: Family<KindLabels, Counter>,
    invalid: Family<KindLabels, Counter>,
    last_event: Family<KindLabels, Gauge<f64, AtomicU64>>,
    objects: Family<KindLabels, Gauge>,
}

impl WatchMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "shopkeeper_watch_errors",
            "Errors of a watch; each is retried with backoff",
            self.errors.clone(),
        );
        registry.register(
            "shopkeeper_watch_invalid_objects",
            "Objects received that do not fit the type they are read as; they are left out of the store",
            self.invalid.clone(),
        );
        registry.register(
            "shopkeeper_watch_last_event_timestamp_seconds",
            "When a watch last delivered anything, in seconds since the epoch",
            self.last_event.clone(),
        );
        registry.register(
            "shopkeeper_store_objects",
            "Objects in a store",
            self.objects.clone(),
        );
    }

    pub(crate) fn of(&self, kind: &str) -> OneWatch {
        let labels = KindLabels {
            kind: kind.to_owned(),
        };
        OneWatch {
            errors: self.errors.get_or_create_owned(&labels),
            invalid: self.invalid.get_or_create_owned(&labels),
            last_event: self.last_event.get_or_create_owned(&labels),
            objects: self.objects.get_or_create_owned(&labels),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct OneWatch {
    pub(crate) errors: Counter,
    pub(crate) invalid: Counter,
    pub(crate) last_event: Gauge<f64, AtomicU64>,
    pub(crate) objects: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    method: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestDurationLabels {
    verb: String,
    host: String,
}

/// `rest_client_*`, as client-go has them: each attempt counts, with the labels `code`, `method` and `host`.
#[derive(Debug, Clone)]
pub struct RestClientMetrics {
    requests: Family<RequestLabels, Counter>,
    duration: Histograms<RequestDurationLabels>,
}

impl Default for RestClientMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(request_histogram),
        }
    }
}

impl RestClientMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "rest_client_requests",
            "Requests to the API server; the code is <error> where no answer came",
            self.requests.clone(),
        );
        registry.register(
            "rest_client_request_duration_seconds",
            "Time until the API server started to answer",
            self.duration.clone(),
        );
    }

    pub(crate) fn observe(&self, code: Option<u16>, method: &str, host: &str, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                code: code.map_or_else(|| "<error>".to_owned(), |code| code.to_string()),
                method: method.to_owned(),
                host: host.to_owned(),
            })
            .inc();
        self.duration
            .get_or_create(&RequestDurationLabels {
                verb: method.to_owned(),
                host: host.to_owned(),
            })
            .observe(took.as_secs_f64());
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LeaseLabels {
    pub(crate) name: String,
}

/// `leader_election_master_status`: 1 on the leader, 0 elsewhere, with the label `name`.
#[derive(Debug, Clone, Default)]
pub struct LeaseMetrics {
    pub(crate) status: Family<LeaseLabels, Gauge>,
}

impl LeaseMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "leader_election_master_status",
            "Whether this process is the leader: 1 or 0",
            self.status.clone(),
        );
    }

    pub(crate) fn set(&self, name: &str, leader: bool) {
        self.status
            .get_or_create(&LeaseLabels {
                name: name.to_owned(),
            })
            .set(i64::from(leader));
    }
}

#[cfg(test)]
mod tests;
