//! Observations that are shared by all passes.
//!
//! Every pass looks at all resources of its custom resource, most of which have not changed since the last one. AWS's
//! quotas for reading are per account, so that answers are kept for as long as a pass says that they may be old.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use shopkeeper_plan::{
    aws::AwsKind,
    failure::{Class, Failure},
    observed::{Lifecycle, Observation},
    resource::{ResourceKey, ResourceKind},
};
use tokio::sync::Semaphore;

use crate::account::{Account, Scope};

/// Observations made at the same time, over all passes. Each makes one to twelve calls; more of them only run into AWS's
/// limits, which refill by the second.
const AT_ONCE: usize = 8;

/// An answer nobody asked for in this time is forgotten: its custom resource is gone.
const UNUSED: Duration = Duration::from_secs(60 * 60);

/// Where answers come from.
#[async_trait]
trait Source: Send + Sync {
    async fn look_up(&self, kind: AwsKind, name: &str, scope: &Scope) -> Observation;
}

#[async_trait]
impl Source for Account {
    async fn look_up(&self, kind: AwsKind, name: &str, scope: &Scope) -> Observation {
        self.observe(kind, name, scope).await
    }
}

/// A cache of observations in front of [`Account::observe`]. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Observer {
    shared: Arc<Shared>,
}

struct Shared {
    source: Box<dyn Source>,
    entries: Mutex<BTreeMap<ResourceKey, Vec<Entry>>>,
    limit: Semaphore,
}

/// What is known of one resource, as seen with one scope.
struct Entry {
    scope: Scope,
    used: Instant,
    /// Locked while AWS is asked, so that those who ask for the same meanwhile wait for that answer.
    answer: Arc<tokio::sync::Mutex<Option<Answer>>>,
}

struct Answer {
    observation: Observation,
    /// Before AWS was asked: what changed later may be missing.
    asked: Instant,
    answered: Instant,
}

impl Answer {
    /// Whether it serves somebody who came at `now`: it was fetched while they waited, or is fresh and at rest. What is in
    /// transition is looked at anew, or its end would be seen late; a failure is not an answer.
    fn serves(&self, came: Instant, freshness: Duration) -> bool {
        self.answered >= came
            || (is_at_rest(&self.observation)
                && came.saturating_duration_since(self.asked) < freshness)
    }
}

fn is_at_rest(observation: &Observation) -> bool {
    match observation {
        Observation::Absent => true,
        Observation::Present(present) => matches!(
            present.lifecycle,
            Lifecycle::Available | Lifecycle::Failed(_) | Lifecycle::DeletionFailed(_)
        ),
        Observation::Unknown(_) => false,
    }
}

impl Observer {
    /// An empty cache in front of an account.
    #[must_use]
    pub fn new(account: Account) -> Self {
        Self::over(account)
    }

    fn over(source: impl Source + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                source: Box::new(source),
                entries: Mutex::new(BTreeMap::new()),
                limit: Semaphore::new(AT_ONCE),
            }),
        }
    }

    /// Observes resources, each of them once whoever asks at the same time.
    ///
    /// An answer that is younger than `freshness` is served from memory, unless the resource was in transition or could
    /// not be observed. Every key is in the result; one that is no AWS resource is [`Observation::Unknown`].
    pub async fn observe(
        &self,
        keys: &BTreeSet<ResourceKey>,
        scope: &Scope,
        freshness: Duration,
    ) -> BTreeMap<ResourceKey, Observation> {
        self.drop_unused(Instant::now());
        stream::iter(keys.iter().cloned())
            .map(|key| async move {
                let observation = self.observe_one(&key, scope, freshness).await;
                (key, observation)
            })
            .buffer_unordered(keys.len().max(1))
            .collect()
            .await
    }

    /// Forgets what is known of a resource: after every write, or the next pass would plan with what was before it. An
    /// answer that is on its way is forgotten too.
    pub fn forget(&self, key: &ResourceKey) {
        self.entries().remove(key);
    }

    async fn observe_one(
        &self,
        key: &ResourceKey,
        scope: &Scope,
        freshness: Duration,
    ) -> Observation {
        let ResourceKind::Aws(kind) = key.kind else {
            return Observation::Unknown(Failure::new(
                Class::Bug,
                format!("{key} is no AWS resource"),
            ));
        };
        let came = Instant::now();
        let entry = self.entry(key, scope, came);
        let mut answer = entry.lock().await;
        if let Some(answer) = answer
            .as_ref()
            .filter(|answer| answer.serves(came, freshness))
        {
            return answer.observation.clone();
        }
        let Ok(_permit) = self.shared.limit.acquire().await else {
            return Observation::Unknown(Failure::new(Class::Bug, "the observer was closed"));
        };
        let asked = Instant::now();
        let observation = self.shared.source.look_up(kind, &key.name, scope).await;
        *answer = Some(Answer {
            observation: observation.clone(),
            asked,
            answered: Instant::now(),
        });
        observation
    }

    fn entry(
        &self,
        key: &ResourceKey,
        scope: &Scope,
        now: Instant,
    ) -> Arc<tokio::sync::Mutex<Option<Answer>>> {
        let mut entries = self.entries();
        let of_key = entries.entry(key.clone()).or_default();
        if let Some(entry) = of_key.iter_mut().find(|entry| entry.scope == *scope) {
            entry.used = now;
            return Arc::clone(&entry.answer);
        }
        let answer = Arc::default();
        of_key.push(Entry {
            scope: scope.clone(),
            used: now,
            answer: Arc::clone(&answer),
        });
        answer
    }

    fn drop_unused(&self, now: Instant) {
        self.entries().retain(|_, of_key| {
            of_key.retain(|entry| now.saturating_duration_since(entry.used) < UNUSED);
            !of_key.is_empty()
        });
    }

    /// A panic while the map was locked leaves at worst an entry without an answer, which is no harm.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<ResourceKey, Vec<Entry>>> {
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("entries", &self.entries().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "observer/tests.rs"]
mod tests;
