//! Running the operator: definitions first, then caches, then leadership, then work.

use std::{future::Future, sync::Arc};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use shopkeeper_api::{CatalogService, OrderService, Storefront};
use shopkeeper_kube::{
    apply::Writer,
    client::{self, ClientOptions},
    controller::{Drained, Outcome, Pass, WorkerOptions, run_workers},
    events::Recorder,
    lease::{self, Election, LeaseOptions},
    metrics::Metrics,
    store::ObjectKey,
    tenure::Tenure,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    cli::RunOptions,
    definitions,
    key::Kind,
    memory::Memory,
    metrics::ShopMetrics,
    pass::{World, platform, service},
    queues::Queues,
    resource_metrics::ResourceMetrics,
    server::{self, Health},
    stores::Stores,
};

/// Name of the Lease.
const LEASE: &str = "shopkeeper";

/// Runs until a signal, or until leadership is lost.
///
/// # Errors
/// The API server cannot be reached at the start, an address cannot be bound, or leadership was lost: the process has to end
/// then, because another one works by now.
pub async fn run(options: RunOptions) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let shop_metrics = ShopMetrics::register(&mut registry);
    let resource_metrics = ResourceMetrics::default();
    registry.register_collector(Box::new(resource_metrics.clone()));
    let health = Health::new(registry);
    let shutdown = CancellationToken::new();
    // Passes that are under way when the end is asked for go by the caches until they are done: a watch that ended before would say
    // that the cluster has not what it has.
    let watches = CancellationToken::new();
    let _end_of_watches = watches.clone().drop_guard();

    let listener = TcpListener::bind(options.metrics_address)
        .await
        .with_context(|| format!("binding {}", options.metrics_address))?;
    let address = listener.local_addr()?;
    if let Some(file) = &options.metrics_address_file {
        tokio::fs::write(file, address.to_string())
            .await
            .with_context(|| format!("writing {}", file.display()))?;
    }
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving metrics");
    // Served to the very end: what happens while passes drain is worth seeing, too.
    let server = tokio::spawn(server::serve(
        listener,
        health.clone(),
        CancellationToken::new(),
    ));

    let config = kube::Config::infer()
        .await
        .context("finding the Kubernetes API server")?;
    let client_options = ClientOptions::new(env!("CARGO_PKG_VERSION"));
    // Reads until there is a leader, and needs no tenure for that.
    let reader = client::build(
        config.clone(),
        &client_options,
        &metrics.rest_client,
        Tenure::unlimited(),
    )?;

    // Before the first request that may hang: a signal must end the process at any time.
    let signals = signals(shutdown.clone())?;
    let current = definitions::start(&reader, &health, &shop_metrics, &metrics.watch, &shutdown)?;
    // A replica that could only do harm does not stand for election, so that an older one goes on in a rolling update.
    if shutdown
        .run_until_cancelled(definitions::wait_until_current(current))
        .await
        .is_none()
    {
        return Ok(());
    }
    let queues = Queues::new(&metrics.queue);
    let memory: Arc<Memory> = Arc::default();
    let stores = Stores::start(&reader, &queues, &memory, &metrics.watch, &watches);
    if shutdown
        .run_until_cancelled(stores.wait_until_ready(|kind| health.set_waiting_for(kind)))
        .await
        .is_none()
    {
        return Ok(());
    }
    health.set_ready();
    tracing::info!("caches are filled");

    let election = match options.leader_election {
        true => {
            let lease_options =
                LeaseOptions::new(options.namespace.clone(), LEASE, &options.pod_name);
            Some(lease::campaign(
                config.clone(),
                lease_options,
                &client_options,
                &metrics.rest_client,
                &metrics.lease,
            )?)
        }
        false => None,
    };
    if let Some(election) = &election
        && shutdown
            .run_until_cancelled(election.elected())
            .await
            .is_none()
    {
        return Ok(());
    }
    tracing::info!("leading");
    let tenure = election
        .as_ref()
        .map_or_else(Tenure::unlimited, Election::tenure);
    let client = client::build(
        config,
        &client_options,
        &metrics.rest_client,
        tenure.clone(),
    )?;
    resource_metrics.tell_of(Arc::clone(&stores));

    let world = Arc::new(World {
        writer: Writer::new(client.clone()),
        recorder: Recorder::new(
            client.clone(),
            "shopkeeper.dev/shopkeeper",
            options.pod_name.clone(),
        ),
        accounts: Accounts::new(shop_metrics.clone(), tenure, options.lags()),
        metrics: shop_metrics,
        client,
        stores,
        queues,
        memory,
    });
    let result = work(&world, &options, &metrics, election, &shutdown).await;
    watches.cancel();
    signals.abort();
    server.abort();
    result
}

/// Runs the workers of all kinds until the shutdown or the loss of leadership.
async fn work(
    world: &Arc<World>,
    options: &RunOptions,
    metrics: &Metrics,
    election: Option<Election>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut workers = JoinSet::new();
    start(
        &mut workers,
        world,
        Kind::Platform,
        options,
        metrics,
        shutdown,
        platform::run,
    );
    start(
        &mut workers,
        world,
        Kind::Storefront,
        options,
        metrics,
        shutdown,
        service::run::<Storefront>,
    );
    start(
        &mut workers,
        world,
        Kind::CatalogService,
        options,
        metrics,
        shutdown,
        service::run::<CatalogService>,
    );
    start(
        &mut workers,
        world,
        Kind::OrderService,
        options,
        metrics,
        shutdown,
        service::run::<OrderService>,
    );

    let lost = async {
        match &election {
            Some(election) => election.lost().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        Some(ended) = workers.join_next() => {
            // Its kind would not be looked at any more, while the Lease is kept from others: the kubelet starts the process anew.
            anyhow::bail!("a worker ended by itself: {ended:?}");
        }
        reason = lost => {
            // At once, and without grace: whoever leads now may be changing the same things.
            anyhow::bail!("leadership lost: {reason}");
        }
    }
    tracing::info!("shutting down: running passes may finish");
    let mut aborted = 0;
    while let Some(ended) = workers.join_next().await {
        aborted += ended.map_or(0, |drained: Drained| drained.aborted);
    }
    // Only now: nobody else may start before the last pass has ended.
    if let Some(election) = election {
        election.release().await;
    }
    tracing::info!(aborted, "ended");
    Ok(())
}

fn start<H, F>(
    workers: &mut JoinSet<Drained>,
    world: &Arc<World>,
    kind: Kind,
    options: &RunOptions,
    metrics: &Metrics,
    shutdown: &CancellationToken,
    handler: H,
) where
    H: Fn(Arc<World>, Pass<ObjectKey>) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let Some(queue) = world.queues.of(kind).cloned() else {
        return;
    };
    let world = Arc::clone(world);
    let metrics = metrics.controller.clone();
    let shutdown = shutdown.clone();
    let options = WorkerOptions::new(kind.controller(), usize::from(options.concurrency));
    workers.spawn(async move {
        run_workers(
            queue,
            options,
            &metrics,
            move |pass| handler(Arc::clone(&world), pass),
            shutdown,
        )
        .await
    });
}

/// The first signal asks for an orderly end, the second ends at once.
fn signals(shutdown: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        for code in [0, 130] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if code == 0 {
                shutdown.cancel();
            } else {
                std::process::exit(code);
            }
        }
    }))
}
