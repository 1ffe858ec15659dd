//! AWS sessions by region, shared by all passes.

use std::{collections::HashMap, sync::Arc};

use shopkeeper_aws::{Account, Observer, calls::CallObserver};
use shopkeeper_ec2::Network;
use tokio::sync::Mutex;

/// Clients for one region, with the cache of observations in front of them.
#[derive(Debug)]
pub struct Session {
    /// Makes changes.
    pub account: Account,
    /// Observes.
    pub observer: Observer,
    /// Looks up VPCs and subnets.
    pub network: Network,
}

/// All sessions.
#[derive(Debug)]
pub struct Accounts {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    calls: Arc<dyn CallObserver>,
}

impl Accounts {
    /// No sessions yet.
    pub fn new(calls: Arc<dyn CallObserver>) -> Self {
        Self {
            sessions: Mutex::default(),
            calls,
        }
    }

    /// The session for a region. Making one reads the environment and makes no call to AWS.
    pub async fn session(&self, region: &str) -> Arc<Session> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(region) {
            return Arc::clone(session);
        }
        let account = Account::connect(region, Arc::clone(&self.calls)).await;
        let session = Arc::new(Session {
            observer: Observer::new(account.clone()),
            network: Network::new(&account),
            account,
        });
        sessions.insert(region.to_owned(), Arc::clone(&session));
        session
    }
}
