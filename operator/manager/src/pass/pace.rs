//! When the next pass comes, as far as AWS's budgets and the drift interval say so.

use std::time::Duration;

use shopkeeper_plan::{
    failure::Class,
    observed::{Observation, Observed},
    plan::{Blocker, Plan},
};

/// More often AWS is not looked at where nothing happens; the shortest drift interval.
const SHORTEST_BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// How often AWS is looked at for a drift interval: six times for what changes by itself, so that settings that nothing but a call
/// changes can be read once in it.
pub(super) fn between_looks(interval: Duration) -> Duration {
    (interval / 6).max(SHORTEST_BETWEEN_LOOKS).min(interval)
}

/// From one look for drift to the next: a little sooner, and by a twentieth not always as much, or everything that started together comes
/// back together. Never later, so that six looks fit into an interval, and settings are read at each sixth.
pub(super) fn to_next_look(interval: Duration, seed: u64) -> Duration {
    between_looks(interval).mul_f64(0.93 + up_to_a_fifth(seed) / 4.0)
}

/// How old settings and descriptions of all resources of a kind may be in a resync. Together with the time to the next look, and a
/// tenth of it for the time until its pass begins, they keep to the interval: no drift is older when it is seen.
pub(super) fn ages_in_resyncs(interval: Duration) -> (Duration, Duration) {
    let look = between_looks(interval);
    let spare = interval.saturating_sub(look.mul_f64(1.08));
    (spare, spare.min(look / 2))
}

/// When everything can be asked that was not, since the budget was spent; `None` where all was asked.
pub(super) fn unasked(observed: &Observed) -> Option<Duration> {
    let failures = observed.aws.values().filter_map(Observation::failure);
    failures
        .filter(|failure| failure.is_budget_spent())
        .filter_map(|failure| failure.retry_after)
        .max()
}

/// Whether AWS did not answer something, because it was asked for too much.
pub(super) fn is_throttled(observed: &Observed) -> bool {
    observed
        .aws
        .values()
        .filter_map(Observation::failure)
        .any(|failure| failure.class == Class::Throttled)
}

/// When everything can be changed that was not, since the budget was spent.
pub(super) fn refused(plan: &Plan) -> Option<Duration> {
    let blockers = plan.steps.iter().flat_map(|step| &step.blocked_by);
    blockers
        .filter_map(|blocker| match blocker {
            Blocker::Refused(failure) if failure.is_budget_spent() => failure.retry_after,
            _ => None,
        })
        .max()
}

/// A little longer, by a fifth at most, so that those that were sent away together do not come back together.
pub(super) fn spread(wait: Duration, seed: u64) -> Duration {
    wait.mul_f64(1.0 + up_to_a_fifth(seed))
}

fn up_to_a_fifth(seed: u64) -> f64 {
    f64::from(u32::try_from(seed % 1000).unwrap_or(0)) / 5000.0
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::memory::Memory;

    /// The longest time from one look to the next.
    fn longest_gap(interval: Duration) -> Duration {
        let gap = to_next_look(interval, 999);
        assert!(gap <= between_looks(interval));
        assert!(gap > to_next_look(interval, 0));
        gap
    }

    #[test]
    fn no_setting_is_older_than_the_drift_interval_when_it_is_read_again() {
        for minutes in [2, 6, 10, 60, 24 * 60] {
            let interval = Duration::from_secs(60 * minutes);
            let (settings, listings) = ages_in_resyncs(interval);
            // Not old enough at one look by an instant, it is read at the next.
            assert!(settings + longest_gap(interval) <= interval, "{minutes}");
            assert!(listings + longest_gap(interval) <= interval, "{minutes}");
        }
        // Nor with edits in between, which read no setting anew that they know.
        for (minutes, seconds_between_edits) in [(60, 7 * 60), (60, 10), (10, 61)] {
            let interval = Duration::from_secs(60 * minutes);
            let (settings, _) = ages_in_resyncs(interval);
            let gap = longest_gap(interval);
            let memory = Memory::default();
            let (mut read, mut edit) = (Instant::now(), Instant::now());
            let mut due = memory.next_resync("shop", read + gap, true);
            let mut times_read = 0;
            while times_read < 3 {
                edit += Duration::from_secs(seconds_between_edits);
                assert_eq!(memory.next_resync("shop", edit + gap, false), due);
                if edit < due {
                    continue;
                }
                if due - read >= settings {
                    assert!(due - read <= interval, "{minutes}: {:?}", due - read);
                    read = due;
                    times_read += 1;
                }
                due = memory.next_resync("shop", due + gap, true);
            }
        }
        // The shortest interval has no time to spare: everything is read at each look, by its name.
        let shortest = ages_in_resyncs(SHORTEST_BETWEEN_LOOKS);
        assert_eq!(shortest, (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn settings_are_read_at_each_sixth_look_and_not_before() {
        let interval = Duration::from_secs(60 * 60);
        let (settings, _) = ages_in_resyncs(interval);
        for seeds in [[0; 6], [999; 6]] {
            let looks = seeds.map(|seed| to_next_look(interval, seed));
            assert!(looks[..5].iter().sum::<Duration>() < settings);
            assert!(looks.iter().sum::<Duration>() >= settings);
        }
    }

    #[test]
    fn what_changes_by_itself_is_looked_at_six_times_in_an_interval_but_not_more_than_once_a_minute()
     {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(between_looks(minutes(60)), minutes(10));
        assert_eq!(between_looks(minutes(6)), minutes(1));
        assert_eq!(between_looks(minutes(1)), minutes(1));
    }
}
