//! An API server for unit tests: a function from request to answer, and the requests it got.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::util::BoxCloneService;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

/// What the server answers; `None` never comes.
pub(crate) type Answer = Option<(u16, Value)>;

#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Vec<Received>>>);

impl Requests {
    /// All so far, and none of them again.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Methods and paths of all so far.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take()
            .iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

/// The service behind such a client.
pub(crate) type Service = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

/// The service itself, for tests that put layers around it.
pub(crate) fn service(
    answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
) -> (Service, Requests) {
    let requests = Requests::default();
    let log = requests.clone();
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, answer) = (log.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let content_type = parts.headers.get(http::header::CONTENT_TYPE);
            let received = Received {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: content_type
                    .map(|value| value.to_str().unwrap().to_owned())
                    .unwrap_or_default(),
                body: serde_json::from_slice(&bytes).unwrap_or_default(),
            };
            let answered = answer(&received);
            log.0.lock().unwrap().push(received);
            let Some((code, body)) = answered else {
                return std::future::pending().await;
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok(Response::builder().status(code).body(body).unwrap())
        }
    });
    (BoxCloneService::new(service), requests)
}

/// A client of such a server.
pub(crate) fn client(
    answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
) -> (Client, Requests) {
    let (service, requests) = service(answer);
    (Client::new(service, "default"), requests)
}

/// The answer to a path that does not exist: plain text, no `Status`.
pub(crate) fn no_such_path() -> Answer {
    Some((404, json!("404 page not found")))
}

/// The answer to a request that failed.
pub(crate) fn failure(code: u16, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("scripted {reason}"), "reason": reason, "code": code,
    });
    Some((code, status))
}
