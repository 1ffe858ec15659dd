//! AWS sessions by region, shared by all passes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use shopkeeper_aws::{Account, Observer, budget::Budgets};
use shopkeeper_ec2::Network;
use shopkeeper_plan::budget::{AwsApi, Limit};
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
}

/// All sessions.
#[derive(Debug)]
pub struct Accounts {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    metrics: ShopMetrics,
    /// Those of no region, whose global ones all regions share.
    budgets: Budgets,
}

impl Accounts {
    /// No sessions yet.
    pub fn new(metrics: ShopMetrics) -> Self {
        Self {
            sessions: Mutex::default(),
            metrics,
            budgets: Budgets::default(),
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
        let account = Account::connect(region, calls, budgets.clone()).await;
        let session = Arc::new(Session {
            observer: Observer::new(account.clone()),
            network: Network::new(&account),
            account,
            budgets,
        });
        sessions.insert(region.to_owned(), Arc::clone(&session));
        session
    }
}
