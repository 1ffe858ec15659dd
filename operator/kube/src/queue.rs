//! The work queue: which key gets the next pass.
//!
//! [`WorkQueue`] is the state machine: no clock, no tasks, time is handed in. [`Queue`] shares one between tasks.
//!
//! The rules, as in client-go's workqueue, plus lanes:
//! - A key has at most one pass at a time and at most one pending trigger. Triggers merge: the earliest time and the more
//!   urgent lane win, so a new edit pulls a delayed retry or resync of its key forward.
//! - A trigger that arrives during a pass is kept and gives the key another pass as soon as this one is done.
//! - Within a lane, first come, first served by the time the trigger became due.
//! - The edit lane goes first, since a backlog of resyncs (after a restart, say) must not hide what a user just asked for. Every
//!   [`RESYNC_SHARE`]th pass goes to the resync lane if it has anything waiting, so that a flood of edits cannot end drift repair.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    time::{Duration, Instant},
};

mod shared;
#[cfg(test)]
mod tests;

pub use shared::Queue;

/// One pass in this many goes to the resync lane even when edits are waiting.
pub const RESYNC_SHARE: u32 = 16;

/// How urgent a trigger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Something changed: a user's edit, a child, or an external event. Also the retry of a failed pass.
    Edit,
    /// Periodic work: drift detection, and the first listing after a start.
    Resync,
}

impl Lane {
    /// Both lanes, the more urgent one first.
    pub const ALL: [Self; 2] = [Self::Edit, Self::Resync];

    /// The value of the metric label `lane`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Resync => "resync",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Edit => 0,
            Self::Resync => 1,
        }
    }
}

/// Exponential backoff of a failing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub initial: Duration,
    /// The longest delay.
    pub maximum: Duration,
}

impl Default for Backoff {
    /// From half a second to five minutes: AWS rarely recovers from anything in milliseconds, and a fix made outside of
    /// Kubernetes (an IAM policy, a quota) is noticed only by trying again.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            maximum: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row. `jitter` within 0 to 1 takes off up to a fifth, so that keys that failed
    /// together do not come back together.
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let delay = self
            .initial
            .saturating_mul(1 << doublings)
            .min(self.maximum);
        delay.mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0))
    }
}

/// A key taken from the queue; its pass runs until [`WorkQueue::done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken<K> {
    /// The key.
    pub key: K,
    /// The most urgent lane among the triggers this pass answers.
    pub lane: Lane,
    /// How long the trigger waited since it was due.
    pub waited: Duration,
    /// How many passes of this key failed in a row.
    pub failures: u32,
}

/// What the queue holds at one moment, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Snapshot {
    /// Keys ready to run, by lane (index as in [`Lane::ALL`]).
    pub depth: [usize; 2],
    /// Keys that wait for their time.
    pub delayed: usize,
    /// Passes that run.
    pub running: usize,
    /// Triggers that made a key pending, by lane, since the start. Merged ones are not counted, as in client-go.
    pub adds: [u64; 2],
    /// Failures that led to a retry, since the start.
    pub retries: u64,
    /// The sum of how long the running passes have been running.
    pub unfinished: Duration,
    /// How long the longest of them has been running.
    pub longest_running: Duration,
}

/// The pure state of a work queue.
#[derive(Debug)]
pub struct WorkQueue<K> {
    entries: HashMap<K, Entry>,
    ready: [BTreeMap<u64, K>; 2],
    delayed: BTreeMap<(Instant, u64), K>,
    next_ticket: u64,
    running: [usize; 2],
    resync_limit: usize,
    edits_in_a_row: u32,
    adds: [u64; 2],
    retries: u64,
}

#[derive(Debug, Default)]
struct Entry {
    pending: Option<Pending>,
    running: Option<Running>,
    failures: u32,
    /// A failure before this moment is part of the failure already counted.
    backoff_until: Option<Instant>,
}

/// A pending trigger. While a pass of the key runs it is held here alone; otherwise the key also stands in `ready` or `delayed`.
#[derive(Debug, Clone, Copy)]
struct Pending {
    lane: Lane,
    due: Instant,
    ticket: u64,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Delayed,
    Held,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    started: Instant,
    lane: Lane,
}

