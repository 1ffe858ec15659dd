//! What was made a moment ago, for kinds that AWS makes twice if it is asked twice: lists may not show it yet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long lists may lag behind what was made. Afterwards what they do not show is not there.
const LAG: Duration = Duration::from_secs(60);

/// What was made, or may have been, by what it is for.
#[derive(Debug, Default)]
pub(crate) struct MadeLately(Mutex<HashMap<String, Made>>);

#[derive(Debug)]
struct Made {
    since: Instant,
    id: Option<String>,
}

impl MadeLately {
    /// It was asked for just now. `id` is what AWS called it, where it answered.
    pub(crate) fn remember(&self, purpose: &str, id: Option<&str>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, made| made.since.elapsed() < LAG);
        let made = Made {
            since: Instant::now(),
            id: id.map(str::to_owned),
        };
        all.insert(purpose.to_owned(), made);
    }

    /// What was made for this, where lists may not show it yet; with its id, where AWS told it.
    pub(crate) fn lately(&self, purpose: &str) -> Option<Option<String>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(purpose)
            .filter(|made| made.since.elapsed() < LAG)
            .map(|made| made.id.clone())
    }

    /// It is not there any more.
    pub(crate) fn forget(&self, purpose: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(purpose);
    }
}
