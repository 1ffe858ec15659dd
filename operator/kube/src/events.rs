//! Events: what `kubectl describe` shows at the end.
//!
//! kube's `Recorder` is not used: it takes two events that differ only in their note for the same and drops the later note, and it
//! writes at every repetition.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event as KubernetesEvent, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{Error, FIELD_MANAGER};

/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1024;
/// The API server refuses longer reasons, actions and reporting instances.
const SHORT_BYTES: usize = 128;
/// Object names have at most 253 characters; an event's adds 17 to the one of its object.
const NAME_BYTES: usize = 253 - 17;
/// How often a repeated event is written, and how long it is remembered after its last repetition: client-go's six minutes.
const SERIES_INTERVAL: Duration = Duration::from_secs(6 * 60);
/// New events of one reason that an object may have at once, and how long until it may have another: client-go's spam filter, but for the
/// reason. What is made for a large shop would use up what is there for the deletion of its database.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(5 * 60);

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// Someone may have to look.
    Warning,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What to tell about an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// How serious it is.
    pub severity: Severity,
    /// Why, in one word in `PascalCase`.
    pub reason: String,
    /// What was done or tried, in one word in `PascalCase`.
    pub action: String,
    /// The same in plain words. Cut off at 1024 bytes. Must not hold what differs each time (request ids, times).
    pub note: String,
}

#[derive(Debug)]
struct Known {
    namespace: String,
    name: String,
    /// All occurrences, written or not.
    count: i32,
    written: Instant,
    seen: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    tokens: f64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<u64, Known>,
    /// By object and reason.
    allowances: HashMap<(String, String), Allowance>,
}

/// Whether an event may be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// There will be others.
    Progress,
    /// It is told once.
    InAnyCase,
}

/// What to send for an event.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Create,
    Update {
        namespace: String,
        name: String,
        count: i32,
    },
}