impl<K> Default for WorkQueue<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            ready: [BTreeMap::new(), BTreeMap::new()],
            delayed: BTreeMap::new(),
            next_ticket: 0,
            running: [0, 0],
            resync_limit: usize::MAX,
            edits_in_a_row: 0,
            adds: [0, 0],
            retries: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds how many passes of the resync lane run at once, so that long ones cannot keep an edit waiting for a worker.
    pub fn set_resync_limit(&mut self, limit: usize) {
        self.resync_limit = limit.max(1);
    }

    /// Triggers a pass now.
    pub fn add(&mut self, key: K, lane: Lane, now: Instant) {
        self.add_at(key, lane, now, now);
    }

    /// Triggers a pass at `at`, or earlier if something else triggers one.
    pub fn add_at(&mut self, key: K, lane: Lane, at: Instant, now: Instant) {
        let mut lane = lane;
        let mut due = at.max(now);
        let entry = self.entries.entry(key.clone()).or_default();
        let running = entry.running.is_some();
        match entry.pending.take() {
            None => self.adds[lane.index()] += 1,
            Some(pending) => {
                lane = lane.min(pending.lane);
                due = due.min(pending.due);
                if lane == pending.lane && due == pending.due {
                    entry.pending = Some(pending);
                    return;
                }
                // Pulled forward within the same lane and still in the future, or moved between the two: stands anew.
                match pending.place {
                    Place::Ready => {
                        self.ready[pending.lane.index()].remove(&pending.ticket);
                    }
                    Place::Delayed => {
                        self.delayed.remove(&(pending.due, pending.ticket));
                    }
                    Place::Held => {}
                }
            }
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let place = if running {
            Place::Held
        } else if due <= now {
            self.ready[lane.index()].insert(ticket, key);
            Place::Ready
        } else {
            self.delayed.insert((due, ticket), key);
            Place::Delayed
        };
        entry.pending = Some(Pending {
            lane,
            due,
            ticket,
            place,
        });
    }

    /// The next key to run, if one is due and free to run.
    pub fn take(&mut self, now: Instant) -> Option<Taken<K>> {
        self.promote(now);
        let lane = self.next_lane()?;
        let (_, key) = self.ready[lane.index()].pop_first()?;
        let entry = self.entries.entry(key.clone()).or_default();
        let due = entry.pending.take().map_or(now, |pending| pending.due);
        entry.running = Some(Running { started: now, lane });
        let failures = entry.failures;
        self.running[lane.index()] += 1;
        self.edits_in_a_row = match lane {
            Lane::Edit => self.edits_in_a_row.saturating_add(1),
            Lane::Resync => 0,
        };
        Some(Taken {
            key,
            lane,
            waited: now.saturating_duration_since(due),
            failures,
        })
    }

    /// Ends the pass of a key; returns how long it ran. Of no effect (`None`) if no pass of it runs.
    pub fn done(&mut self, key: &K, now: Instant) -> Option<Duration> {
        let entry = self.entries.get_mut(key)?;
        let running = entry.running.take()?;
        self.running[running.lane.index()] -= 1;
        if let Some(pending) = entry.pending.as_mut() {
            // A ticket from the time of the trigger: the key does not lose its turn to those that came while it ran.
            if pending.due <= now {
                pending.place = Place::Ready;
                self.ready[pending.lane.index()].insert(pending.ticket, key.clone());
            } else {
                pending.place = Place::Delayed;
                self.delayed
                    .insert((pending.due, pending.ticket), key.clone());
            }
        }
        self.drop_if_idle(key);
        Some(now.saturating_duration_since(running.started))
    }

    /// Counts a failure of a key and says how long to wait before its retry.
    ///
    /// A failure within the wait for the previous one (some other trigger ran the key early) is not counted again: otherwise a
    /// busy watch would drive a failing key to the longest delay within seconds.
    pub fn record_failure(
        &mut self,
        key: &K,
        now: Instant,
        backoff: &Backoff,
        jitter: f64,
    ) -> Duration {
        self.retries += 1;
        let entry = self.entries.entry(key.clone()).or_default();
        match entry.backoff_until {
            Some(until) if now < until => until.saturating_duration_since(now),
            _ => {
                entry.failures = entry.failures.saturating_add(1);
                let delay = backoff.delay(entry.failures, jitter);
                entry.backoff_until = now.checked_add(delay);
                delay
            }
        }
    }

    /// Forgets the failures of a key: after a pass that succeeded, or when the object is gone.
    pub fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.failures = 0;
            entry.backoff_until = None;
        }
        self.drop_if_idle(key);
    }

    /// How many passes of a key failed in a row.
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// When to call [`take`](Self::take) again if nothing else happens: the time of the earliest delayed key.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|((due, _), _)| *due)
    }

    /// Whether [`take`](Self::take) would return a key without time passing.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.next_lane().is_some()
    }

    /// The numbers for metrics.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let running = self
            .entries
            .values()
            .filter_map(|entry| entry.running)
            .map(|running| now.saturating_duration_since(running.started));
        let (unfinished, longest_running) = running
            .fold((Duration::ZERO, Duration::ZERO), |(sum, longest), age| {
                (sum + age, longest.max(age))
            });
        Snapshot {
            depth: [self.ready[0].len(), self.ready[1].len()],
            delayed: self.delayed.len(),
            running: self.running[0] + self.running[1],
            adds: self.adds,
            retries: self.retries,
            unfinished,
            longest_running,
        }
    }

    fn promote(&mut self, now: Instant) {
        while let Some(first) = self.delayed.first_entry() {
            if first.key().0 > now {
                break;
            }
            let key = first.remove();
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            if let Some(pending) = self
                .entries
                .get_mut(&key)
                .and_then(|entry| entry.pending.as_mut())
            {
                pending.ticket = ticket;
                pending.place = Place::Ready;
                self.ready[pending.lane.index()].insert(ticket, key);
            }
        }
    }

    fn next_lane(&self) -> Option<Lane> {
        let edit = !self.ready[Lane::Edit.index()].is_empty();
        let resync = !self.ready[Lane::Resync.index()].is_empty()
            && self.running[Lane::Resync.index()] < self.resync_limit;
        match (edit, resync) {
            (true, true) if self.edits_in_a_row >= RESYNC_SHARE - 1 => Some(Lane::Resync),
            (true, _) => Some(Lane::Edit),
            (false, true) => Some(Lane::Resync),
            (false, false) => None,
        }
    }

    fn drop_if_idle(&mut self, key: &K) {
        let idle = self.entries.get(key).is_some_and(|entry| {
            entry.pending.is_none() && entry.running.is_none() && entry.failures == 0
        });
        if idle {
            self.entries.remove(key);
        }
    }
}
