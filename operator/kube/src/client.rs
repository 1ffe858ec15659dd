//! Clients of the API server: measured, with bounded requests and a retry of their own.
//!
//! kube's default retry may go on for minutes inside of one call. A pass that hangs that long holds a worker and hides what is wrong;
//! the work queue's backoff does the same job in the open.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Future;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, buffer::BufferLayer, retry};

use crate::{
    Error,
    metrics::RestClientMetrics,
    tenure::{Tenure, TenureLayer},
};

/// How requests are bounded and retried.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The version in the user agent `shopkeeper/<version>`.
    pub version: String,
    /// The longest a request may take, retries and the reading of its answer included. Watches are exempt once they began.
    pub request_timeout: Duration,
    /// The longest to wait for a connection.
    pub connect_timeout: Duration,
    /// How often a request is repeated.
    pub retries: u32,
}

impl ClientOptions {
    /// 30 seconds for a request, 5 for a connection, 4 retries.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retries: 4,
        }
    }
}

/// Builds a client for everything but leader election. It reads always, and writes while the tenure lasts.
///
/// # Errors
/// [`Error::Unexpected`] if the configuration (certificates, credentials, proxy) cannot be used.
pub fn build(
    config: Config,
    options: &ClientOptions,
    metrics: &RestClientMetrics,
    tenure: Tenure,
) -> Result<Client, Error> {
    let (config, measure) = prepare(config, options, metrics)?;
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&measure)
        // Below the retry: what is sent again is as late as what is sent first.
        .with_layer(&TenureLayer(tenure))
        // Retrying needs a service that can be cloned, which kube's is not.
        .with_layer(&BufferLayer::new(1024))
        .with_layer(&retry::RetryLayer::new(Retry::new(options.retries)))
        .with_layer(&DeadlineLayer {
            timeout: options.request_timeout,
        })
        .build())
}

/// Prepares what [`build`] and the client of leader election share: timeouts of the connection, user agent, no retry by kube, and
/// the layer that measures.
pub(crate) fn prepare(
    mut config: Config,
    options: &ClientOptions,
    metrics: &RestClientMetrics,
) -> Result<(Config, MeasureLayer), Error> {
    config.default_retry = false;
    config.connect_timeout = Some(options.connect_timeout);
    let agent = HeaderValue::from_str(&format!("shopkeeper/{}", options.version))
        .map_err(|error| Error::Unexpected(format!("user agent: {error}")))?;
    config.headers.push((header::USER_AGENT, agent));
    let host: Arc<str> = config
        .cluster_url
        .authority()
        .map_or("", |authority| authority.as_str())
        .into();
    Ok((
        config,
        MeasureLayer {
            metrics: metrics.clone(),
            host,
        },
    ))
}

/// Counts and times each attempt.
#[derive(Debug, Clone)]
pub(crate) struct MeasureLayer {
    metrics: RestClientMetrics,
    host: Arc<str>,
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measure<S>;

    fn layer(&self, inner: S) -> Measure<S> {
        Measure {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Measure<S> {
    inner: S,
    layer: MeasureLayer,
}

type ServiceFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, B> Service<Request<Body>> for Measure<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ServiceFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let layer = self.layer.clone();
        let method = request.method().clone();
        let started = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let result = answer.await;
            let code = result
                .as_ref()
                .ok()
                .map(|response| response.status().as_u16());
            layer
                .metrics
                .observe(code, method.as_str(), &layer.host, started.elapsed());
            result
        })
    }
}

/// Repeats a request the API server did not take: 429 always; 500, 503 and 504 if it says when to come back, as client-go does, or if
/// the request only reads.
///
/// A failed connection is not repeated: whether a write got through is then unknown, and the next pass finds out by observing.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    left: u32,
    next: Duration,
}

const RETRY_INITIAL: Duration = Duration::from_millis(100);
const RETRY_MAXIMUM: Duration = Duration::from_secs(5);

impl Retry {
    pub(crate) fn new(retries: u32) -> Self {
        Self {
            left: retries,
            next: RETRY_INITIAL,
        }
    }

    fn delay<B>(&mut self, request: &Request<Body>, response: &Response<B>) -> Option<Duration> {
        // To an eviction 429 is the answer of a PodDisruptionBudget, which the caller wants to know now.
        if request.method() == Method::POST && request.uri().path().ends_with("/eviction") {
            return None;
        }
        let asked = retry_after(response);
        let retried = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => asked.is_some() || request.method() == Method::GET,
            _ => false,
        };
        if !retried || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let backoff = self.next.mul_f64(0.75 + 0.5 * rand::random::<f64>());
        self.next = (self.next * 2).min(RETRY_MAXIMUM);
        Some(asked.unwrap_or_default().max(backoff))
    }
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

