//! What is known of the changes in an account and region, and up to when.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use shopkeeper_plan::failure::{Class, Failure};
use tokio::sync::Mutex;

use super::{Change, Names, Page};

/// Where changes are told.
#[async_trait]
pub(super) trait Trail: Send + Sync {
    /// A page of the calls since a moment that may have changed something.
    async fn page(&self, from: SystemTime, token: Option<String>) -> Result<Page, Failure>;
}

/// As many changes are kept, a few megabytes; older ones are as if they were never told.
const MOST_CHANGES: usize = 2048;

/// An account in which more is changed than so many pages tell, between two times that somebody asks, is not worth asking.
const MOST_PAGES: usize = 40;

/// How long CloudTrail is left alone where it may not be asked, or has too much to tell.
const WITHOUT_USE: Duration = Duration::from_secs(60 * 60);

/// How long after another failure; each time twice as long, up to [`WITHOUT_USE`].
const AFTER_A_FAILURE: Duration = Duration::from_secs(60);

/// As many settings are read for each page before CloudTrail is asked again: what it tells serves for a part of the time for which a setting
/// does, and is to spare more calls than it takes.
const READ_FOR_A_PAGE: usize = 2;

/// The changes of an account and region, as far as CloudTrail told them.
pub(crate) struct ChangeLog {
    /// See [`LAG`](super::LAG); zero where CloudTrail is not to be asked.
    lag: Duration,
    state: Mutex<State>,
}

struct State {
    /// Every change between these is known.
    from: SystemTime,
    to: SystemTime,
    changes: Vec<Change>,
    /// A look at the changes since `to` that has not come to its end.
    unfinished: Option<Look>,
    /// How many pages the last one took.
    pages: usize,
    /// How many settings were read since that it might have spared.
    misses: usize,
    /// How often it failed one time after the other.
    failures: u32,
    /// Not asked before.
    not_before: SystemTime,
}

/// A look at the changes since some moment, page by page.
struct Look {
    /// Until when it will have told all.
    until: SystemTime,
    found: Vec<Change>,
    pages: usize,
    /// For the next page; `None` before the first one.
    token: Option<String>,
}

impl ChangeLog {
    /// One that tells of changes from now on.
    pub(crate) fn new(lag: Duration, now: SystemTime) -> Self {
        let from = now - margin(lag);
        Self {
            lag,
            state: Mutex::new(State {
                from,
                to: from,
                changes: Vec::new(),
                unfinished: None,
                pages: 1,
                misses: 0,
                failures: 0,
                not_before: from,
            }),
        }
    }

    /// Until when nobody changed what is called so, if that is known to be `wanted` at least and since `since`. CloudTrail is asked
    /// once as many settings were read as that has pages: a busy account may have thousands of changes that are not of ours.
    pub(super) async fn quiet_until(
        &self,
        trail: &dyn Trail,
        names: &Names,
        [since, wanted, now]: [SystemTime; 3],
    ) -> Option<SystemTime> {
        let reachable = now - self.lag;
        if self.lag.is_zero() || names.0.is_empty() || wanted > reachable {
            return None;
        }
        // A change of that second may have come after what was read.
        let since = since - margin(self.lag);
        let mut state = self.state.lock().await;
        // The clock was put back: what it told before says nothing of now.
        if state.to > now {
            state.begin_anew(now - margin(self.lag));
        }
        if state.from > since {
            return None;
        }
        if state.to < wanted {
            state.forget_what_ends_before(wanted);
            state.go_on(trail, reachable, now).await?;
        }
        if state.from > since {
            return None;
        }
        let mut changes = state.changes.iter();
        let is_changed = changes.any(|change| change.at >= since && change.may_concern(names));
        (!is_changed).then_some(state.to)
    }
}

