//! Until when this process may write. See `docs/decisions/0017-the-lease-and-clocks.md`.
//!
//! A process that was stopped (a paused container, a machine that swaps, a debugger) goes on where it was, with plans from before. It
//! has lost the Lease by then and does not know it yet. So each write asks the clock first, on the last step of its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::Future;
use http::{Method, Request};
use kube::client::Body;
use tokio::{sync::watch, time::Instant};
use tower::{BoxError, Layer, Service};

use crate::lease::Standing;

/// The time for which this process may write: from its election until the Lease was not renewed for the deadline, by this machine's
/// monotonic clock. Others respect the Lease for longer, so that what is under way then has some seconds left.
#[derive(Debug, Clone)]
pub struct Tenure(Option<Term>);

#[derive(Debug, Clone)]
struct Term {
    standing: watch::Receiver<Standing>,
    renewed: watch::Receiver<Instant>,
    deadline: Duration,
}

impl Tenure {
    /// That of a process without rivals: it may always write.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self(None)
    }

    pub(crate) fn new(
        standing: watch::Receiver<Standing>,
        renewed: watch::Receiver<Instant>,
        deadline: Duration,
    ) -> Self {
        Self(Some(Term {
            standing,
            renewed,
            deadline,
        }))
    }

    /// Whether it lasts at this moment. It comes back only where the Lease is renewed after all: then nobody else has had it.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.0.as_ref().is_none_or(|term| {
            *term.standing.borrow() == Standing::Leader
                && term.renewed.borrow().elapsed() < term.deadline
        })
    }
}

/// A request was not sent: another replica may lead by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not written: the lease was not renewed in time, and another replica may lead")]
pub struct TenureIsOver;

/// Lets requests that change something through while a [`Tenure`] lasts, and reads always.
#[derive(Debug, Clone)]
pub(crate) struct TenureLayer(pub(crate) Tenure);

impl<S> Layer<S> for TenureLayer {
    type Service = WithinTenure<S>;

    fn layer(&self, inner: S) -> WithinTenure<S> {
        WithinTenure {
            inner,
            tenure: self.0.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct WithinTenure<S> {
    inner: S,
    tenure: Tenure,
}

impl<S> Service<Request<Body>> for WithinTenure<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.method() != Method::GET && !self.tenure.lasts() {
            return Box::pin(async { Err(TenureIsOver.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use http::Response;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn term() -> (watch::Sender<Standing>, watch::Sender<Instant>, Tenure) {
        let standing = watch::Sender::new(Standing::Candidate);
        let renewed = watch::Sender::new(Instant::now());
        let tenure = Tenure::new(standing.subscribe(), renewed.subscribe(), DEADLINE);
        (standing, renewed, tenure)
    }

    #[tokio::test(start_paused = true)]
    async fn it_lasts_from_the_election_until_the_lease_was_not_renewed_in_time() {
        let (standing, renewed, tenure) = term();
        assert!(!tenure.lasts(), "a candidate");
        standing.send_replace(Standing::Leader);
        assert!(tenure.lasts());
        tokio::time::advance(Duration::from_secs(8)).await;
        renewed.send_replace(Instant::now());
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(tenure.lasts(), "renewed meanwhile");
        // As after SIGCONT: time has passed, and nobody has looked at the Lease yet.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!tenure.lasts(), "not renewed in time");
        assert!(Tenure::unlimited().lasts());
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_leadership() {
        for end in [Standing::Lost("deposed".to_owned()), Standing::Released] {
            let (standing, _renewed, tenure) = term();
            standing.send_replace(Standing::Leader);
            assert!(tenure.lasts());
            standing.send_replace(end);
            assert!(!tenure.lasts());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn afterwards_requests_may_read_and_not_write() {
        let (standing, _renewed, tenure) = term();
        standing.send_replace(Standing::Leader);
        let sent = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&sent);
        let server = tower::service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        });
        let mut service = TenureLayer(tenure).layer(server);
        let request = |method: &Method| {
            Request::builder()
                .method(method)
                .uri("/api/v1/pods")
                .body(Body::empty())
                .unwrap()
        };
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for method in &writes {
            assert!(service.call(request(method)).await.is_ok(), "{method}");
        }
        tokio::time::advance(DEADLINE).await;
        for method in &writes {
            let error = service.call(request(method)).await.unwrap_err();
            assert!(error.is::<TenureIsOver>(), "{method}: {error}");
        }
        assert!(service.call(request(&Method::GET)).await.is_ok());
        assert_eq!(sent.load(Ordering::SeqCst), 5);
    }
}
