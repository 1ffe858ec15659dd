//! A proxy between the operator and the API server that is as unkind as a real network and a busy API server are.
//!
//! It speaks for the operator with the operator's own certificate, so that audit log and RBAC see the operator. What it can do:
//! stop the operator at its N-th write, refuse chosen requests, and cut watches. Without orders it passes everything on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running proxy. Dropping it ends it, and cuts every connection.
pub struct ApiProxy {
    address: SocketAddr,
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    client: Client,
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    hold: Option<HoldState>,
    refusals: Vec<Refusal>,
    /// Ends the watches that are open.
    watches: CancellationToken,
}

/// A write: what was asked, as `PATCH /apis/...`.
pub type ApiWrite = String;

/// Counts writes and stops at one of them.
struct HoldState {
    path: String,
    left: u32,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Counting,
    Reached(ApiWrite),
    /// The write is answered.
    Answered,
    Over,
}

impl Progress {
    fn is_end(&self) -> bool {
        matches!(self, Self::Answered | Self::Over)
    }
}

/// Which requests are refused, and how.
#[derive(Clone, Debug)]
pub struct Refusal {
    method: Option<Method>,
    path: String,
    watches_only: bool,
    times: u32,
    status: StatusCode,
    retry_after: Option<u32>,
}

impl Refusal {
    /// The next requests whose path and query contain this text are answered with a status, as the API server says it.
    pub fn new(path: &str, status: u16, times: u32) -> Result<Self> {
        Ok(Self {
            method: None,
            path: path.to_owned(),
            watches_only: false,
            times,
            status: StatusCode::from_u16(status)?,
            retry_after: None,
        })
    }

    /// Only requests of this method.
    #[must_use]
    pub fn of(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only watches. With status 410 they begin well and tell the status as their first event, as those of an API server do whose
    /// history does not reach back that far.
    #[must_use]
    pub fn of_watches(mut self) -> Self {
        self.watches_only = true;
        self
    }

    /// With a Retry-After header of so many seconds, as priority and fairness does with 429.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    fn picks(&self, request: &Asked) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| *method == request.method)
            && (!self.watches_only || request.is_watch())
            && request.target.contains(&self.path)
    }

    fn answer(&self) -> Response {
        let reason = match self.status {
            StatusCode::GONE => "Expired",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalError",
        };
        let mut body = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": self.status.as_u16(), "reason": reason,
            "message": "refused by the proxy of the test",
        });
        let mut status = self.status;
        if self.watches_only && status == StatusCode::GONE {
            body = json!({"type": "ERROR", "object": body});
            status = StatusCode::OK;
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        (status, headers, format!("{body}\n")).into_response()
    }
}

/// What is asked.
struct Asked {
    method: Method,
    /// Path and query.
    target: String,
}

impl Asked {
    fn is_watch(&self) -> bool {
        self.method == Method::GET && self.target.contains("watch=true")
    }

    /// Whether it changes something that outlives the operator: not its Lease, which it renews all the time, and not an event,
    /// which only tells.
    fn is_counted_write(&self) -> bool {
        self.method != Method::GET
            && !self.target.contains("/leases/")
            && !self.target.contains("/events")
    }
}

