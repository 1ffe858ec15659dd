use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn take_key(queue: &mut WorkQueue<u8>, now: Instant) -> Option<u8> {
    queue.take(now).map(|taken| taken.key)
}

#[test]
fn keys_come_in_the_order_of_their_triggers_and_edits_first() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Resync, now);
    queue.add(2, Lane::Edit, now);
    queue.add(3, Lane::Resync, now);
    queue.add(4, Lane::Edit, now);
    let order: Vec<_> = std::iter::from_fn(|| take_key(&mut queue, now)).collect();
    assert_eq!(order, [2, 4, 1, 3]);
}

#[test]
fn triggers_of_a_pending_key_merge() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Edit, now);
    queue.add(2, Lane::Edit, now);
    queue.add(1, Lane::Edit, now + seconds(1));
    assert_eq!(queue.snapshot(now).adds, [2, 0]);
    let taken = queue.take(now + seconds(3)).unwrap();
    assert_eq!(
        (taken.key, taken.waited),
        (1, seconds(3)),
        "keeps its place and the time of its first trigger"
    );
    assert_eq!(take_key(&mut queue, now), Some(2));
    assert_eq!(take_key(&mut queue, now), None);
}

#[test]
fn an_edit_lifts_a_waiting_resync_into_its_lane() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Resync, now);
    queue.add(2, Lane::Resync, now);
    queue.add(2, Lane::Edit, now);
    let taken = queue.take(now).unwrap();
    assert_eq!((taken.key, taken.lane), (2, Lane::Edit));
    assert_eq!(
        queue.take(now).map(|taken| (taken.key, taken.lane)),
        Some((1, Lane::Resync))
    );
    assert_eq!(take_key(&mut queue, now), None);
}

#[test]
fn a_trigger_during_a_pass_runs_after_it_and_once() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Edit, now);
    assert_eq!(take_key(&mut queue, now), Some(1));
    queue.add(1, Lane::Edit, now);
    queue.add(1, Lane::Resync, now);
    assert_eq!(take_key(&mut queue, now), None, "never two passes of a key");
    assert!(!queue.has_ready());
    assert_eq!(queue.done(&1, now + seconds(2)), Some(seconds(2)));
    assert_eq!(take_key(&mut queue, now), Some(1));
    queue.done(&1, now);
    assert_eq!(take_key(&mut queue, now), None);
    assert!(queue.entries.is_empty(), "an idle key costs nothing");
}

#[test]
fn an_edit_pulls_a_delayed_key_forward() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add_at(1, Lane::Resync, now + seconds(3600), now);
    assert_eq!(take_key(&mut queue, now), None);
    assert_eq!(queue.next_due(), Some(now + seconds(3600)));
    queue.add(1, Lane::Edit, now);
    assert_eq!(
        queue.next_due(),
        None,
        "the delayed one is gone: the pass decides anew"
    );
    assert_eq!(take_key(&mut queue, now), Some(1));
}

#[test]
fn of_two_delays_the_earlier_wins() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add_at(1, Lane::Resync, now + seconds(20), now);
    queue.add_at(1, Lane::Resync, now + seconds(10), now);
    queue.add_at(1, Lane::Resync, now + seconds(30), now);
    assert_eq!(queue.next_due(), Some(now + seconds(10)));
    assert_eq!(take_key(&mut queue, now + seconds(9)), None);
    let taken = queue.take(now + seconds(12)).unwrap();
    assert_eq!((taken.key, taken.waited), (1, seconds(2)));
    assert_eq!(queue.next_due(), None);
}

#[test]
fn a_delay_given_during_a_pass_starts_after_it() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Edit, now);
    queue.take(now);
    queue.add_at(1, Lane::Resync, now + seconds(10), now);
    queue.done(&1, now + seconds(1));
    assert_eq!(take_key(&mut queue, now + seconds(9)), None);
    assert_eq!(take_key(&mut queue, now + seconds(10)), Some(1));
}

