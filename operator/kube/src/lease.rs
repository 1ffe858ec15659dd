//! Leader election: of several replicas one writes.
//!
//! The Lease is handled by kube-lease-manager. It retries a failing renewal for as long as it takes and meanwhile goes on calling itself
//! the leader, also when its Lease ran out long ago and another replica leads. So the renewals are watched from outside: a layer in
//! the client notes each one that succeeded, and when there was none for [`LeaseOptions::renew_deadline`] leadership is lost. There
//! is no way back from that but a new process: passes may be half-way through a write.
//!
//! It also believes the times in the Lease, which are by the clock of whoever holds it: of a holder that is a minute behind it would take
//! the Lease at once, and that of one that died with a clock ahead it would respect until then. So a candidate first looks on, as
//! client-go does, until the Lease stayed the same for its duration by this machine's clock, and only then runs for it.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Future, StreamExt as _};
use http::{Method, Request, Response};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    client::{Body, ClientBuilder},
    runtime::{WatchStreamExt as _, watcher::watch_object},
};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerError, LeaseParams};
use serde_json::json;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use tower::{Layer, Service};

use crate::{
    Error,
    client::{ClientOptions, DeadlineLayer, prepare},
    error::error_chain,
    metrics::{LeaseMetrics, RestClientMetrics},
    tenure::Tenure,
};

/// Between two looks of a candidate.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Where the Lease is and how it is kept. The times default to those of controller-runtime: 15, 10 and 5 seconds.
#[derive(Debug, Clone)]
pub struct LeaseOptions {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease, and the metric label.
    pub name: String,
    /// Who this is. Must differ between replicas and should between restarts: see [`LeaseOptions::new`].
    pub identity: String,
    /// For how long others respect the Lease after it was renewed. In whole seconds.
    pub duration: Duration,
    /// Without a renewal for this long the leader gives up; the difference to `duration` is what clocks may differ.
    pub renew_deadline: Duration,
    /// How often the leader renews. In whole seconds, at least one less than `duration`.
    pub renew_interval: Duration,
}

impl LeaseOptions {
    /// Options with the default times. The identity is that of the Pod and a random part, so that a restarted container is not taken
    /// for its predecessor.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, pod: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: format!("{pod}_{:016x}", rand::random::<u64>()),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            renew_interval: Duration::from_secs(5),
        }
    }

    fn parameters(&self) -> Result<LeaseParams, Error> {
        let duration = self.duration.as_secs();
        let grace = duration.saturating_sub(self.renew_interval.as_secs());
        // `LeaseParams::new` panics on these.
        if grace == 0
            || grace >= duration
            || self.renew_deadline >= self.duration
            || self.renew_interval >= self.renew_deadline
        {
            return Err(Error::Invalid(format!(
                "lease times must satisfy 1 s <= renew interval < renew deadline < duration: {:?}, {:?}, {:?}",
                self.renew_interval, self.renew_deadline, self.duration
            )));
        }
        Ok(LeaseParams::new(self.identity.clone(), duration, grace)
            .with_field_manager(format!("shopkeeper-{}", self.identity)))
    }
}

/// Whether this process leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Another replica leads, or none yet.
    Candidate,
    /// This one leads.
    Leader,
    /// This one led and no longer does: the process must end. Says why.
    Lost(String),
    /// This one gave leadership up on purpose.
    Released,
}

/// A handle to the election. Dropping it gives leadership up without waiting for that to succeed.
pub struct Election {
    standing: watch::Receiver<Standing>,
    tenure: Tenure,
    release: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Election {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Election")
            .field("standing", &self.standing())
            .finish_non_exhaustive()
    }
}

impl Election {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Until when this process may write.
    #[must_use]
    pub fn tenure(&self) -> Tenure {
        self.tenure.clone()
    }

