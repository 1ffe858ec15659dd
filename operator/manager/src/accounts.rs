//! AWS sessions by region, shared by all passes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use shopkeeper_api::Platform;
use shopkeeper_aws::{
    Account, Lags, Observer,
    budget::Budgets,
    sts::{self, Caller},
};
use shopkeeper_ec2::Network;
use shopkeeper_kube::tenure::Tenure;
use shopkeeper_plan::{
    account,
    budget::{AwsApi, Limit},
    failure::Failure,
};
use tokio::sync::Mutex;

use crate::metrics::ShopMetrics;

/// Clients for one region, with the cache of observations in front of them.
#[derive(Debug)]
pub struct Session {
    /// Makes changes.
    pub account: Account,
    /// Observes.
    pub observer: Observer,
    /// Looks up VPCs and subnets.
    pub network: Network,
    budgets: Budgets,
    /// Whom the credentials belong to, once it was the account of a Platform, and when that was asked: wrong credentials are asked about
    /// again.
    caller: Mutex<Option<(Caller, Instant)>>,
}

/// For how long credentials are taken to be of the account that they were of. They are renewed in a running process, and then follow the
/// association of the operator's ServiceAccount, which somebody may have given a role of another account.
const CALLER_FRESHNESS: Duration = Duration::from_secs(5 * 60);

impl Session {
    /// Makes sure that the credentials are for the account of a Platform, and gives whose they are. Before that nothing may be looked
    /// at: in another account everything would pass for gone. Those who wait for an answer share it.
    ///
    /// # Errors
    /// They are for another one, or AWS does not tell.
    pub async fn check_account(&self, platform: &Platform) -> Result<Caller, Failure> {
        let mut known = self.caller.lock().await;
        if let Some((caller, asked)) = known.as_ref()
            && caller.account_id == platform.spec.aws.account_id
            && asked.elapsed() < CALLER_FRESHNESS
        {
            return Ok(caller.clone());
        }
        let asked = Instant::now();
        let actual = sts::caller(&self.account).await?;
        account::check(platform, &actual.account_id)?;
        *known = Some((actual.clone(), asked));
        Ok(actual)
    }
}

/// The tenure of a leader, as calls to AWS ask for it.
#[derive(Debug)]
struct Leadership(Tenure);

impl shopkeeper_aws::Tenure for Leadership {
    fn lasts(&self) -> bool {
        self.0.lasts()
    }
}

/// All sessions.
#[derive(Debug)]
pub struct Accounts {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    metrics: ShopMetrics,
    tenure: Arc<Leadership>,
    /// Those of no region, whose global ones all regions share.
    budgets: Budgets,
    lags: Lags,
}

impl Accounts {
    /// No sessions yet.
    pub fn new(metrics: ShopMetrics, tenure: Tenure, lags: Lags) -> Self {
        Self {
            sessions: Mutex::default(),
            metrics,
            tenure: Arc::new(Leadership(tenure)),
            budgets: Budgets::default(),
            lags,
        }
    }

    /// The session for a region, within these budgets from now on. Making one reads the environment and makes no call to AWS.
    pub async fn session(&self, region: &str, limits: &BTreeMap<AwsApi, Limit>) -> Arc<Session> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(region) {
            session.budgets.set_limits(limits);
            return Arc::clone(session);
        }
        let budgets = self.budgets.for_another_region();
        budgets.set_limits(limits);
        self.metrics.show_budgets(region, &budgets);
        let calls = Arc::new(self.metrics.clone());
        let tenure = Arc::clone(&self.tenure);
        let account = Account::connect(region, calls, budgets.clone(), tenure, self.lags).await;
        let session = Arc::new(Session {
            observer: Observer::new(account.clone()),
            network: Network::new(&account),
            account,
            budgets,
            caller: Mutex::default(),
        });
        sessions.insert(region.to_owned(), Arc::clone(&session));
        session
    }
}