impl ApiProxy {
    /// Starts a proxy for the user of a kubeconfig, and writes a kubeconfig that leads to it beside that one.
    pub(crate) async fn start(mut config: kube::Config, kubeconfig: PathBuf) -> Result<Self> {
        // What the API server answers is for the operator to see, and to try again or not.
        config.default_retry = false;
        let shared = Arc::new(Shared {
            client: Client::try_from(config)?,
            orders: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        write_kubeconfig(&kubeconfig, address)?;
        let router = axum::Router::new()
            .fallback(pass_on)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It ends with its task; a listener that fails is seen by the operator that cannot connect.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            kubeconfig,
            shared,
            server,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig that leads to it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Stops the operator at its `nth` write from now on, of those whose path contains this text; the first is 1. That write takes
    /// effect and is not answered, and every later one waits before it has any effect, whatever its path, so that the cluster stays
    /// as it was after exactly so many writes. Leases and events are neither counted nor held.
    pub fn hold_write(&self, path: &str, nth: u32) -> ApiHold {
        let (progress, seen) = watch::channel(Progress::Counting);
        self.shared.orders().hold = Some(HoldState {
            path: path.to_owned(),
            left: nth,
            progress,
        });
        ApiHold {
            shared: Arc::clone(&self.shared),
            seen,
        }
    }

    /// Refuses requests, until as many were refused as it says.
    pub fn refuse(&self, refusal: Refusal) {
        self.shared.orders().refusals.push(refusal);
    }

    /// How many refusals are still to come.
    pub fn refusals_left(&self) -> u32 {
        self.shared
            .orders()
            .refusals
            .iter()
            .map(|refusal| refusal.times)
            .sum()
    }

    /// Refuses nothing from now on.
    pub fn relent(&self) {
        self.shared.orders().refusals.clear();
    }

    /// Cuts the watches that are open, in the middle of their answers.
    pub fn cut_watches(&self) {
        let mut orders = self.shared.orders();
        std::mem::take(&mut orders.watches).cancel();
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.cut_watches();
        self.server.abort();
    }
}

/// An operator that is to be stopped at a write.
#[must_use = "a hold that nobody ends stops the operator for good"]
pub struct ApiHold {
    shared: Arc<Shared>,
    seen: watch::Receiver<Progress>,
}

impl ApiHold {
    /// Waits until the write has taken effect; returns it. Fails when that does not happen in time.
    pub async fn reached(&mut self, within: Duration) -> Result<ApiWrite> {
        let reached = self
            .seen
            .wait_for(|progress| matches!(progress, Progress::Reached(_)));
        let progress = tokio::time::timeout(within, reached)
            .await
            .with_context(|| format!("no such write within {within:?}"))?
            .context("the hold is over")?;
        match &*progress {
            Progress::Reached(write) => Ok(write.clone()),
            Progress::Counting | Progress::Answered | Progress::Over => bail!("the hold is over"),
        }
    }

    /// Whether the write was reached.
    pub fn is_reached(&self) -> bool {
        matches!(*self.seen.borrow(), Progress::Reached(_))
    }

    /// Ends it. What waits is refused and never takes effect: for after the operator was killed.
    pub fn cut(self) {
        self.end(Progress::Over);
    }

    /// Ends it. The write is answered as the API server answered it; what else waits is refused and never takes effect: for an operator
    /// that was stopped meanwhile and goes on.
    pub fn release(self) {
        self.end(Progress::Answered);
    }

    fn end(self, end: Progress) {
        if let Some(hold) = self.shared.orders().hold.take() {
            // Nobody may be waiting.
            hold.progress.send_replace(end);
        }
    }
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an order says about a request.
    fn verdict(&self, asked: &Asked) -> Verdict {
        let mut orders = self.orders();
        if let Some(refusal) = orders
            .refusals
            .iter_mut()
            .find(|refusal| refusal.times > 0 && refusal.picks(asked))
        {
            refusal.times -= 1;
            return Verdict::Refuse(refusal.answer());
        }
        if asked.is_counted_write()
            && let Some(hold) = &mut orders.hold
        {
            if hold.left == 0 {
                return Verdict::Wait(hold.progress.subscribe());
            }
            if asked.target.contains(&hold.path) {
                hold.left -= 1;
                if hold.left == 0 {
                    return Verdict::Swallow(hold.progress.clone());
                }
            }
        }
        Verdict::Pass
    }
}

enum Verdict {
    /// As if there were no proxy.
    Pass,
    /// Answered here.
    Refuse(Response),
    /// Passed on, and its answer kept.
    Swallow(watch::Sender<Progress>),
    /// Waits for the end of the hold, and is refused then.
    Wait(watch::Receiver<Progress>),
}

async fn pass_on(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let asked = Asked {
        method: request.method().clone(),
        target: request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    match shared.verdict(&asked) {
        Verdict::Pass => forward(&shared, &asked, request).await,
        Verdict::Refuse(answer) => answer,
        Verdict::Swallow(progress) => {
            let answer = forward(&shared, &asked, request).await;
            let mut over = progress.subscribe();
            progress.send_replace(Progress::Reached(format!(
                "{} {} ({})",
                asked.method,
                asked.target,
                answer.status()
            )));
            drop(progress);
            match wait_until_over(&mut over).await {
                Progress::Answered => answer,
                _ => unavailable(),
            }
        }
        Verdict::Wait(mut over) => {
            wait_until_over(&mut over).await;
            unavailable()
        }
    }
}

async fn wait_until_over(over: &mut watch::Receiver<Progress>) -> Progress {
    // An error means that the hold was dropped, which is its end as well.
    over.wait_for(Progress::is_end)
        .await
        .map_or(Progress::Over, |end| end.clone())
}

async fn forward(shared: &Shared, asked: &Asked, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return unavailable();
    };
    // The client knows where the API server is and what the connection needs.
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::CONNECTION);
    let request = Request::from_parts(parts, kube::client::Body::from(Vec::from(body.to_bytes())));
    let watches = shared.orders().watches.clone();
    match shared.client.send(request).await {
        Ok(answer) => {
            let (mut parts, body) = answer.into_parts();
            parts.headers.remove(header::TRANSFER_ENCODING);
            parts.headers.remove(header::CONNECTION);
            let body = if asked.is_watch() {
                until_cut(body, watches)
            } else {
                Body::new(body)
            };
            Response::from_parts(parts, body)
        }
        // As a connection that breaks: the API server is not there.
        Err(_) => unavailable(),
    }
}

/// The body of a watch, which ends with an error when it is cut.
fn until_cut(body: kube::client::Body, cut: CancellationToken) -> Body {
    let frames = body
        .into_data_stream()
        .map(|frame| frame.map_err(|error| std::io::Error::other(error.to_string())));
    let rest = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    let was_cut = cut.clone();
    let cut_frames = frames
        .take_until(cut.cancelled_owned())
        .chain(rest.filter(move |_| std::future::ready(was_cut.is_cancelled())));
    Body::from_stream(cut_frames)
}

fn unavailable() -> Response {
    StatusCode::BAD_GATEWAY.into_response()
}

fn write_kubeconfig(path: &Path, address: SocketAddr) -> Result<()> {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    std::fs::write(path, kubeconfig.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}
