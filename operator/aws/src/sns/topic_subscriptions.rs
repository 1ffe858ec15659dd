//! The subscriptions of topics. SNS finds one only by its topic, a page of 100 at a time, and tells of all others with it: one listing of
//! a topic serves everybody who looks at a subscription of it.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_sns::types::Subscription;
use shopkeeper_plan::failure::Failure;

use crate::parts::{shared_since, used};

/// A listing that nobody asked for anew in this time is forgotten: its topic is gone.
const UNUSED: Duration = Duration::from_secs(60 * 60);

/// What was listed last, by the ARNs of topics.
#[derive(Debug, Default)]
pub(crate) struct TopicSubscriptions(Mutex<HashMap<String, Arc<Known>>>);

/// Locked while SNS is asked, so that those who ask for the same meanwhile wait for that answer.
type Known = tokio::sync::Mutex<Option<Listed>>;

/// What the subscriptions of a topic are; none where there is no such topic.
type Answer = Result<Arc<[Subscription]>, Failure>;

#[derive(Debug)]
struct Listed {
    /// Before SNS was asked: what changed later may be missing.
    asked: Instant,
    answered: Instant,
    answer: Answer,
}

impl TopicSubscriptions {
    /// The subscriptions of a topic: as they were listed before, where that serves the look that is being made, else as `list` tells them.
    /// A failure serves those who waited for the call that failed, and nobody else.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) async fn of<F>(&self, topic_arn: &str, list: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<Vec<Subscription>, Failure>> + Send,
    {
        let came = Instant::now();
        let since = shared_since().unwrap_or(came);
        let known = self.known(topic_arn);
        let mut known = known.lock().await;
        if let Some(listed) = known.as_ref() {
            let serves = match &listed.answer {
                Ok(_) => listed.asked >= since,
                // Where there was no call, others may have tokens that this one had not.
                Err(failure) => listed.answered >= came && !failure.is_budget_spent(),
            };
            if serves {
                used(listed.asked, true);
                return listed.answer.clone();
            }
        }
        let asked = Instant::now();
        let answer = Box::pin(list()).await.map(Arc::from);
        *known = Some(Listed {
            asked,
            answered: Instant::now(),
            answer: answer.clone(),
        });
        used(asked, true);
        answer
    }

    fn known(&self, topic_arn: &str) -> Arc<Known> {
        // A panic while it was locked leaves at worst an entry without an answer, which is no harm.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(topic_arn) {
            return Arc::clone(known);
        }
        all.retain(|_, known| {
            known.try_lock().map_or(true, |known| {
                known
                    .as_ref()
                    .is_none_or(|listed| listed.answered.elapsed() < UNUSED)
            })
        });
        let known = Arc::default();
        all.insert(topic_arn.to_owned(), Arc::clone(&known));
        known
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shopkeeper_plan::failure::Class;

    use super::*;
    use crate::parts::{Parts, Since};

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:buy";

    async fn look(
        listings: &TopicSubscriptions,
        since: Since,
        calls: &AtomicUsize,
        answer: Result<usize, Failure>,
    ) -> (Result<usize, Failure>, Parts) {
        let parts = Parts::default();
        let list = || async {
            // Those who come at the same time come before it is answered.
            tokio::task::yield_now().await;
            calls.fetch_add(1, Ordering::SeqCst);
            answer.map(|number| vec![Subscription::builder().build(); number])
        };
        let found = parts.looking(since, listings.of(TOPIC, list)).await;
        (found.map(|subscriptions| subscriptions.len()), parts)
    }

    #[tokio::test]
    async fn one_listing_serves_all_that_look_at_a_topic() {
        let (listings, calls) = (TopicSubscriptions::default(), AtomicUsize::new(0));
        let first = Since::moment(Instant::now());
        assert_eq!(look(&listings, first, &calls, Ok(2)).await.0, Ok(2));
        let (found, parts) = look(&listings, first, &calls, Ok(3)).await;
        assert_eq!(found, Ok(2));
        let oldest = parts.complete().setting;
        assert!(
            oldest.is_some_and(|asked| asked >= first.settings),
            "as old as the listing"
        );
        // Whoever changed one of them has to see that, and so do later looks.
        let changed = Since {
            shared_settings: Instant::now(),
            ..first
        };
        assert_eq!(look(&listings, changed, &calls, Ok(3)).await.0, Ok(3));
        assert_eq!(look(&listings, first, &calls, Ok(4)).await.0, Ok(3));
        let later = Since::moment(Instant::now());
        assert_eq!(look(&listings, later, &calls, Ok(4)).await.0, Ok(4));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_call_that_failed_is_not_made_again_by_those_who_waited_for_it() {
        let (listings, calls) = (TopicSubscriptions::default(), AtomicUsize::new(0));
        let since = Since::moment(Instant::now());
        let failure = || Failure::new(Class::Throttled, "Rate exceeded");
        let together = futures::join!(
            look(&listings, since, &calls, Err(failure())),
            look(&listings, since, &calls, Ok(1)),
        );
        assert_eq!(together.0.0, Err(failure()));
        assert_eq!(together.1.0, Err(failure()));
        assert_eq!(look(&listings, since, &calls, Ok(1)).await.0, Ok(1));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}