/// Publishes events; clones share one memory.
///
/// Needs `create` and `patch` on `events` of `events.k8s.io`. Events of cluster-scoped objects go to the namespace `default`.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    controller: String,
    instance: String,
    memory: Arc<Mutex<Memory>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Recorder")
            .field("controller", &self.controller)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder that reports as `controller` (a qualified name, as `shopkeeper.dev/shopkeeper`) and `instance` (the name of the Pod).
    #[must_use]
    pub fn new(client: Client, controller: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            client,
            controller: controller.into(),
            instance: cut(&instance.into(), SHORT_BYTES),
            memory: Arc::default(),
        }
    }

    /// Publishes an event that is told for the last time, however many others the object has had: the filter that keeps one object from
    /// flooding the cluster is for news about progress.
    pub async fn publish_in_any_case(&self, regarding: &ObjectReference, event: &Event) {
        self.publish_by(regarding, event, Weight::InAnyCase).await;
    }

    /// Publishes an event about an object. A repetition within six minutes is only counted; after that the count is written. Failures
    /// are logged and otherwise ignored: an event is never worth failing a pass.
    pub async fn publish(&self, regarding: &ObjectReference, event: &Event) {
        self.publish_by(regarding, event, Weight::Progress).await;
    }

    async fn publish_by(&self, regarding: &ObjectReference, event: &Event, weight: Weight) {
        if let Err(error) = self.try_publish(regarding, event, weight).await {
            tracing::warn!(%error, reason = %event.reason, "event not published");
        }
    }

    async fn try_publish(
        &self,
        regarding: &ObjectReference,
        event: &Event,
        weight: Weight,
    ) -> Result<(), Error> {
        let key = key_of(regarding, event);
        let action = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.decide(key, regarding, &event.reason, weight, Instant::now())
        };
        match action {
            Action::Nothing => Ok(()),
            Action::Update {
                namespace,
                name,
                count,
            } => {
                let series = EventSeries {
                    count,
                    last_observed_time: MicroTime(jiff::Timestamp::now()),
                };
                let api: Api<KubernetesEvent> = Api::namespaced(self.client.clone(), &namespace);
                let parameters = PatchParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                match api
                    .patch(&name, &parameters, &Patch::Merge(json!({"series": series})))
                    .await
                {
                    // The API server forgets events after an hour.
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        self.create(key, regarding, event).await
                    }
                    result => Ok(result.map(|_| ())?),
                }
            }
            Action::Create => self.create(key, regarding, event).await,
        }
    }

    async fn create(
        &self,
        key: u64,
        regarding: &ObjectReference,
        event: &Event,
    ) -> Result<(), Error> {
        let created = self.compose(regarding, event, jiff::Timestamp::now());
        let namespace = created.metadata.namespace.clone().unwrap_or_default();
        let name = created.metadata.name.clone().unwrap_or_default();
        let api: Api<KubernetesEvent> = Api::namespaced(self.client.clone(), &namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        // Remembered before it is known to have been written: an API server in distress is not asked again for each repetition.
        let now = Instant::now();
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .known
            .insert(
                key,
                Known {
                    namespace,
                    name,
                    count: 1,
                    written: now,
                    seen: now,
                },
            );
        api.create(&parameters, &created).await?;
        Ok(())
    }

    fn compose(
        &self,
        regarding: &ObjectReference,
        event: &Event,
        now: jiff::Timestamp,
    ) -> KubernetesEvent {
        let name = cut(
            regarding.name.as_deref().unwrap_or(&self.controller),
            NAME_BYTES,
        );
        KubernetesEvent {
            metadata: ObjectMeta {
                namespace: Some(namespace_of(regarding)),
                // A name cut off must not end in a separator before the one added here.
                name: Some(format!(
                    "{}.{:016x}",
                    name.trim_end_matches(['.', '-']),
                    now.as_nanosecond()
                )),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(event.severity.label().to_owned()),
            reason: Some(cut(&event.reason, SHORT_BYTES)),
            action: Some(cut(&event.action, SHORT_BYTES)),
            note: Some(cut(&event.note, NOTE_BYTES)),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            ..KubernetesEvent::default()
        }
    }
}

impl Memory {
    fn decide(
        &mut self,
        key: u64,
        regarding: &ObjectReference,
        reason: &str,
        weight: Weight,
        now: Instant,
    ) -> Action {
        let since = |then: Instant| now.saturating_duration_since(then);
        self.known
            .retain(|_, known| since(known.seen) < SERIES_INTERVAL * 2);
        self.allowances
            .retain(|_, allowance| since(allowance.at) < REFILL.mul_f64(BURST));
        if let Some(known) = self.known.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            known.seen = now;
            if since(known.written) < SERIES_INTERVAL {
                return Action::Nothing;
            }
            known.written = now;
            return Action::Update {
                namespace: known.namespace.clone(),
                name: known.name.clone(),
                count: known.count,
            };
        }
        if weight == Weight::InAnyCase {
            return Action::Create;
        }
        let object = regarding
            .uid
            .clone()
            .or_else(|| regarding.name.clone())
            .unwrap_or_default();
        let of_reason = (object, reason.to_owned());
        let allowance = self.allowances.entry(of_reason).or_insert(Allowance {
            tokens: BURST,
            at: now,
        });
        let refilled = since(allowance.at).as_secs_f64() / REFILL.as_secs_f64();
        allowance.tokens = (allowance.tokens + refilled).min(BURST);
        allowance.at = now;
        if allowance.tokens < 1.0 {
            return Action::Nothing;
        }
        allowance.tokens -= 1.0;
        Action::Create
    }
}

fn key_of(regarding: &ObjectReference, event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        &regarding.uid,
        &regarding.kind,
        &regarding.namespace,
        &regarding.name,
    )
        .hash(&mut hasher);
    event.hash(&mut hasher);
    hasher.finish()
}