impl State {
    /// Asks for what was changed since; `None` where it is not known yet.
    async fn go_on(
        &mut self,
        trail: &dyn Trail,
        reachable: SystemTime,
        now: SystemTime,
    ) -> Option<()> {
        if now < self.not_before {
            return None;
        }
        if self.misses < READ_FOR_A_PAGE * self.pages && self.unfinished.is_none() {
            self.misses += 1;
            return None;
        }
        let mut look = self.unfinished.take().unwrap_or(Look {
            until: reachable,
            found: Vec::new(),
            pages: 0,
            token: None,
        });
        loop {
            if look.pages == MOST_PAGES {
                self.not_before = now + WITHOUT_USE;
                // Or it would have the same to tell then, and more.
                self.begin_anew(look.until);
                self.pages = MOST_PAGES;
                return None;
            }
            match trail.page(self.to, look.token.clone()).await {
                Ok(told) => {
                    look.pages += 1;
                    look.found.extend(told.changes);
                    look.token = told.token;
                }
                Err(failure) => {
                    self.give_up(&failure, now);
                    // It goes on where it ended, if it began and was not refused as such.
                    let was_interrupted =
                        matches!(failure.class, Class::Throttled | Class::Transient);
                    self.unfinished =
                        Some(look).filter(|look| was_interrupted && look.token.is_some());
                    return None;
                }
            }
            if look.token.is_none() {
                break;
            }
        }
        // What came late is told again with the rest, since the last time it was not counted as told.
        let before = self.to;
        self.changes.retain(|change| change.at < before);
        self.changes.extend(look.found);
        self.to = look.until;
        (self.pages, self.misses, self.failures) = (look.pages, 0, 0);
        self.forget_the_oldest();
        Some(())
    }

    fn give_up(&mut self, failure: &Failure, now: SystemTime) {
        let doubled = AFTER_A_FAILURE * 2_u32.saturating_pow(self.failures.min(6));
        let wait = match failure.class {
            Class::Denied => WITHOUT_USE,
            _ => failure.retry_after.unwrap_or(doubled.min(WITHOUT_USE)),
        };
        self.failures = self.failures.saturating_add(1);
        self.misses = 0;
        self.not_before = now + wait;
    }

    /// As if nothing was told before a moment.
    fn begin_anew(&mut self, moment: SystemTime) {
        (self.from, self.to) = (moment, moment);
        self.changes.clear();
        self.unfinished = None;
        self.misses = 0;
    }

    /// A look that would not tell enough when it is finished is not gone on with.
    fn forget_what_ends_before(&mut self, wanted: SystemTime) {
        self.unfinished = self
            .unfinished
            .take()
            .filter(|unfinished| unfinished.until >= wanted);
    }

    fn forget_the_oldest(&mut self) {
        self.changes.sort_by_key(|change| change.at);
        let surplus = self.changes.len().saturating_sub(MOST_CHANGES);
        if let Some(newest) = self.changes.drain(..surplus).next_back() {
            // Of the second in which it was, all may not be known any more.
            self.from = self.from.max(newest.at + Duration::from_secs(1));
        }
    }
}

/// How far before a moment changes are looked for that may have come after it: CloudTrail tells whole seconds, and clocks differ.
fn margin(lag: Duration) -> Duration {
    lag / 4 + Duration::from_secs(1)
}

