//! The parts of an observation: what one call told, kept for as long as it serves.
//!
//! A bucket is eleven calls. Where three in ten are throttled, or the budget has tokens for five, all eleven are hardly ever answered
//! in one pass; so each answer is kept, and the next pass makes the calls that are missing. And what only changes when somebody calls
//! AWS, a [`setting`], is asked for less often than what changes by itself.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::{account::Account, cloudtrail::Names};

/// What calls told so far. Clones are the same parts.
#[derive(Clone, Default)]
pub struct Parts {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    parts: HashMap<String, Part>,
    used: Oldest,
}

struct Part {
    /// When it was asked for, or until when it is known to be as it was then.
    asked: Instant,
    /// The same by the clock, which CloudTrail tells times by.
    by_clock: SystemTime,
    read: Instant,
    nature: Nature,
    answer: Box<dyn Any + Send + Sync>,
}

/// What a call tells, by how it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// By itself.
    State,
    /// When somebody calls AWS.
    Setting,
    /// When somebody calls AWS for the very resource: CloudTrail tells of those.
    Trailed,
}

/// What CloudTrail is asked about the resource that is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Trailed {
    pub(crate) account: Account,
    pub(crate) names: Names,
    /// After this time a setting is read, whatever CloudTrail tells.
    pub(crate) longest_unread: Duration,
}

/// When the oldest of what an observation was put together from was asked for, if that was before the look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oldest {
    /// Of what changes by itself.
    pub state: Option<Instant>,
    /// Of settings.
    pub setting: Option<Instant>,
    /// Whether a listing told settings.
    pub from_listing: bool,
}

/// Since when answers serve.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    /// Of calls for what changes by itself.
    pub states: Instant,
    /// Of calls for settings.
    pub settings: Instant,
    /// Of calls for settings that tell of other resources as well: nothing from before this one was changed.
    pub shared_settings: Instant,
    /// Of descriptions of all resources of a kind; `None` where the resource is to be asked for by its name.
    pub listings: Option<Instant>,
    /// The same of descriptions that tell settings.
    pub setting_listings: Option<Instant>,
}

impl Since {
    /// Everything since one moment, each resource by its name.
    #[must_use]
    pub const fn moment(moment: Instant) -> Self {
        Self {
            states: moment,
            settings: moment,
            shared_settings: moment,
            listings: None,
            setting_listings: None,
        }
    }
}

/// The parts of the observation that is being made, and since when they serve.
#[derive(Clone)]
struct Looking {
    parts: Parts,
    since: Since,
    trailed: Option<Trailed>,
}

tokio::task_local! {
    static LOOKING: Looking;
}

impl Parts {
    /// Looks with these parts at hand.
    pub fn looking<F: Future>(&self, since: Since, look: F) -> impl Future<Output = F::Output> {
        self.looking_at(None, since, look)
    }

    /// The same at a resource of which CloudTrail may know that nobody changed it.
    pub(crate) fn looking_at<F: Future>(
        &self,
        trailed: Option<Trailed>,
        since: Since,
        look: F,
    ) -> impl Future<Output = F::Output> {
        self.lock().used = Oldest::default();
        let looking = Looking {
            parts: self.clone(),
            since,
            trailed,
        };
        // Boxed: each wrapping of a large future by value would need its size on the stack once more.
        LOOKING.scope(looking, Box::pin(look))
    }

    /// The whole is seen: forgets the parts, but for settings, and says how old what was used is.
    pub fn complete(&self) -> Oldest {
        let mut known = self.lock();
        known.parts.retain(|_, part| part.nature != Nature::State);
        known.used
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known<T: Clone + 'static>(&self, name: &str, since: Instant) -> Option<T> {
        let mut known = self.lock();
        let part = known.parts.get(name).filter(|part| part.asked >= since)?;
        let answer = part.answer.downcast_ref::<T>().cloned()?;
        let (asked, is_setting) = (part.asked, part.nature != Nature::State);
        known.used.add(asked, is_setting);
        Some(answer)
    }

    /// What a call told that would be too old, if nobody changed it since.
    async fn unchanged<T: Clone + 'static>(
        &self,
        name: &str,
        since: Instant,
        trailed: &Trailed,
    ) -> Option<T> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let by_clock = |moment: Instant| clock - now.saturating_duration_since(moment);
        let asked = {
            let known = self.lock();
            let part = known.parts.get(name)?;
            let is_recent = now.saturating_duration_since(part.read) < trailed.longest_unread;
            // Instants stand still while a machine sleeps.
            is_recent.then(|| part.by_clock.min(by_clock(part.asked)))?
        };
        let account = &trailed.account;
        let until = account
            .quiet_until(&trailed.names, asked, by_clock(since))
            .await?;
        let until_instant = now.checked_sub(clock.duration_since(until).unwrap_or_default())?;
        if let Some(part) = self.lock().parts.get_mut(name) {
            part.asked = part.asked.max(until_instant);
            part.by_clock = part.by_clock.max(until);
        }
        self.known(name, since)
    }

    fn keep<T: Send + Sync + 'static>(
        &self,
        name: String,
        nature: Nature,
        asked: Instant,
        answer: T,
    ) {
        let part = Part {
            asked,
            by_clock: SystemTime::now() - asked.elapsed(),
            read: asked,
            nature,
            answer: Box::new(answer),
        };
        self.lock().parts.insert(name, part);
    }
}

