//! One task for each watched kind: it keeps a [`Store`] and tells of every change.
//!
//! Each task has its own backoff. With kube's `Controller` one failing watch (a 403, an absent CRD) pauses the triggers of all.

use std::{
    borrow::Cow,
    fmt::{self, Debug},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind, PartialObjectMeta},
    discovery,
    runtime::{
        utils::Backoff as _,
        watcher::{self, DefaultBackoff, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    controller::panic_message,
    error::error_chain,
    metrics::{OneWatch, WatchMetrics},
    packed::PackedObject,
    store::{Change, ObjectKey, Observed, Received, Store, StoreWriter, Unreadable, unguard},
};

/// How often the API server is asked whether it serves an optional kind by now.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(60);

/// Objects that are asked for at once in a listing. An object takes several times its size while it is read, and all kinds are listed at
/// the same time: by kube's 500 a replica that starts takes more memory than it ever needs again.
const PAGE: u32 = 100;

/// How long an optional kind that may not be listed is left alone.
const REFUSED_INTERVAL: Duration = Duration::from_secs(30);

type EventStream<K> = BoxStream<'static, watcher::Result<Event<Received<K>>>>;
/// Takes out of `managedFields` what need not be kept.
pub type ReduceManagedFields = fn(&mut Vec<ManagedFieldsEntry>);
type Prune<K> = Arc<dyn Fn(&mut K) + Send + Sync>;
type OnChange<K> = Arc<dyn Fn(&Change<K>) + Send + Sync>;
type OnInvalid = Arc<dyn Fn(&ObjectKey, &str) + Send + Sync>;
type IndexFunction<K> = Arc<dyn Fn(&K) -> Vec<String> + Send + Sync>;

/// A watch of one kind, to be configured and started.
pub struct Watch<K: Resource> {
    kind: String,
    connect: Arc<dyn Fn(watcher::Config) -> EventStream<K> + Send + Sync>,
    config: watcher::Config,
    optional: Option<(Client, GroupVersionKind)>,
    reduce_managed_fields: ReduceManagedFields,
    prune: Vec<Prune<K>>,
    on_change: Vec<OnChange<K>>,
    on_invalid: Vec<OnInvalid>,
    index_by: Vec<(&'static str, IndexFunction<K>)>,
}

impl<K: Resource> fmt::Debug for Watch<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Watch")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Clone + Send + Sync,
{
    /// Watches whole objects. The guard in the type of `api` keeps one object that cannot be read from breaking the list; an
    /// `Api<DeserializeGuard<K>>` is made like any other.
    #[must_use]
    pub fn objects(api: Api<DeserializeGuard<K>>, dynamic_type: &K::DynamicType) -> Self {
        Self::new(
            K::kind(dynamic_type),
            Arc::new(move |config| received(watcher::watcher(api.clone(), config), unguard)),
        )
    }
}

impl<K> Watch<PartialObjectMeta<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Clone + Send + Sync,
{
    /// Watches metadata only: the API server sends nothing else, which for kinds with large objects saves most of the memory.
    #[must_use]
    pub fn metadata(api: Api<PartialObjectMeta<K>>, dynamic_type: &K::DynamicType) -> Self {
        Self::new(
            K::kind(dynamic_type),
            Arc::new(move |config| received(watcher::watcher(api.clone(), config), Ok)),
        )
    }
}

impl Watch<PackedObject> {
    /// Watches whole objects of a kind that has no type here, and keeps each packed, without what `reduce` takes out of it.
    #[must_use]
    pub fn packed(
        api: Api<DeserializeGuard<DynamicObject>>,
        resource: &ApiResource,
        reduce: impl Fn(&mut DynamicObject) + Send + Sync + 'static,
    ) -> Self {
        let reduce = Arc::new(reduce);
        Self::new(
            DynamicObject::kind(resource),
            Arc::new(move |config| {
                let reduce = Arc::clone(&reduce);
                received(watcher::watcher(api.clone(), config), move |guarded| {
                    unguard(guarded).map(|mut object| {
                        reduce(&mut object);
                        PackedObject::of(object)
                    })
                })
            }),
        )
    }
}

fn received<A: Send + 'static, K: Send + 'static>(
    stream: impl Stream<Item = watcher::Result<Event<A>>> + Send + 'static,
    convert: impl Fn(A) -> Received<K> + Send + 'static,
) -> EventStream<K> {
    stream
        .map(move |event| {
            event.map(|event| match event {
                Event::Apply(object) => Event::Apply(convert(object)),
                Event::Delete(object) => Event::Delete(convert(object)),
                Event::InitApply(object) => Event::InitApply(convert(object)),
                Event::Init => Event::Init,
                Event::InitDone => Event::InitDone,
            })
        })
        .boxed()
}

impl<K> Watch<K>
where
    K: Resource + Send + Sync + 'static,
{
    fn new(
        kind: Cow<'_, str>,
        connect: Arc<dyn Fn(watcher::Config) -> EventStream<K> + Send + Sync>,
    ) -> Self {
        Self {
            kind: kind.into_owned(),
            connect,
            config: watcher::Config::default().page_size(PAGE),
            optional: None,
            reduce_managed_fields: Vec::clear,
            prune: Vec::new(),
            on_change: Vec::new(),
            on_invalid: Vec::new(),
            index_by: Vec::new(),
        }
    }

    /// Label and field selectors, page size and list strategy.
    #[must_use]
    pub fn config(mut self, config: watcher::Config) -> Self {
        self.config = config;
        self
    }

    /// Its name in metrics, where it is not the only watch of its kind.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.kind);
        self
    }

    /// Only objects with these labels.
    #[must_use]
    pub fn labels(mut self, selector: &str) -> Self {
        self.config = self.config.labels(selector);
        self
    }

    /// The API server may not serve this kind (its CRD belongs to someone else), or not to us: the watch starts once it does, and the
    /// store counts as settled until then.
    #[must_use]
    pub fn optional(mut self, client: Client, kind: GroupVersionKind) -> Self {
        self.optional = Some((client, kind));
        self
    }

    /// Keeps a part of `managedFields`. They are often the larger part of an object and dropped where this is not called.
    #[must_use]
    pub fn reduce_managed_fields(mut self, reduce: ReduceManagedFields) -> Self {
        self.reduce_managed_fields = reduce;
        self
    }

    /// Reduces each object before it is stored.
    #[must_use]
    pub fn prune(mut self, prune: impl Fn(&mut K) + Send + Sync + 'static) -> Self {
        self.prune.push(Arc::new(prune));
        self
    }

    /// Is told of every change after the store holds it, deletions included.
    #[must_use]
    pub fn on_change(mut self, on_change: impl Fn(&Change<K>) + Send + Sync + 'static) -> Self {
        self.on_change.push(Arc::new(on_change));
        self
    }

    /// Is told of objects that could not be read, with the reason.
    #[must_use]
    pub fn on_invalid(
        mut self,
        on_invalid: impl Fn(&ObjectKey, &str) + Send + Sync + 'static,
    ) -> Self {
        self.on_invalid.push(Arc::new(on_invalid));
        self
    }

    /// Adds an index to the store, read by [`Store::indexed`].
    #[must_use]
    pub fn index(
        mut self,
        name: &'static str,
        values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.index_by.push((name, Arc::new(values)));
        self
    }

    /// Starts the task of this watch; it runs until `shutdown` is cancelled.
    #[must_use]
    pub fn start(mut self, metrics: &WatchMetrics, shutdown: CancellationToken) -> Store<K> {
        let writer = StoreWriter::new(std::mem::take(&mut self.index_by));
        let store = writer.store();
        let task = Task {
            metrics: metrics.of(&self.kind),
            watch: self,
            writer,
        };
        tokio::spawn(async move {
            let mut task = task;
            shutdown.run_until_cancelled(task.run()).await;
            task.writer.stopped();
        });
        store
    }
}

struct Task<K: Resource> {
    watch: Watch<K>,
    writer: StoreWriter<K>,
    metrics: OneWatch,
}

impl<K> Task<K>
where
    K: Resource + Send + Sync + 'static,
{
    async fn run(&mut self) {
        loop {
            self.wait_until_served().await;
            self.follow().await;
        }
    }

    /// For an optional kind: waits until the API server serves it.
    async fn wait_until_served(&mut self) {
        let Some((client, kind)) = self.watch.optional.clone() else {
            return;
        };
        loop {
            match is_served(&client, &kind).await {
                Ok(true) => return,
                Ok(false) => {
                    let changes = self.writer.not_served();
                    self.metrics.objects.set(0);
                    self.tell(&changes);
                }
                // Not knowing is no reason to call the store settled, nor to drop what it holds.
                Err(error) => self.count_error(&error_chain(&error)),
            }
            tokio::time::sleep(DISCOVERY_INTERVAL.mul_f64(0.9 + 0.2 * rand::random::<f64>())).await;
        }
    }

    /// Follows the events. Returns when an optional kind seems to be served no longer, or not to us; never for the others.
    async fn follow(&mut self) {
        // Not `StreamBackoff`: it takes the start of a listing for a success and resets, so that a list that is refused each
        // time would be repeated about once a second for good.
        let mut backoff = DefaultBackoff::default();
        let mut events = (self.watch.connect)(self.watch.config.clone());
        loop {
            match events.next().await {
                Some(Ok(event)) => {
                    if !matches!(event, Event::Init) {
                        backoff.reset();
                    }
                    self.take_in(event);
                }
                Some(Err(error)) => {
                    self.count_error(&error_chain(&error));
                    if self.watch.optional.is_some() {
                        match status_code(&error) {
                            Some(404) => return,
                            // The others need not wait for a right that may never be granted. A kind that has gone is refused as
                            // well, since rights are looked at first: discovery tells.
                            Some(403) => {
                                self.writer.refused();
                                tokio::time::sleep(REFUSED_INTERVAL).await;
                                return;
                            }
                            _ => {}
                        }
                    }
                    // kube's watcher lists anew where a watch tells of it in an event, and would ask for the same version for good
                    // where the request itself is answered so.
                    if is_expired(&error) {
                        events = (self.watch.connect)(self.watch.config.clone());
                    }
                    tokio::time::sleep(backoff.next().unwrap_or(Duration::from_secs(30))).await;
                }
                None => {
                    events = (self.watch.connect)(self.watch.config.clone());
                    tokio::time::sleep(backoff.next().unwrap_or(Duration::from_secs(30))).await;
                }
            }
        }
    }

    fn take_in(&mut self, event: Event<Received<K>>) {
        let prune = &self.watch.prune;
        let reduce_managed_fields = self.watch.reduce_managed_fields;
        let event = event.modify(|received| {
            if let Ok(object) = received {
                reduce_managed_fields(object.managed_fields_mut());
                for prune in prune {
                    prune(object);
                }
            }
        });
        let Observed { changes, invalid } = self.writer.observe(event);
        self.metrics.last_event.set(seconds_since_epoch());
        self.metrics
            .objects
            .set(i64::try_from(self.writer.len()).unwrap_or(i64::MAX));
        for Unreadable { key, reason } in invalid {
            self.metrics.invalid.inc();
            tracing::warn!(kind = %self.watch.kind, %key, %reason, "object cannot be read");
            for on_invalid in &self.watch.on_invalid {
                self.guarded(|| on_invalid(&key, &reason));
            }
        }
        self.tell(&changes);
    }

    fn tell(&self, changes: &[Change<K>]) {
        for change in changes {
            for on_change in &self.watch.on_change {
                self.guarded(|| on_change(change));
            }
        }
    }

    /// A panic in one callback must not end the watch: everything else would go on, blind for this kind.
    fn guarded(&self, callback: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(callback)) {
            self.count_error(&format!("a callback panicked: {}", panic_message(&*panic)));
        }
    }

    fn count_error(&self, error: &str) {
        self.metrics.errors.inc();
        tracing::warn!(kind = %self.watch.kind, error, "watch failed");
    }
}

/// Asks live, never a cache: a CRD that was installed a moment ago must be found.
async fn is_served(client: &Client, kind: &GroupVersionKind) -> Result<bool, kube::Error> {
    match discovery::oneshot::pinned_kind(client, kind).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(kube::Error::Discovery(kube::error::DiscoveryError::MissingKind(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

fn is_expired(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

fn seconds_since_epoch() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests;