    /// Resolves when this process leads. Never, if it has led before.
    pub fn elected(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut standing = self.standing.clone();
        async move {
            if standing
                .wait_for(|standing| *standing == Standing::Leader)
                .await
                .is_err()
            {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves with the reason when leadership is lost; the process must end then. Never, if it is released.
    pub fn lost(&self) -> impl Future<Output = String> + Send + use<> {
        let mut standing = self.standing.clone();
        async move {
            let ended = standing
                .wait_for(|standing| matches!(standing, Standing::Lost(_) | Standing::Released))
                .await
                .map(|standing| standing.clone());
            match ended {
                Ok(Standing::Lost(reason)) => reason,
                Ok(_) => std::future::pending().await,
                Err(_) => "the election ended unexpectedly".to_owned(),
            }
        }
    }

    /// Gives leadership up, so that another replica need not wait for the Lease to run out. To be called after the workers ended.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task of the election ended abnormally");
        }
    }
}

/// Takes part in the election, with a client of its own: without retry, and with a timeout shorter than the Lease lasts, since an
/// answer that comes later is of no use.
///
/// # Errors
/// [`Error::Invalid`] if the times make no sense, [`Error::Unexpected`] if the configuration cannot be used.
pub fn campaign(
    config: Config,
    options: LeaseOptions,
    client_options: &ClientOptions,
    rest_client: &RestClientMetrics,
    metrics: &LeaseMetrics,
) -> Result<Election, Error> {
    let timeout = (options
        .renew_deadline
        .saturating_sub(options.renew_interval)
        / 2)
    .max(Duration::from_millis(500));
    let client_options = ClientOptions {
        connect_timeout: client_options.connect_timeout.min(timeout),
        ..client_options.clone()
    };
    let (config, measure) = prepare(config, &client_options, rest_client)?;
    let renewals = Renewals::new();
    let client = ClientBuilder::try_from(config)?
        .with_layer(&measure)
        .with_layer(&renewals.layer())
        .with_layer(&DeadlineLayer { timeout })
        .build();
    start(client, renewals, options, metrics)
}

fn start(
    client: Client,
    renewals: Renewals,
    options: LeaseOptions,
    metrics: &LeaseMetrics,
) -> Result<Election, Error> {
    let parameters = options.parameters()?;
    let (standing, receiver) = watch::channel(Standing::Candidate);
    let (release, released) = oneshot::channel();
    metrics.set(&options.name, false);
    let tenure = Tenure::new(
        receiver.clone(),
        renewals.0.subscribe(),
        options.renew_deadline,
    );
    let campaign = Campaign {
        client,
        options,
        parameters,
        renewed: renewals.0.subscribe(),
        standing,
        metrics: metrics.clone(),
    };
    Ok(Election {
        standing: receiver,
        tenure,
        release: Some(release),
        task: tokio::spawn(campaign.run(released)),
    })
}

struct Campaign {
    client: Client,
    options: LeaseOptions,
    parameters: LeaseParams,
    renewed: watch::Receiver<Instant>,
    standing: watch::Sender<Standing>,
    metrics: LeaseMetrics,
}

impl Campaign {
    async fn run(self, mut released: oneshot::Receiver<()>) {
        let mut manager: Option<LeaseManager> = None;
        let lost = tokio::select! {
            biased;
            // Also when the handle was dropped.
            _ = &mut released => None,
            reason = self.lead(&mut manager) => Some(reason),
        };
        self.metrics.set(&self.options.name, false);
        match lost {
            Some(reason) => {
                tracing::error!(lease = %self.options.name, reason, "leadership lost");
                self.standing.send_replace(Standing::Lost(reason));
            }
            None => {
                let leader = *self.standing.borrow() == Standing::Leader;
                if let (true, Some(manager)) = (leader, &manager)
                    && let Err(error) = manager.release().await
                {
                    tracing::warn!(
                        error = error_chain(&error),
                        "lease not released; it runs out by itself"
                    );
                }
                self.standing.send_replace(Standing::Released);
            }
        }
    }

    /// Runs for the Lease, and keeps it; returns why it was lost.
    async fn lead(&self, manager: &mut Option<LeaseManager>) -> String {
        self.win(manager).await;
        self.metrics.set(&self.options.name, true);
        self.standing.send_replace(Standing::Leader);
        tracing::info!(lease = %self.options.name, identity = %self.options.identity, "elected leader");
        let Some(manager) = manager else {
            return "no lease to keep".to_owned();
        };
        tokio::select! {
            biased;
            () = self.overdue() => format!("the lease was not renewed for {:?}", self.options.renew_deadline),
            () = self.deposed(manager) => "another identity holds the lease".to_owned(),
        }
    }

