//! What was made a moment ago. Lists may not show it yet: some kinds AWS makes twice if it is asked twice. And other services may not know of
//! it yet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long lists may lag behind what was made. Afterwards what they do not show is not there.
const LAG: Duration = Duration::from_secs(60);

/// What was made, or may have been, by what it is for.
#[derive(Debug)]
pub(crate) struct MadeLately {
    all: Mutex<HashMap<String, Made>>,
    /// What was made before that is not known here.
    began: Instant,
}

impl Default for MadeLately {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            began: Instant::now(),
        }
    }
}

#[derive(Debug)]
struct Made {
    since: Instant,
    id: Option<String>,
}

impl MadeLately {
    /// It was asked for just now. `id` is what AWS called it, where it answered.
    pub(crate) fn remember(&self, purpose: &str, id: Option<&str>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, made| made.since.elapsed() < LAG);
        let made = Made {
            since: Instant::now(),
            id: id.map(str::to_owned),
        };
        all.insert(purpose.to_owned(), made);
    }

    /// What was made for this, where lists may not show it yet; with its id, where AWS told it.
    pub(crate) fn lately(&self, purpose: &str) -> Option<Option<String>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(purpose)
            .filter(|made| made.since.elapsed() < LAG)
            .map(|made| made.id.clone())
    }

    /// Whether it may have been made a moment ago: by this process, or by the one before it.
    pub(crate) fn may_be_new(&self, purpose: &str) -> bool {
        self.began.elapsed() < LAG || self.lately(purpose).is_some()
    }

    /// It is not there any more.
    pub(crate) fn forget(&self, purpose: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(purpose);
    }
}
