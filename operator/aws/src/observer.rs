//! Observations that are shared by all passes.
//!
//! Every pass looks at all resources of its custom resource, most of which have not changed since the last one. AWS's
//! quotas for reading are per account, so that answers are kept for as long as a pass says that they may be old.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
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

use crate::{
    account::{Account, Scope},
    cloudtrail::Names,
    parts::{Parts, Since, Trailed},
};

/// Observations made at the same time, over all passes. Each makes one to twelve calls; how many there are in a second is for the
/// [budget](crate::budget) to say, and this only bounds connections and memory.
const AT_ONCE: usize = 16;

/// An answer nobody asked for in this time is forgotten: its custom resource is gone. With a drift interval of a day it is looked at every
/// four hours.
const UNUSED: Duration = Duration::from_secs(12 * 60 * 60);

/// However long CloudTrail tells of no change: what it tells is not promised to be all, and some of what AWS changes by itself may be
/// taken for a setting here. Each resource has a share of it of its own, or all that was read at a start would be read together again.
const LONGEST_UNREAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Where answers come from.
#[async_trait]
trait Source: Send + Sync {
    async fn look_up(&self, kind: AwsKind, name: &str, scope: &Scope) -> Observation;

    /// Where CloudTrail is asked about what is called so, if it is.
    fn trailed(&self, _names: Names, _longest_unread: Duration) -> Option<Trailed> {
        None
    }
}

#[async_trait]
impl Source for Account {
    async fn look_up(&self, kind: AwsKind, name: &str, scope: &Scope) -> Observation {
        self.observe(kind, name, scope).await
    }

    fn trailed(&self, names: Names, longest_unread: Duration) -> Option<Trailed> {
        Some(Trailed {
            account: self.clone(),
            names,
            longest_unread,
        })
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
    /// When resources were forgotten.
    forgotten: Mutex<BTreeMap<ResourceKey, Instant>>,
    limit: Semaphore,
}

/// What is known of one resource, as seen with one scope.
struct Entry {
    scope: Scope,
    made: Instant,
    used: Instant,
    /// Locked while AWS is asked, so that those who ask for the same meanwhile wait for that answer.
    known: Arc<tokio::sync::Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    answer: Option<Answer>,
    /// What was told of it in looks that did not come to an end.
    parts: Parts,
}

/// For how long what is in transition is not asked for again in a look that goes on: its end is to be seen within seconds, but several
/// tokens are left for the rest.
const IN_TRANSITION: Duration = Duration::from_secs(10);

/// IAM's lists and the Resource Groups Tagging API tell a change some time after the service itself does. AWS says that it is soon, and
/// not how soon.
const LISTINGS_LAG: Duration = Duration::from_secs(2 * 60);

/// How old an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// The oldest that serves, where the resource was at rest.
    pub at_rest: Duration,
    /// How old the settings in such an answer may be.
    pub settings_at_rest: Duration,
    /// How old what only changes when somebody calls AWS may be, where the resource is asked for again.
    pub settings: Duration,
    /// How old a description of all resources of a kind may be that is used for this one.
    pub listings: Duration,
    /// Since when an answer serves; of what is in transition, for some seconds. A pass that is sent away before it has seen everything
    /// comes back with the same moment, and asks only for what is missing: or it would use up what there is for the same resources
    /// each time.
    pub since: Instant,
}

impl Age {
    /// Nothing that was asked before now serves.
    #[must_use]
    pub fn now() -> Self {
        Self::at_most(Duration::ZERO)
    }

    /// Answers of resources at rest serve for so long.
    #[must_use]
    pub fn at_most(at_rest: Duration) -> Self {
        Self {
            at_rest,
            settings_at_rest: at_rest,
            settings: Duration::ZERO,
            listings: Duration::ZERO,
            since: Instant::now(),
        }
    }
}

struct Answer {
    observation: Observation,
    /// Before AWS was asked: what changed later may be missing. Where a part was told before the look, when that was asked for.
    asked: Instant,
    /// The same of settings.
    settings_asked: Instant,
    /// Whether a listing told some of them, which may lag behind: nothing is changed on its word.
    from_listing: bool,
    /// When the look began.
    began: Instant,
    answered: Instant,
}