    async fn win(&self, manager: &mut Option<LeaseManager>) {
        loop {
            self.wait_until_free().await;
            let run = async {
                let made = manager.insert(self.manager().await?);
                made.changed().await
            };
            match tokio::time::timeout(self.options.duration, run).await {
                Ok(Ok(true)) => return,
                // Another candidate was faster.
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = error_chain(&error), "lease not acquired");
                    tokio::time::sleep(RETRY_PERIOD).await;
                }
            }
            // It would go on by the times in the Lease, and it creates a Lease only when it is made.
            *manager = None;
        }
    }

    /// Waits until nobody holds the Lease, and takes it from a holder that has not renewed it for its duration.
    async fn wait_until_free(&self) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.options.namespace);
        let changes = watch_object(leases.clone(), &self.options.name).default_backoff();
        let mut changes = pin!(changes);
        let mut seen: Option<(Option<LeaseSpec>, Instant)> = None;
        loop {
            match leases.get_opt(&self.options.name).await {
                Ok(None) => return,
                Ok(Some(lease)) if !is_held(&lease) => return,
                Ok(Some(lease)) => match &seen {
                    Some((spec, since)) if *spec == lease.spec => {
                        if since.elapsed() >= self.options.duration {
                            match self.free(&leases, &lease).await {
                                Ok(()) => return,
                                // It was renewed, or the API server fails: the next look tells.
                                Err(error) => {
                                    tracing::warn!(error = error_chain(&error), "lease not freed");
                                }
                            }
                        }
                    }
                    _ => seen = Some((lease.spec, Instant::now())),
                },
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "lease not acquired");
                }
            }
            let left = seen
                .as_ref()
                .map(|(_, since)| self.options.duration.saturating_sub(since.elapsed()));
            let wait = match left {
                Some(left) if !left.is_zero() => left.min(RETRY_PERIOD),
                _ => RETRY_PERIOD,
            };
            // A leader that gives the Lease back changes it. What a watch tells may be old, so that it only says when to look.
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Some(_) = changes.next() => {}
            }
        }
    }

    /// Gives the Lease back in the name of a holder that is gone, provided that it is still as it was seen.
    async fn free(&self, leases: &Api<Lease>, seen: &Lease) -> Result<(), kube::Error> {
        let patch = json!({
            "metadata": {"resourceVersion": seen.metadata.resource_version},
            "spec": {"holderIdentity": null, "leaseDurationSeconds": null, "acquireTime": null, "renewTime": null},
        });
        let parameters = PatchParams::default();
        leases
            .patch(&self.options.name, &parameters, &Patch::Merge(patch))
            .await
            .map(drop)
    }

    async fn manager(&self) -> Result<LeaseManager, LeaseManagerError> {
        LeaseManager::new(
            self.client.clone(),
            self.options.name.clone(),
            self.options.namespace.clone(),
            self.parameters.clone(),
            LeaseCreateMode::AutoCreate,
        )
        .await
    }

    /// Keeps the Lease; returns when another identity holds it.
    async fn deposed(&self, manager: &LeaseManager) {
        loop {
            match manager.changed().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "lease not renewed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Returns when no renewal succeeded for the deadline.
    async fn overdue(&self) {
        let mut renewed = self.renewed.clone();
        loop {
            let deadline = *renewed.borrow_and_update() + self.options.renew_deadline;
            tokio::select! {
                biased;
                Ok(()) = renewed.changed() => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }
}

fn is_held(lease: &Lease) -> bool {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_deref())
        .is_some_and(|holder| !holder.is_empty())
}

/// When the Lease was last written with success, as of the start of the request.
#[derive(Debug, Clone)]
struct Renewals(Arc<watch::Sender<Instant>>);

impl Renewals {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now())))
    }

    fn layer(&self) -> RenewalLayer {
        RenewalLayer(self.clone())
    }
}

#[derive(Debug, Clone)]
struct RenewalLayer(Renewals);

impl<S> Layer<S> for RenewalLayer {
    type Service = ObserveRenewals<S>;

    fn layer(&self, inner: S) -> ObserveRenewals<S> {
        ObserveRenewals {
            inner,
            renewals: self.0.clone(),
        }
    }
}

#[derive(Debug, Clone)]
struct ObserveRenewals<S> {
    inner: S,
    renewals: Renewals,
}

impl<S, B> Service<Request<Body>> for ObserveRenewals<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let write = request.method() == Method::PATCH;
        let renewals = self.renewals.clone();
        let started = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if write && response.status().is_success() {
                renewals.0.send_if_modified(|last| {
                    let later = started > *last;
                    *last = started.max(*last);
                    later
                });
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests;