impl fmt::Debug for ChangeLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChangeLog")
            .field("lag", &self.lag)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Mutex as StdMutex, time::UNIX_EPOCH};

    use super::*;

    const LAG: Duration = Duration::from_secs(20 * 60);

    fn at(minutes: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000 + minutes * 60)
    }

    fn change(minutes: u64, names: &str) -> Change {
        Change {
            at: at(minutes),
            names: Some(names.into()),
        }
    }

    /// CloudTrail, with what it will answer one call after the other.
    #[derive(Default)]
    struct Told {
        answers: StdMutex<VecDeque<Result<Page, Failure>>>,
        asked: StdMutex<Vec<(SystemTime, Option<String>)>>,
    }

    #[async_trait]
    impl Trail for Told {
        async fn page(&self, from: SystemTime, token: Option<String>) -> Result<Page, Failure> {
            self.asked.lock().unwrap().push((from, token));
            let answer = self.answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| Err(Failure::new(Class::Bug, "asked too often")))
        }
    }

    impl Told {
        fn answers(&self, changes: Vec<Change>, token: Option<&str>) {
            let token = token.map(str::to_owned);
            self.answers
                .lock()
                .unwrap()
                .push_back(Ok(Page { changes, token }));
        }

        fn fails(&self, class: Class) {
            let failure = Failure::new(class, "no");
            self.answers.lock().unwrap().push_back(Err(failure));
        }

        async fn ask(
            &self,
            log: &ChangeLog,
            name: &str,
            [since, wanted, now]: [u64; 3],
        ) -> Option<SystemTime> {
            let times = [at(since), at(wanted), at(now)];
            log.quiet_until(self, &Names::new([name]), times).await
        }

        fn calls(&self) -> usize {
            self.asked.lock().unwrap().len()
        }
    }

    /// One from minute 0, which asks at the next opportunity.
    async fn log() -> ChangeLog {
        let log = ChangeLog::new(LAG, at(0));
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        log
    }

    #[tokio::test]
    async fn what_nobody_changed_is_quiet_until_all_is_told() {
        let (log, trail) = (log().await, Told::default());
        trail.answers(vec![change(10, "orders")], None);
        assert_eq!(
            trail.ask(&log, "products", [0, 10, 60]).await,
            Some(at(40)),
            "what happened in the last 20 minutes may not be told yet"
        );
        // The rest is known by now.
        assert_eq!(trail.ask(&log, "orders", [0, 10, 60]).await, None);
        assert_eq!(
            trail.ask(&log, "orders", [16, 10, 60]).await,
            Some(at(40)),
            "read since it was changed"
        );
        assert_eq!(
            trail.ask(&log, "orders", [12, 10, 60]).await,
            None,
            "perhaps read before it was changed: clocks differ"
        );
        assert_eq!(trail.calls(), 1);
        assert_eq!(trail.asked.lock().unwrap()[0].0, at(0) - margin(LAG));
    }

    #[tokio::test]
    async fn what_came_late_is_told_the_next_time() {
        let (log, trail) = (log().await, Told::default());
        trail.answers(vec![change(45, "orders")], None);
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, Some(at(40)));
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        trail.answers(vec![change(45, "orders"), change(44, "products")], None);
        assert_eq!(trail.ask(&log, "products", [0, 60, 100]).await, None);
        assert_eq!(trail.asked.lock().unwrap()[1].0, at(40));
        assert_eq!(
            log.state.lock().await.changes.len(),
            2,
            "none of them twice"
        );
    }

    #[tokio::test]
    async fn what_was_read_before_the_log_begins_and_what_is_wanted_of_the_last_minutes_is_not_known()
     {
        let log = ChangeLog::new(LAG, at(100));
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        let trail = Told::default();
        assert_eq!(trail.ask(&log, "products", [99, 110, 200]).await, None);
        assert_eq!(trail.ask(&log, "products", [150, 181, 200]).await, None);
        // Nor where nobody is to be asked, or nothing is named.
        let silent = ChangeLog::new(Duration::ZERO, at(100));
        silent.state.lock().await.misses = READ_FOR_A_PAGE;
        assert_eq!(trail.ask(&silent, "products", [150, 160, 200]).await, None);
        assert_eq!(trail.ask(&log, "", [150, 160, 200]).await, None);
        assert_eq!(trail.calls(), 0);
    }

    #[tokio::test]
    async fn it_is_asked_once_it_spares_as_many_calls_as_it_takes() {
        let (log, trail) = (ChangeLog::new(LAG, at(0)), Told::default());
        for _ in 0..READ_FOR_A_PAGE {
            assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, None);
        }
        trail.answers(vec![], Some("1"));
        trail.answers(vec![], Some("2"));
        trail.answers(vec![], None);
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, Some(at(40)));
        for _ in 0..3 * READ_FOR_A_PAGE {
            assert_eq!(trail.ask(&log, "products", [40, 60, 100]).await, None);
        }
        assert_eq!(trail.calls(), 3);
        trail.answers(vec![], None);
        assert_eq!(
            trail.ask(&log, "products", [40, 60, 100]).await,
            Some(at(80))
        );
    }

    #[tokio::test]
    async fn a_look_that_had_no_tokens_goes_on() {
        let (log, trail) = (log().await, Told::default());
        trail.answers(vec![change(30, "orders")], Some("1"));
        trail.fails(Class::Throttled);
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, None);
        // Not before it makes sense.
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, None);
        assert_eq!(trail.calls(), 2);
        trail.answers(vec![change(20, "carts")], None);
        assert_eq!(
            trail.ask(&log, "products", [0, 10, 62]).await,
            Some(at(40)),
            "as it began"
        );
        assert_eq!(trail.asked.lock().unwrap()[2].1.as_deref(), Some("1"));
        assert_eq!(trail.ask(&log, "orders", [0, 10, 62]).await, None);
        assert_eq!(trail.ask(&log, "carts", [0, 10, 62]).await, None);
    }

    #[tokio::test]
    async fn where_it_may_not_be_asked_or_has_too_much_to_tell_it_is_left_alone_for_an_hour() {
        let (log, trail) = (log().await, Told::default());
        trail.fails(Class::Denied);
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, None);
        assert_eq!(trail.ask(&log, "products", [0, 10, 119]).await, None);
        assert_eq!(trail.calls(), 1);
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        for number in 0..MOST_PAGES {
            trail.answers(vec![], Some(&number.to_string()));
        }
        assert_eq!(trail.ask(&log, "products", [0, 10, 120]).await, None);
        assert_eq!(trail.calls(), 1 + MOST_PAGES);
        assert_eq!(trail.ask(&log, "products", [102, 110, 179]).await, None);
        assert_eq!(trail.calls(), 1 + MOST_PAGES);
        // And then only for what was changed since, and where it is worth as much as it was.
        assert_eq!(trail.ask(&log, "products", [110, 120, 180]).await, None);
        log.state.lock().await.misses = READ_FOR_A_PAGE * MOST_PAGES;
        trail.answers(vec![], None);
        assert_eq!(
            trail.ask(&log, "products", [110, 120, 180]).await,
            Some(at(160))
        );
        assert_eq!(trail.asked.lock().unwrap()[1 + MOST_PAGES].0, at(100));
    }

    #[tokio::test]
    async fn a_look_that_was_refused_or_would_end_too_early_begins_anew() {
        let (log, trail) = (log().await, Told::default());
        trail.answers(vec![], Some("1"));
        trail.fails(Class::Invalid);
        assert_eq!(trail.ask(&log, "products", [0, 10, 60]).await, None);
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        trail.answers(vec![], Some("2"));
        trail.fails(Class::Throttled);
        assert_eq!(trail.ask(&log, "products", [0, 10, 70]).await, None);
        assert_eq!(trail.asked.lock().unwrap()[2].1, None);
        // What it would tell ends at minute 50.
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        trail.answers(vec![], None);
        assert_eq!(
            trail.ask(&log, "products", [0, 60, 100]).await,
            Some(at(80))
        );
        assert_eq!(trail.asked.lock().unwrap()[4].1, None);
    }

    #[tokio::test]
    async fn where_it_fails_again_and_again_it_is_asked_ever_less_often() {
        let (log, trail) = (log().await, Told::default());
        let mut now = 60;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            log.state.lock().await.misses = READ_FOR_A_PAGE;
            trail.fails(Class::Transient);
            let calls = trail.calls();
            assert_eq!(trail.ask(&log, "products", [0, 10, now]).await, None);
            assert_eq!(trail.calls(), calls + 1, "at minute {now}");
            now += wait;
            log.state.lock().await.misses = READ_FOR_A_PAGE;
            assert_eq!(trail.ask(&log, "products", [0, 10, now - 1]).await, None);
            assert_eq!(trail.calls(), calls + 1, "before minute {now}");
        }
    }

    #[tokio::test]
    async fn after_the_clock_was_put_back_nothing_is_known_of_before() {
        let (log, trail) = (log().await, Told::default());
        trail.answers(vec![], None);
        assert_eq!(
            trail.ask(&log, "products", [0, 10, 160]).await,
            Some(at(140))
        );
        assert_eq!(trail.ask(&log, "products", [0, 10, 100]).await, None);
        log.state.lock().await.misses = READ_FOR_A_PAGE;
        trail.answers(vec![change(105, "products")], None);
        assert_eq!(trail.ask(&log, "products", [101, 110, 140]).await, None);
        assert_eq!(trail.calls(), 2);
    }

    #[tokio::test]
    async fn more_changes_than_are_kept_make_the_log_begin_later() {
        let (log, trail) = (log().await, Told::default());
        let many = (0..=MOST_CHANGES).map(|_| change(10, "others"));
        trail.answers(many.chain([change(5, "products")]).collect(), None);
        assert_eq!(
            trail.ask(&log, "products", [0, 10, 60]).await,
            None,
            "that it was changed is not known any more, and nobody may say that it was not"
        );
        assert_eq!(
            trail.ask(&log, "products", [20, 10, 60]).await,
            Some(at(40))
        );
    }
}