#[test]
fn a_flood_of_edits_leaves_resyncs_their_share() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(0, Lane::Resync, now);
    let mut passes = 0;
    for key in (1..=u8::MAX).cycle() {
        queue.add(key, Lane::Edit, now);
        passes += 1;
        let taken = queue.take(now).unwrap();
        queue.done(&taken.key, now);
        if taken.key == 0 {
            break;
        }
    }
    assert_eq!(passes, RESYNC_SHARE);
}

#[test]
fn resync_passes_are_bounded() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.set_resync_limit(1);
    queue.add(1, Lane::Resync, now);
    queue.add(2, Lane::Resync, now);
    assert_eq!(take_key(&mut queue, now), Some(1));
    assert!(!queue.has_ready());
    assert_eq!(take_key(&mut queue, now), None);
    queue.add(3, Lane::Edit, now);
    assert_eq!(take_key(&mut queue, now), Some(3));
    queue.done(&1, now);
    assert_eq!(take_key(&mut queue, now), Some(2));
}

#[test]
fn backoff_doubles_up_to_its_maximum_and_is_forgotten() {
    let backoff = Backoff::default();
    let delays: Vec<_> = [1, 2, 3, 10, 11, 1000]
        .map(|failures| backoff.delay(failures, 0.0).as_millis())
        .into();
    assert_eq!(delays, [500, 1000, 2000, 256_000, 300_000, 300_000]);
    assert_eq!(backoff.delay(2, 1.0), Duration::from_millis(800));

    let mut now = Instant::now();
    let mut queue = WorkQueue::new();
    for failures in 1..=3 {
        let delay = queue.record_failure(&1, now, &backoff, 0.0);
        assert_eq!(
            (queue.failures(&1), delay),
            (failures, backoff.delay(failures, 0.0))
        );
        now += delay;
    }
    queue.forget(&1);
    assert_eq!(queue.failures(&1), 0);
    assert!(queue.entries.is_empty());
}

#[test]
fn failures_within_the_backoff_do_not_lengthen_it() {
    let now = Instant::now();
    let backoff = Backoff {
        initial: seconds(10),
        maximum: seconds(100),
    };
    let mut queue = WorkQueue::new();
    assert_eq!(queue.record_failure(&1, now, &backoff, 0.0), seconds(10));
    assert_eq!(
        queue.record_failure(&1, now + seconds(4), &backoff, 0.0),
        seconds(6),
        "the same retry"
    );
    assert_eq!(queue.failures(&1), 1);
    assert_eq!(
        queue.record_failure(&1, now + seconds(10), &backoff, 0.0),
        seconds(20)
    );
    assert_eq!(queue.failures(&1), 2);
}

#[test]
fn unfinished_work_is_measured() {
    let now = Instant::now();
    let mut queue = WorkQueue::new();
    queue.add(1, Lane::Edit, now);
    queue.take(now);
    queue.add(2, Lane::Edit, now);
    queue.take(now + seconds(4));
    let snapshot = queue.snapshot(now + seconds(5));
    assert_eq!(
        (
            snapshot.running,
            snapshot.unfinished,
            snapshot.longest_running
        ),
        (2, seconds(6), seconds(5))
    );
}

#[derive(Debug, Clone)]
enum Operation {
    Add(u8, Lane),
    AddAfter(u8, Lane, u64),
    Take,
    Done(usize),
    Fail(u8),
    Forget(u8),
    Pass(u64),
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Edit), Just(Lane::Resync)]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..6u8, lane()).prop_map(|(key, lane)| Operation::Add(key, lane)),
        3 => (0..6u8, lane(), 0..50u64).prop_map(|(key, lane, after)| Operation::AddAfter(key, lane, after)),
        5 => Just(Operation::Take),
        4 => any::<usize>().prop_map(Operation::Done),
        1 => (0..6u8).prop_map(Operation::Fail),
        1 => (0..6u8).prop_map(Operation::Forget),
        3 => (0..30u64).prop_map(Operation::Pass),
    ]
}

/// What must hold, told apart from how the queue does it: for each key the time at which a pass is owed, and who runs.
#[derive(Default)]
struct Model {
    owed: HashMap<u8, (Instant, Lane)>,
    running: BTreeSet<u8>,
}

