//! One token bucket. Pure: the time is handed in.

use std::time::{Duration, Instant};

use shopkeeper_plan::budget::Limit;

use super::Priority;

/// Of the rate, what is left at least after throttling in a row.
const LEAST_SHARE: f64 = 0.125;

/// How long the rate takes to go from the least share back to the whole.
const RECOVERY: Duration = Duration::from_secs(60);

/// Calls that were on their way when AWS first throttled are throttled too: that is one event.
const ONE_EVENT: Duration = Duration::from_secs(1);

/// Nobody is sent away for longer. Whoever is early is only sent away once more.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Tokens for calls to one API or operation.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: Limit,
    tokens: f64,
    filled_at: Instant,
    /// What is used of the rate: all of it, until AWS throttles.
    share: f64,
    throttled_at: Option<Instant>,
    /// When those that were sent away before have had their turn, by priority.
    booked: [Option<Instant>; Priority::ALL.len()],
}

impl Bucket {
    pub(super) fn new(limit: Limit, now: Instant) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            filled_at: now,
            share: 1.0,
            throttled_at: None,
            booked: [None; Priority::ALL.len()],
        }
    }

    pub(super) const fn limit(&self) -> Limit {
        self.limit
    }

    /// Another limit. What was spent stays spent.
    pub(super) fn change(&mut self, limit: Limit, now: Instant) {
        self.refill(now);
        self.limit = limit;
        self.tokens = self.tokens.min(f64::from(limit.burst));
    }

    /// Tokens at `now`.
    pub(super) fn tokens(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.tokens
    }

    /// Tokens that come in a second at `now`.
    pub(super) fn rate(&mut self, now: Instant) -> f64 {
        self.refill(now);
        f64::from(self.limit.per_second) * self.share
    }

    /// Whether a call may be made. It takes no token yet: a call may need one of another bucket too.
    pub(super) fn admits(&mut self, priority: Priority, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.needed(priority)
    }

    /// Takes a token.
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Sends a call away, and says for how long. Each gets a place behind those that were sent away before it and are no more
    /// urgent, so that they come back one after the other and not all at once.
    pub(super) fn send_away(&mut self, priority: Priority, now: Instant) -> Duration {
        let rate = self.rate(now);
        let missing = (self.needed(priority) - self.tokens).max(0.0);
        let full = now + Duration::from_secs_f64(missing / rate);
        let place = &mut self.booked[priority.index()];
        let turn = place
            .map_or(full, |last| last + Duration::from_secs_f64(1.0 / rate))
            .max(full)
            .min(now + LONGEST_WAIT);
        *place = Some(turn);
        turn - now
    }

    /// AWS throttled a call: there is nothing left, whatever was thought, and less comes in for a while.
    pub(super) fn throttled(&mut self, now: Instant) {
        self.refill(now);
        self.tokens = self.tokens.min(0.0);
        if self
            .throttled_at
            .is_none_or(|last| now.saturating_duration_since(last) >= ONE_EVENT)
        {
            self.share = (self.share / 2.0).max(LEAST_SHARE);
            self.throttled_at = Some(now);
        }
    }

    /// Tokens that have to be there for a call, its own included. The reserves are what the more urgent ones find.
    fn needed(&self, priority: Priority) -> f64 {
        let reserve = match priority {
            Priority::Write => 0,
            Priority::Edit => self.limit.burst / 10,
            Priority::Resync => self.limit.burst / 2,
        };
        f64::from(reserve) + 1.0
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        if elapsed <= 0.0 {
            return;
        }
        let rate = f64::from(self.limit.per_second) * self.share;
        self.tokens = elapsed
            .mul_add(rate, self.tokens)
            .min(f64::from(self.limit.burst));
        let recovered = elapsed * (1.0 - LEAST_SHARE) / RECOVERY.as_secs_f64();
        self.share = (self.share + recovered).min(1.0);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Limit = Limit {
        per_second: 10,
        burst: 20,
    };

    /// Takes all that a priority gets.
    fn drain(bucket: &mut Bucket, priority: Priority, now: Instant) -> u32 {
        let mut taken = 0;
        while bucket.admits(priority, now) {
            bucket.take();
            taken += 1;
        }
        taken
    }

    #[test]
    fn holds_its_burst_and_refills_by_the_second() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        assert_eq!(drain(&mut bucket, Priority::Write, now), 20);
        assert_eq!(drain(&mut bucket, Priority::Write, now + SECOND), 10);
        assert_eq!(drain(&mut bucket, Priority::Write, now + SECOND * 60), 20);
    }

    #[test]
    fn a_resync_leaves_half_for_edits_and_edits_leave_some_for_writes() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        assert_eq!(drain(&mut bucket, Priority::Resync, now), 10);
        assert_eq!(drain(&mut bucket, Priority::Edit, now), 8);
        assert_eq!(drain(&mut bucket, Priority::Write, now), 2);
    }

    #[test]
    fn the_smallest_bucket_serves_everybody() {
        let now = Instant::now();
        for priority in Priority::ALL {
            let mut bucket = Bucket::new(
                Limit {
                    per_second: 1,
                    burst: 1,
                },
                now,
            );
            assert_eq!(drain(&mut bucket, priority, now), 1, "{priority:?}");
        }
    }

    #[test]
    fn who_is_sent_away_comes_back_when_there_is_a_token_and_one_after_the_other() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        drain(&mut bucket, Priority::Write, now);
        let waits: Vec<Duration> = (0..30)
            .map(|_| bucket.send_away(Priority::Edit, now))
            .collect();
        // Three tokens are missing to the first: two that are kept for writes and its own.
        assert_eq!(waits[0], Duration::from_millis(300));
        for pair in waits.windows(2) {
            assert_eq!(pair[1] - pair[0], Duration::from_millis(100));
        }
        for (number, wait) in waits.iter().enumerate() {
            // A nanosecond for what floating point loses.
            let then = now + *wait + Duration::from_nanos(1);
            assert!(bucket.admits(Priority::Edit, then), "{number}");
            bucket.take();
        }
    }

    #[test]
    fn an_edit_does_not_wait_behind_resyncs() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        drain(&mut bucket, Priority::Write, now);
        for _ in 0..1000 {
            assert!(bucket.send_away(Priority::Resync, now) <= LONGEST_WAIT);
        }
        assert!(bucket.send_away(Priority::Edit, now) < SECOND);
    }

    #[test]
    fn throttling_empties_it_and_halves_the_rate_once_for_calls_of_one_moment() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        for _ in 0..8 {
            bucket.throttled(now);
        }
        assert!(!bucket.admits(Priority::Write, now));
        assert!((bucket.rate(now) - 5.0).abs() < 0.01);
        let later = now + SECOND;
        assert!((bucket.tokens(later) - 5.0).abs() < 0.01);
        bucket.throttled(later);
        assert!(bucket.rate(later) < 2.7);
        let mut last = later;
        for _ in 0..20 {
            last += SECOND;
            bucket.throttled(last);
        }
        assert!(bucket.rate(last) >= 10.0 * LEAST_SHARE, "it never stops");
        assert!((bucket.rate(last + RECOVERY) - 10.0).abs() < f64::EPSILON);
    }

    #[test]
    fn another_limit_gives_back_nothing_that_was_spent() {
        let now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        drain(&mut bucket, Priority::Write, now);
        let larger = Limit {
            per_second: 100,
            burst: 200,
        };
        bucket.change(larger, now);
        assert_eq!(drain(&mut bucket, Priority::Write, now), 0);
        bucket.change(
            Limit {
                per_second: 1,
                burst: 1,
            },
            now + SECOND,
        );
        assert_eq!(drain(&mut bucket, Priority::Write, now + SECOND), 1);
    }
}
