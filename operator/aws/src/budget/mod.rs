//! Budgets: a call to AWS takes a token, or is not made. See `docs/decisions/0022-budgets.md`.
//!
//! Nothing waits here. A call for which there is no token fails at once with [`Spent`], which says when to come back; what was read
//! by then is kept by the [observer](crate::observer), so that the next pass asks only for the rest.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use shopkeeper_plan::budget::{AwsApi, Limit, default_limit, is_global, operation_limit};

mod bucket;

use bucket::Bucket;

/// What a pass is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it: an edit, a deletion, a request, or work that is under way.
    #[default]
    Edit,
    /// Nobody waits for it: it looks whether anything has changed.
    Resync,
}

/// Who goes ahead of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A call that changes something.
    Write,
    /// A look that somebody waits for.
    Edit,
    /// A look that nobody waits for.
    Resync,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Write, Self::Edit, Self::Resync];

    /// The value of the metric label `priority`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Edit => "edit",
            Self::Resync => "resync",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }

    fn of(operation: &str) -> Self {
        if !is_read(operation) {
            return Self::Write;
        }
        match URGENCY.try_with(|urgency| *urgency).unwrap_or_default() {
            Urgency::Edit => Self::Edit,
            Urgency::Resync => Self::Resync,
        }
    }
}

tokio::task_local! {
    static URGENCY: Urgency;
}

/// Makes all calls of a pass as urgent as the pass. Without it a call is as urgent as an edit.
pub fn with_urgency<F: Future>(urgency: Urgency, pass: F) -> impl Future<Output = F::Output> {
    // Boxed: a pass is large, and each wrapping of it by value would need its size on the stack once more.
    URGENCY.scope(urgency, Box::pin(pass))
}

/// Whether an operation changes nothing, by the names that AWS gives to its operations.
pub(crate) fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List", "Head", "Lookup"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

/// A call was not made, since the budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Of which API.
    pub api: AwsApi,
    /// When there will be a token for it.
    pub retry_after: Duration,
}

impl fmt::Display for Spent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the budget for {} is spent", self.api.name())
    }
}

impl Error for Spent {}

/// What a bucket holds at one moment, for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Of which API.
    pub api: AwsApi,
    /// Calls that could be made at once.
    pub tokens: f64,
    /// Calls a second, in the long run.
    pub rate: f64,
}

/// The budgets for one account and region. Clones are the same budgets.
#[derive(Clone, Debug, Default)]
pub struct Budgets {
    regional: Arc<Mutex<Buckets>>,
    /// Of what has no regions; shared by those of all regions.
    global: Arc<Mutex<Buckets>>,
}

#[derive(Debug, Default)]
struct Buckets {
    apis: BTreeMap<AwsApi, Bucket>,
    operations: BTreeMap<(AwsApi, String), Bucket>,
    limits: BTreeMap<AwsApi, Limit>,
}

impl Budgets {
    /// Budgets for another region of the same account.
    #[must_use]
    pub fn for_another_region(&self) -> Self {
        Self {
            regional: Arc::default(),
            global: Arc::clone(&self.global),
        }
    }

    /// Sets the limits that are other than the default ones.
    pub fn set_limits(&self, limits: &BTreeMap<AwsApi, Limit>) {
        let now = Instant::now();
        let (global, regional): (Vec<_>, Vec<_>) =
            limits.iter().partition(|(api, _)| is_global(**api));
        lock(&self.global).set_limits(global, now);
        lock(&self.regional).set_limits(regional, now);
    }

    /// Takes a token for a call.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn spend(&self, api: AwsApi, operation: &str) -> Result<(), (Spent, Priority)> {
        let priority = Priority::of(operation);
        self.of(api)
            .spend(api, operation, priority, Instant::now())
            .map_err(|spent| (spent, priority))
    }

    /// AWS throttled a call.
    pub(crate) fn throttled(&self, api: AwsApi, operation: &str) {
        self.of(api).throttled(api, operation, Instant::now());
    }

    /// What is left for each API that was called.
    #[must_use]
    pub fn levels(&self) -> Vec<Level> {
        let now = Instant::now();
        let mut levels = lock(&self.regional).levels(now);
        levels.extend(lock(&self.global).levels(now));
        levels
    }

    fn of(&self, api: AwsApi) -> MutexGuard<'_, Buckets> {
        lock(if is_global(api) {
            &self.global
        } else {
            &self.regional
        })
    }
}