fn namespace_of(regarding: &ObjectReference) -> String {
    regarding
        .namespace
        .clone()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

/// At most `bytes` bytes of a text, with a sign that something is missing, never within a character.
fn cut(text: &str, bytes: usize) -> String {
    const ELLIPSIS: &str = "...";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storefront() -> ObjectReference {
        ObjectReference {
            kind: Some("Storefront".into()),
            namespace: Some("shop".into()),
            name: Some("octank".into()),
            uid: Some("uid-1".into()),
            ..ObjectReference::default()
        }
    }

    fn event(note: &str) -> Event {
        Event {
            severity: Severity::Normal,
            reason: "Created".into(),
            action: "Create".into(),
            note: note.into(),
        }
    }

    fn key(note: &str) -> u64 {
        key_of(&storefront(), &event(note))
    }

    fn decide(memory: &mut Memory, note: &str, now: Instant) -> Action {
        let action = memory.decide(key(note), &storefront(), "Created", Weight::Progress, now);
        if action == Action::Create {
            memory.known.insert(
                key(note),
                Known {
                    namespace: "shop".into(),
                    name: "octank.1".into(),
                    count: 1,
                    written: now,
                    seen: now,
                },
            );
        }
        action
    }

    #[test]
    fn repetitions_are_counted_and_written_now_and_then() {
        let start = Instant::now();
        let mut memory = Memory::default();
        assert_eq!(decide(&mut memory, "a", start), Action::Create);
        assert_eq!(
            decide(&mut memory, "a", start + Duration::from_secs(1)),
            Action::Nothing
        );
        assert_eq!(
            decide(&mut memory, "b", start + Duration::from_secs(2)),
            Action::Create,
            "another note is another event"
        );
        assert_eq!(
            decide(&mut memory, "a", start + Duration::from_secs(361)),
            Action::Update {
                namespace: "shop".into(),
                name: "octank.1".into(),
                count: 3,
            }
        );
        assert_eq!(
            decide(&mut memory, "a", start + Duration::from_secs(362)),
            Action::Nothing
        );
        assert_eq!(
            decide(&mut memory, "a", start + Duration::from_secs(3000)),
            Action::Create,
            "forgotten by then"
        );
    }

    #[test]
    fn one_object_cannot_flood_the_cluster() {
        let start = Instant::now();
        let mut memory = Memory::default();
        let created = (0..100)
            .filter(|number| decide(&mut memory, &number.to_string(), start) == Action::Create)
            .count();
        assert_eq!(created, 25);
        let last = (key("stays in AWS"), &storefront());
        assert_eq!(
            memory.decide(last.0, last.1, "Created", Weight::InAnyCase, start),
            Action::Create,
            "what is told for the last time is no flood"
        );
        let of_another = (key("going"), &storefront());
        assert_eq!(
            memory.decide(
                of_another.0,
                of_another.1,
                "Deleting",
                Weight::Progress,
                start
            ),
            Action::Create,
            "what was made leaves room for what is deleted"
        );
        assert_eq!(decide(&mut memory, "later", start + REFILL), Action::Create);
        assert_eq!(
            decide(&mut memory, "later still", start + REFILL),
            Action::Nothing
        );
    }

    #[test]
    fn what_the_api_server_would_refuse_is_cut_off() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::empty()))
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        let recorder = Recorder::new(
            Client::new(service, "default"),
            "shopkeeper.dev/shopkeeper",
            "pod",
        );
        let regarding = ObjectReference {
            name: Some("n".repeat(253)),
            namespace: None,
            ..storefront()
        };
        let composed =
            recorder.compose(&regarding, &event(&"ä".repeat(600)), jiff::Timestamp::now());
        assert_eq!(composed.metadata.namespace.as_deref(), Some("default"));
        assert!(composed.metadata.name.is_some_and(|name| name.len() <= 253));
        let note = composed.note.unwrap();
        assert!(
            note.len() <= 1024 && note.len() > 1015 && note.ends_with("ä..."),
            "{}",
            note.len()
        );
    }

    #[test]
    fn short_texts_are_left_alone() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "lo...");
    }
}