impl Oldest {
    fn add(&mut self, asked: Instant, is_setting: bool) {
        let oldest = if is_setting {
            &mut self.setting
        } else {
            &mut self.state
        };
        *oldest = Some(oldest.map_or(asked, |oldest| oldest.min(asked)));
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Parts")
            .field("known", &self.lock().parts.len())
            .finish()
    }
}

/// What a call tells: what it told before in the same look, else what it tells now. `name` is its own within the resource.
///
/// # Errors
/// Those of the call, which are not kept.
pub fn part<T, E>(
    name: impl Into<String>,
    call: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>>
where
    T: Clone + Send + Sync + 'static,
{
    once(name.into(), Nature::State, Box::pin(call))
}

/// The same for what only changes when somebody calls AWS: it is asked for less often.
///
/// # Errors
/// Those of the call, which are not kept.
pub(crate) fn setting<T, E>(
    name: impl Into<String>,
    call: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>>
where
    T: Clone + Send + Sync + 'static,
{
    once(name.into(), Nature::Setting, Box::pin(call))
}

/// The same for what only changes by a call that names the resource: it is not asked for at all while CloudTrail tells of none, for a
/// day at most. Not for what has counts or states in it, nor for what is global: CloudTrail tells of those calls in another region.
///
/// # Errors
/// Those of the call, which are not kept.
pub(crate) fn trailed_setting<T, E>(
    name: impl Into<String>,
    call: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>>
where
    T: Clone + Send + Sync + 'static,
{
    once(name.into(), Nature::Trailed, Box::pin(call))
}

async fn once<T, E>(
    name: String,
    nature: Nature,
    call: Pin<Box<impl Future<Output = Result<T, E>>>>,
) -> Result<T, E>
where
    T: Clone + Send + Sync + 'static,
{
    let looking = LOOKING.try_with(Clone::clone).ok();
    if let Some(Looking {
        parts,
        since,
        trailed,
    }) = &looking
    {
        let since = match nature {
            Nature::State => since.states,
            Nature::Setting | Nature::Trailed => since.settings,
        };
        if let Some(answer) = parts.known(&name, since) {
            return Ok(answer);
        }
        if nature == Nature::Trailed
            && let Some(trailed) = trailed
            && let Some(answer) = Box::pin(parts.unchanged(&name, since, trailed)).await
        {
            return Ok(answer);
        }
    }
    let asked = Instant::now();
    let answer = call.await?;
    if let Some(looking) = looking {
        looking.parts.keep(name, nature, asked, answer.clone());
    }
    Ok(answer)
}

/// Since when a description of all resources of a kind serves the look that is being made, if one does.
pub(crate) fn listings_since(is_setting: bool) -> Option<Instant> {
    let looking = LOOKING.try_with(|looking| looking.since).ok()?;
    if is_setting {
        looking.setting_listings
    } else {
        looking.listings
    }
}

/// Since when settings serve the look that is being made that were asked for by another one, if one is.
pub(crate) fn shared_since() -> Option<Instant> {
    LOOKING
        .try_with(|looking| looking.since.shared_settings)
        .ok()
}

/// The look that is being made used something that was asked for then.
pub(crate) fn used(asked: Instant, is_setting: bool) {
    let _ = LOOKING.try_with(|looking| looking.parts.lock().used.add(asked, is_setting));
}

/// The look that is being made used settings of a listing that lags behind what it tells of.
pub(crate) fn used_lagging_listing() {
    let _ = LOOKING.try_with(|looking| looking.parts.lock().used.from_listing = true);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts the calls that are made.
    struct Calls(Cell<u32>);

    impl Calls {
        async fn call(&self, answer: Result<u32, &'static str>) -> Result<u32, &'static str> {
            self.0.set(self.0.get() + 1);
            answer
        }
    }

    #[tokio::test]
    async fn a_call_that_was_answered_is_not_made_again_in_the_same_look() {
        let (parts, calls) = (Parts::default(), Calls(Cell::new(0)));
        let first = Since::moment(Instant::now());
        let look = async |since, answer| {
            parts
                .looking(since, part("DescribeTable", calls.call(answer)))
                .await
        };
        // A failure is no answer.
        assert_eq!(look(first, Err("throttled")).await, Err("throttled"));
        assert_eq!(look(first, Ok(1)).await, Ok(1));
        assert_eq!(look(first, Ok(2)).await, Ok(1));
        assert_eq!(calls.0.get(), 2);
        // Another look counts from when it began.
        let second = Since::moment(Instant::now());
        assert_eq!(look(second, Ok(3)).await, Ok(3));
        assert_eq!(look(second, Ok(4)).await, Ok(3));
        assert!(parts.complete().state.unwrap() >= second.states);
        assert_eq!(look(second, Ok(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn a_setting_outlives_the_look() {
        let (parts, calls) = (Parts::default(), Calls(Cell::new(0)));
        let began = Instant::now();
        let look = async |settings, answer| {
            let since = Since {
                settings,
                ..Since::moment(Instant::now())
            };
            parts
                .looking(since, setting("GetBucketCors", calls.call(answer)))
                .await
        };
        assert_eq!(look(began, Ok(1)).await, Ok(1));
        assert_eq!(
            parts.complete(),
            Oldest::default(),
            "nothing is older than the look"
        );
        assert_eq!(look(began, Ok(2)).await, Ok(1));
        let oldest = parts.complete();
        assert!(oldest.state.is_none() && oldest.setting.unwrap() >= began);
        assert_eq!(look(Instant::now(), Ok(3)).await, Ok(3));
        assert_eq!(calls.0.get(), 2);
    }
}