/// A panic while it was locked leaves at worst a token that was not taken.
fn lock(buckets: &Mutex<Buckets>) -> MutexGuard<'_, Buckets> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buckets {
    fn set_limits<'a>(
        &mut self,
        limits: impl IntoIterator<Item = (&'a AwsApi, &'a Limit)>,
        now: Instant,
    ) {
        let limits: BTreeMap<AwsApi, Limit> = limits
            .into_iter()
            .map(|(api, limit)| (*api, *limit))
            .collect();
        if limits == self.limits {
            return;
        }
        self.limits = limits;
        for (api, bucket) in &mut self.apis {
            let limit = limit_of(&self.limits, *api);
            if bucket.limit() != limit {
                bucket.change(limit, now);
            }
        }
    }

    fn spend(
        &mut self,
        api: AwsApi,
        operation: &str,
        priority: Priority,
        now: Instant,
    ) -> Result<(), Spent> {
        let limit = limit_of(&self.limits, api);
        let whole = self
            .apis
            .entry(api)
            .or_insert_with(|| Bucket::new(limit, now));
        let part = operation_limit(api, operation).map(|limit| {
            self.operations
                .entry((api, operation.to_owned()))
                .or_insert_with(|| Bucket::new(limit, now))
        });
        let mut buckets: Vec<&mut Bucket> = [Some(whole), part].into_iter().flatten().collect();
        let wait = buckets
            .iter_mut()
            .filter_map(|bucket| {
                (!bucket.admits(priority, now)).then(|| bucket.send_away(priority, now))
            })
            .max();
        match wait {
            Some(retry_after) => Err(Spent { api, retry_after }),
            None => {
                buckets.into_iter().for_each(Bucket::take);
                Ok(())
            }
        }
    }

    /// Where AWS limits an operation by itself, it is that limit which was met.
    fn throttled(&mut self, api: AwsApi, operation: &str, now: Instant) {
        let part = self.operations.get_mut(&(api, operation.to_owned()));
        if let Some(bucket) = part.or_else(|| self.apis.get_mut(&api)) {
            bucket.throttled(now);
        }
    }

    fn levels(&mut self, now: Instant) -> Vec<Level> {
        self.apis
            .iter_mut()
            .map(|(api, bucket)| Level {
                api: *api,
                tokens: bucket.tokens(now),
                rate: bucket.rate(now),
            })
            .collect()
    }
}

fn limit_of(limits: &BTreeMap<AwsApi, Limit>, api: AwsApi) -> Limit {
    limits.get(&api).copied().unwrap_or(default_limit(api))
}

/// The API that an SDK means by the name of its service.
pub(crate) fn api_of(service: &str) -> Option<AwsApi> {
    let name = service.replace(' ', "");
    AwsApi::ALL.into_iter().find(|api| api.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Budgets {
        let budgets = Budgets::default();
        let limit = Limit {
            per_second: 1,
            burst: 4,
        };
        budgets.set_limits(&BTreeMap::from([
            (AwsApi::EKS, limit),
            (AwsApi::IAM, limit),
        ]));
        budgets
    }

    #[test]
    fn the_services_of_the_sdks_have_budgets() {
        for (service, api) in [
            ("Application Auto Scaling", AwsApi::ApplicationAutoScaling),
            ("Secrets Manager", AwsApi::SecretsManager),
            ("Service Quotas", AwsApi::ServiceQuotas),
            ("ElastiCache", AwsApi::ElastiCache),
            ("DynamoDB", AwsApi::DynamoDB),
        ] {
            assert_eq!(api_of(service), Some(api));
        }
        assert_eq!(api_of("STS"), None);
    }

    #[tokio::test]
    async fn what_a_resync_leaves_is_there_for_an_edit() {
        let budgets = small();
        let read = || budgets.spend(AwsApi::EKS, "DescribeNodegroup");
        with_urgency(Urgency::Resync, async {
            assert!(read().is_ok());
            assert!(read().is_ok());
            let (spent, priority) = read().unwrap_err();
            assert_eq!(spent.api, AwsApi::EKS);
            assert_eq!(priority, Priority::Resync);
            assert!(spent.retry_after <= Duration::from_secs(1));
            // A change goes ahead, whatever found out that it is needed.
            assert!(budgets.spend(AwsApi::EKS, "DeleteNodegroup").is_ok());
        })
        .await;
        assert!(with_urgency(Urgency::Edit, async { read() }).await.is_ok());
        assert!(read().is_err());
    }

    #[test]
    fn regions_have_budgets_of_their_own_but_for_what_has_no_regions() {
        let here = small();
        let there = here.for_another_region();
        for _ in 0..4 {
            assert!(here.spend(AwsApi::EKS, "CreateNodegroup").is_ok());
            assert!(here.spend(AwsApi::IAM, "CreateRole").is_ok());
        }
        assert!(here.spend(AwsApi::EKS, "CreateNodegroup").is_err());
        assert!(there.spend(AwsApi::EKS, "CreateNodegroup").is_ok());
        assert!(there.spend(AwsApi::IAM, "CreateRole").is_err());
    }

    #[test]
    fn an_operation_with_a_limit_of_its_own_does_not_use_up_the_others() {
        let budgets = Budgets::default();
        let mut tags = 0;
        while budgets
            .spend(AwsApi::DynamoDB, "ListTagsOfResource")
            .is_ok()
        {
            tags += 1;
        }
        assert!(tags < 20, "{tags}");
        assert!(budgets.spend(AwsApi::DynamoDB, "DescribeTable").is_ok());
        // What it did not get, it did not take from the others.
        let level = budgets.levels()[0];
        assert!(level.tokens > 180.0, "{level:?}");
        budgets.throttled(AwsApi::DynamoDB, "ListTagsOfResource");
        assert!(budgets.spend(AwsApi::DynamoDB, "DescribeTable").is_ok());
        budgets.throttled(AwsApi::DynamoDB, "DescribeTable");
        assert!(budgets.spend(AwsApi::DynamoDB, "DescribeTable").is_err());
    }
}