impl Answer {
    /// Whether it serves somebody who came at `came`: it was fetched while they waited or in the look that they go on with, or is
    /// fresh and at rest. What is in transition is looked at anew, or its end would be seen late; a failure is not an answer, but for
    /// those who waited for the call that failed: where there was no call, they may have tokens that the other one had not.
    fn serves(&self, came: Instant, age: Age, since: Since, settings_at_rest: Instant) -> bool {
        if let Observation::Unknown(failure) = &self.observation {
            return self.answered >= came && !failure.is_budget_spent();
        }
        let is_at_rest = is_at_rest(&self.observation);
        let age_of_state = came.saturating_duration_since(self.asked);
        let settings_serve = self.settings_asked >= since.settings;
        let while_waiting = self.answered >= came
            && (self.asked >= self.began
                || since.listings.is_some_and(|since| self.asked >= since))
            && (self.settings_asked >= self.began || settings_serve);
        let in_this_look = self.asked >= age.since
            && settings_serve
            && (is_at_rest || age_of_state < IN_TRANSITION);
        let is_fresh =
            is_at_rest && age_of_state < age.at_rest && self.settings_asked >= settings_at_rest;
        while_waiting || in_this_look || is_fresh
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

/// Settings of different resources are asked for at different times, though they were made together: the first time after half of the
/// time or up to all of it, and from there on after all of it.
fn share_of(key: &ResourceKey) -> f64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    0.5 + f64::from(u32::try_from(hasher.finish() % 1000).unwrap_or_default()) * 0.5 / 1000.0
}

/// How old settings of a resource may be of those that may have this age, in a cache that has known it since `known_since`.
fn of_its_own(key: &ResourceKey, age: Duration, known_since: Instant, came: Instant) -> Duration {
    if came.saturating_duration_since(known_since) < age {
        age.mul_f64(share_of(key))
    } else {
        age
    }
}

/// What a resource is called in the calls that change it: its name, AWS's id of it, or the last part of its ARN.
fn names(key: &ResourceKey, observation: &Observation, scope: &Scope) -> Option<Names> {
    let Observation::Present(present) = observation else {
        return None;
    };
    let arn = present.arn.as_deref();
    let tail = arn.and_then(|arn| arn.rsplit([':', '/']).next());
    // A bucket's id is the account, which is in every call.
    let id = present.id.as_deref().filter(|id| *id != scope.account_id);
    let known = [Some(key.name.as_str()), tail, id];
    Some(Names::new(known.into_iter().flatten()))
}

fn before(moment: Instant, age: Duration) -> Instant {
    moment.checked_sub(age).unwrap_or(moment)
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
                entries: Mutex::default(),
                forgotten: Mutex::default(),
                limit: Semaphore::new(AT_ONCE),
            }),
        }
    }

    /// Observes resources, each of them once whoever asks at the same time.
    ///
    /// An answer that is young enough is served from memory, unless the resource was in transition or could not be observed. Every
    /// key is in the result; one that is no AWS resource is [`Observation::Unknown`].
    pub async fn observe(
        &self,
        keys: &BTreeSet<ResourceKey>,
        scope: &Scope,
        age: Age,
    ) -> BTreeMap<ResourceKey, Observation> {
        self.drop_unused(Instant::now());
        stream::iter(keys.iter().cloned())
            .map(|key| async move {
                let observation = self.observe_one(&key, scope, age).await;
                (key, observation)
            })
            .buffer_unordered(keys.len().max(1))
            .collect()
            .await
    }

    /// Forgets what is known of a resource: after every write, or the next pass would plan with what was before it. An
    /// answer that is on its way is forgotten too, and so is what a description of all of them tells of it.
    pub fn forget(&self, key: &ResourceKey) {
        self.entries().remove(key);
        self.forgotten().insert(key.clone(), Instant::now());
    }

    /// Since when answers serve a look at a resource.
    fn since(&self, key: &ResourceKey, came: Instant, age: Age) -> Since {
        let changed = self.forgotten().get(key).copied();
        let settings = age.since.min(before(came, age.settings));
        let are_listed = age.listings > Duration::ZERO;
        let listings = are_listed
            .then(|| before(came, age.listings))
            .filter(|since| changed.is_none_or(|changed| changed < *since));
        let setting_listings = are_listed
            .then(|| changed.map_or(settings, |changed| settings.max(changed + LISTINGS_LAG)))
            .filter(|since| *since <= came);
        Since {
            states: age.since,
            settings,
            shared_settings: changed.map_or(settings, |changed| settings.max(changed)),
            listings,
            setting_listings,
        }
    }

    fn forgotten(&self) -> MutexGuard<'_, BTreeMap<ResourceKey, Instant>> {
        self.shared
            .forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was asked of a resource before a moment, and what a listing of settings told whenever that was; says whether there
    /// was any.
    pub async fn forget_older(&self, key: &ResourceKey, scope: &Scope, moment: Instant) -> bool {
        let (entry, _) = self.entry(key, scope, Instant::now());
        let known = entry.lock().await;
        let is_older = known.answer.as_ref().is_some_and(|answer| {
            answer.from_listing || answer.asked.min(answer.settings_asked) < moment
        });
        drop(known);
        if is_older {
            self.forget(key);
        }
        is_older
    }

    async fn observe_one(&self, key: &ResourceKey, scope: &Scope, age: Age) -> Observation {
        let ResourceKind::Aws(kind) = key.kind else {
            return Observation::Unknown(Failure::new(
                Class::Bug,
                format!("{key} is no AWS resource"),
            ));
        };
        let came = Instant::now();
        let (entry, made) = self.entry(key, scope, came);
        let mut known = entry.lock().await;
        let own = |age| of_its_own(key, age, made, came);
        let settings_at_rest = before(came, own(age.settings_at_rest));
        let age = Age {
            settings: own(age.settings),
            ..age
        };
        let since = self.since(key, came, age);
        if let Some(answer) = known
            .answer
            .as_ref()
            .filter(|answer| answer.serves(came, age, since, settings_at_rest))
        {
            return answer.observation.clone();
        }
        let Ok(_permit) = self.shared.limit.acquire().await else {
            return Observation::Unknown(Failure::new(Class::Bug, "the observer was closed"));
        };
        let began = Instant::now();
        let (mut asked, mut settings_asked, mut from_listing) = (began, began, false);
        let trailed = known
            .answer
            .as_ref()
            .and_then(|answer| names(key, &answer.observation, scope))
            // Whoever wants everything as it is now asks nobody else.
            .filter(|_| age.settings > Duration::ZERO)
            .and_then(|names| {
                let longest = LONGEST_UNREAD.mul_f64(share_of(key));
                self.shared.source.trailed(names, longest)
            });
        let look = self.shared.source.look_up(kind, &key.name, scope);
        let observation = known.parts.looking_at(trailed, since, look).await;
        if !matches!(observation, Observation::Unknown(_)) {
            // What a part told may have changed since.
            let oldest = known.parts.complete();
            let older = |part: Option<Instant>| part.map_or(asked, |part| part.min(asked));
            (asked, settings_asked) = (older(oldest.state), older(oldest.setting));
            from_listing = oldest.from_listing;
        }
        known.answer = Some(Answer {
            observation: observation.clone(),
            asked,
            settings_asked,
            from_listing,
            began,
            answered: Instant::now(),
        });
        observation
    }

    /// What is known of a resource, and since when anything is.
    fn entry(
        &self,
        key: &ResourceKey,
        scope: &Scope,
        now: Instant,
    ) -> (Arc<tokio::sync::Mutex<Known>>, Instant) {
        let mut entries = self.entries();
        let of_key = entries.entry(key.clone()).or_default();
        if let Some(entry) = of_key.iter_mut().find(|entry| entry.scope == *scope) {
            entry.used = now;
            return (Arc::clone(&entry.known), entry.made);
        }
        let known = Arc::default();
        of_key.push(Entry {
            scope: scope.clone(),
            made: now,
            used: now,
            known: Arc::clone(&known),
        });
        (known, now)
    }

    fn drop_unused(&self, now: Instant) {
        self.forgotten()
            .retain(|_, moment| now.saturating_duration_since(*moment) < UNUSED);
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
