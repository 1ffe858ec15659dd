//! The parts of an observation: what one call told, kept until the whole is seen.
//!
//! A bucket is ten calls. Where three in ten are throttled, or the budget has tokens for five, all ten are hardly ever answered in
//! one pass; so each answer is kept, and the next pass makes the calls that are missing.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// What calls told so far. Clones are the same parts.
#[derive(Clone, Default)]
pub struct Parts {
    known: Arc<Mutex<HashMap<String, Part>>>,
}

struct Part {
    asked: Instant,
    answer: Box<dyn Any + Send + Sync>,
}

/// The parts of the observation that is being made, and since when they count.
#[derive(Clone)]
struct Looking {
    parts: Parts,
    since: Instant,
}

tokio::task_local! {
    static LOOKING: Looking;
}

impl Parts {
    /// Looks with these parts at hand, as far as they were asked for since then.
    pub async fn looking<F: Future>(&self, since: Instant, look: F) -> F::Output {
        let looking = Looking {
            parts: self.clone(),
            since,
        };
        LOOKING.scope(looking, look).await
    }

    /// The whole is seen: forgets the parts, and says when the oldest of them was asked for.
    pub fn complete(&self) -> Option<Instant> {
        let known = std::mem::take(&mut *self.lock());
        known.into_values().map(|part| part.asked).min()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Part>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known<T: Clone + 'static>(&self, name: &str, since: Instant) -> Option<T> {
        let known = self.lock();
        let part = known.get(name).filter(|part| part.asked >= since)?;
        part.answer.downcast_ref::<T>().cloned()
    }

    fn keep<T: Send + Sync + 'static>(&self, name: &str, asked: Instant, answer: T) {
        let part = Part {
            asked,
            answer: Box::new(answer),
        };
        self.lock().insert(name.to_owned(), part);
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Parts")
            .field("known", &self.lock().len())
            .finish()
    }
}

/// What a call tells: what it told a moment ago in the same look, else what it tells now. `name` is its own within the resource.
///
/// # Errors
/// Those of the call, which are not kept.
pub async fn part<T, E>(
    name: impl AsRef<str>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E>
where
    T: Clone + Send + Sync + 'static,
{
    let looking = LOOKING.try_with(Clone::clone).ok();
    if let Some(answer) = looking
        .as_ref()
        .and_then(|looking| looking.parts.known(name.as_ref(), looking.since))
    {
        return Ok(answer);
    }
    let asked = Instant::now();
    let answer = call.await?;
    if let Some(looking) = looking {
        looking.parts.keep(name.as_ref(), asked, answer.clone());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_call_that_was_answered_is_not_made_again_in_the_same_look() {
        let parts = Parts::default();
        let since = Instant::now();
        let calls = Cell::new(0);
        let call = |answer: Result<u32, &'static str>| {
            let calls = &calls;
            async move {
                calls.set(calls.get() + 1);
                answer
            }
        };
        let look = |parts: Parts, since, answer| async move {
            parts.looking(since, part("tags", call(answer))).await
        };
        // A failure is no answer.
        assert_eq!(
            look(parts.clone(), since, Err("throttled")).await,
            Err("throttled")
        );
        assert_eq!(look(parts.clone(), since, Ok(1)).await, Ok(1));
        assert_eq!(look(parts.clone(), since, Ok(2)).await, Ok(1));
        assert_eq!(calls.get(), 2);
        // Another look counts from when it began.
        let later = Instant::now();
        assert_eq!(look(parts.clone(), later, Ok(3)).await, Ok(3));
        assert!(parts.complete().is_some_and(|oldest| oldest >= later));
        assert_eq!(look(parts.clone(), since, Ok(4)).await, Ok(4));
    }
}