impl Model {
    fn owe(&mut self, key: u8, lane: Lane, due: Instant) {
        self.owed
            .entry(key)
            .and_modify(|owed| *owed = (owed.0.min(due), owed.1.min(lane)))
            .or_insert((due, lane));
    }

    fn runnable(&self, now: Instant) -> usize {
        self.owed
            .iter()
            .filter(|(key, owed)| owed.0 <= now && !self.running.contains(*key))
            .count()
    }
}

proptest! {
    #[test]
    fn no_trigger_is_lost_none_runs_early_and_no_key_runs_twice_at_once(operations in prop::collection::vec(operation(), 1..200)) {
        let mut now = Instant::now();
        let mut queue = WorkQueue::new();
        let mut model = Model::default();
        for operation in operations {
            match operation {
                Operation::Add(key, lane) => {
                    queue.add(key, lane, now);
                    model.owe(key, lane, now);
                }
                Operation::AddAfter(key, lane, after) => {
                    queue.add_at(key, lane, now + seconds(after), now);
                    model.owe(key, lane, now + seconds(after));
                }
                Operation::Take => {
                    let runnable = model.runnable(now);
                    match queue.take(now) {
                        Some(taken) => {
                            let (due, lane) = model.owed.remove(&taken.key).expect("a pass nobody asked for");
                            prop_assert!(due <= now, "early");
                            prop_assert_eq!(taken.lane, lane);
                            prop_assert_eq!(taken.waited, now - due);
                            prop_assert!(model.running.insert(taken.key), "two passes of one key");
                        }
                        None => prop_assert_eq!(runnable, 0, "idle although a key could run"),
                    }
                }
                Operation::Done(which) => {
                    if let Some(key) = model.running.iter().nth(which % model.running.len().max(1)).copied() {
                        prop_assert!(queue.done(&key, now).is_some());
                        model.running.remove(&key);
                    }
                }
                Operation::Fail(key) => {
                    queue.record_failure(&key, now, &Backoff::default(), 0.0);
                }
                Operation::Forget(key) => queue.forget(&key),
                Operation::Pass(by) => now += seconds(by),
            }
            prop_assert_eq!(queue.snapshot(now).running, model.running.len());
            // Whoever sleeps until `next_due` must not oversleep.
            let next = model.owed.iter().filter(|(key, owed)| owed.0 > now && !model.running.contains(*key)).map(|(_, owed)| owed.0).min();
            if let Some(next) = next {
                prop_assert!(queue.next_due().is_some_and(|due| due <= next));
            }
        }
        // Let everything end: each key that is owed a pass gets exactly one.
        for key in std::mem::take(&mut model.running) {
            queue.done(&key, now);
        }
        now += seconds(1000);
        let mut rest = BTreeSet::new();
        while let Some(taken) = queue.take(now) {
            prop_assert!(rest.insert(taken.key));
            queue.done(&taken.key, now);
            queue.forget(&taken.key);
        }
        prop_assert_eq!(rest, model.owed.keys().copied().collect::<BTreeSet<_>>());
        for key in 0..6 {
            queue.forget(&key);
        }
        prop_assert!(queue.entries.is_empty(), "nothing is left behind");
    }

    #[test]
    fn within_a_lane_the_first_to_come_is_the_first_to_go(keys in prop::collection::vec((0..40u8, lane()), 1..100)) {
        let now = Instant::now();
        let mut queue = WorkQueue::new();
        let mut expected: [Vec<u8>; 2] = Default::default();
        for (key, lane) in keys {
            queue.add(key, lane, now);
            let [edit, resync] = &mut expected;
            match lane {
                Lane::Edit => {
                    resync.retain(|waiting| *waiting != key);
                    if !edit.contains(&key) {
                        edit.push(key);
                    }
                }
                Lane::Resync => {
                    if !edit.contains(&key) && !resync.contains(&key) {
                        resync.push(key);
                    }
                }
            }
        }
        let mut taken: [Vec<u8>; 2] = Default::default();
        while let Some(next) = queue.take(now) {
            taken[next.lane.index()].push(next.key);
        }
        prop_assert_eq!(taken, expected);
    }
}
