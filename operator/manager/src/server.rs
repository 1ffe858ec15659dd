//! `/metrics`, `/healthz` and `/readyz`.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the server tells of.
#[derive(Clone, Debug)]
pub struct Health {
    registry: Arc<Registry>,
    ready: Arc<AtomicBool>,
    problem: Arc<Mutex<Option<String>>>,
    waiting_for: Arc<Mutex<&'static str>>,
}

impl Health {
    /// Not ready yet.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry: Arc::new(registry),
            ready: Arc::default(),
            problem: Arc::default(),
            waiting_for: Arc::default(),
        }
    }

    /// The caches are filled: this replica could lead.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// The kind whose objects have to be listed before this replica is ready.
    pub fn set_waiting_for(&self, kind: &'static str) {
        *self
            .waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = kind;
    }

    fn waiting_for(&self) -> &'static str {
        *self
            .waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Something keeps this replica from working as it should, whatever else is ready; `None` takes it back.
    pub fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Serves until the shutdown.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .with_state(health);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &health.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            error.to_string(),
        ),
    }
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    if let Some(problem) = health.problem() {
        (StatusCode::SERVICE_UNAVAILABLE, problem)
    } else if health.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            match health.waiting_for() {
                "" => "starting".to_owned(),
                kind => format!("caches are being filled: {kind} is not listed yet"),
            },
        )
    }
}