impl<B> retry::Policy<Request<Body>, Response<B>, BoxError> for Retry {
    type Future = tokio::time::Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Self::Future> {
        let response = result.as_ref().ok()?;
        self.delay(request, response).map(tokio::time::sleep)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let body = request.body().try_clone()?;
        let mut clone = Request::new(body);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.version_mut() = request.version();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

/// Bounds a request, the reading of its answer included. Of a stream (watch, log) it bounds the wait for the beginning only.
#[derive(Debug, Clone)]
pub(crate) struct DeadlineLayer {
    pub(crate) timeout: Duration,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline {
            inner,
            timeout: self.timeout,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Deadline<S> {
    inner: S,
    timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer from the API server within {0:?}")]
struct TimedOut(Duration);

impl<S, B> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: BodyExt + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Either<Body, B>>;
    type Error = BoxError;
    type Future = ServiceFuture<Self::Response, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let stream = is_stream(&request);
        let timeout = self.timeout;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answered = async move {
                let response = answer.await.map_err(Into::into)?;
                // 101: the connection itself is the answer.
                if stream || response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok(response.map(Either::Right));
                }
                let (parts, body) = response.into_parts();
                let body = body.collect().await.map_err(Into::into)?.to_bytes();
                Ok(Response::from_parts(parts, Either::Left(Body::from(body))))
            };
            match tokio::time::timeout(timeout, answered).await {
                Ok(result) => result,
                Err(_) => Err(TimedOut(timeout).into()),
            }
        })
    }
}

fn is_stream(request: &Request<Body>) -> bool {
    let flagged = |name: &str| {
        request.uri().query().is_some_and(|query| {
            query.split('&').any(|pair| {
                pair.strip_prefix(name)
                    .is_some_and(|value| value == "=true" || value == "=1")
            })
        })
    };
    flagged("watch") || flagged("follow")
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use tower::{ServiceBuilder, ServiceExt};

    use super::*;

    fn request(method: &Method, uri: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap()
    }

    fn answer(code: u16, retry_after: Option<&str>) -> Response<Body> {
        let mut response = Response::builder().status(code);
        if let Some(after) = retry_after {
            response = response.header(header::RETRY_AFTER, after);
        }
        response.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_requests_that_were_not_taken_are_repeated() {
        let pods = "/api/v1/namespaces/shop/pods";
        for (method, uri, code, after, repeated) in [
            (Method::GET, pods, 429, None, true),
            (Method::PATCH, pods, 429, None, true),
            (
                Method::POST,
                "/api/v1/namespaces/shop/pods/p/eviction",
                429,
                Some("10"),
                false,
            ),
            (Method::GET, pods, 503, None, true),
            (Method::POST, pods, 503, None, false),
            (Method::POST, pods, 503, Some("1"), true),
            (Method::GET, pods, 404, None, false),
            (Method::PATCH, pods, 409, None, false),
            (Method::PATCH, pods, 200, None, false),
        ] {
            let delay = Retry::new(1).delay(&request(&method, uri), &answer(code, after));
            assert_eq!(delay.is_some(), repeated, "{method} {uri} {code} {after:?}");
        }
    }

    #[test]
    fn retries_end_and_wait_as_long_as_asked() {
        let mut retry = Retry::new(2);
        let get = request(&Method::GET, "/api/v1/pods");
        assert_eq!(
            retry.delay(&get, &answer(429, Some("7"))),
            Some(Duration::from_secs(7))
        );
        assert!(
            retry
                .delay(&get, &answer(429, None))
                .is_some_and(|delay| delay < Duration::from_secs(1))
        );
        assert_eq!(retry.delay(&get, &answer(429, None)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_layers_together_repeat_count_and_keep_the_answer() {
        let mut registry = prometheus_client::registry::Registry::default();
        let metrics = crate::metrics::Metrics::register(&mut registry).rest_client;
        let attempts = Arc::new(AtomicU32::new(0));
        let server = tower::service_fn({
            let attempts = Arc::clone(&attempts);
            move |_: Request<Body>| {
                let first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
                let response = if first {
                    answer(429, Some("1"))
                } else {
                    Response::new(Body::from(b"{}".to_vec()))
                };
                async move { Ok::<_, Infallible>(response) }
            }
        });
        let service = ServiceBuilder::new()
            .layer(DeadlineLayer {
                timeout: Duration::from_secs(30),
            })
            .layer(retry::RetryLayer::new(Retry::new(3)))
            .layer(BufferLayer::new(8))
            .layer(MeasureLayer {
                metrics,
                host: "cluster".into(),
            })
            .service(server.map_err(BoxError::from));
        let response = service
            .oneshot(request(&Method::GET, "/api/v1/pods"))
            .await
            .unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], b"{}");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for code in ["429", "200"] {
            let line = format!(
                r#"rest_client_requests_total{{code="{code}",method="GET",host="cluster"}} 1"#
            );
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_given_up_on() {
        let server = tower::service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let service = DeadlineLayer {
            timeout: Duration::from_secs(3),
        }
        .layer(server);
        let error = service
            .oneshot(request(&Method::GET, "/api/v1/pods?watch=true"))
            .await
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("3s"), "{error}");
    }

    #[test]
    fn watches_are_told_from_lists() {
        assert!(is_stream(&request(
            &Method::GET,
            "/api/v1/pods?allowWatchBookmarks=true&watch=true"
        )));
        assert!(is_stream(&request(
            &Method::GET,
            "/api/v1/namespaces/a/pods/b/log?follow=true"
        )));
        assert!(!is_stream(&request(&Method::GET, "/api/v1/pods?limit=500")));
        assert!(!is_stream(&request(
            &Method::GET,
            "/api/v1/pods?allowWatchBookmarks=true"
        )));
    }
}
