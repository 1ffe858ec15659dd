use std::sync::{
    Mutex,
    atomic::{AtomicU16, Ordering},
};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::*;
use crate::testing::{Answer, Received, failure, service};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/shopkeeper/leases";

/// An API server that knows one Lease, and fails with `failing` where that is not 0. Its watches tell of what is given back.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    failing: Arc<AtomicU16>,
    given_back: Arc<Notify>,
}

impl Server {
    fn answer(&self, request: &Received) -> Answer {
        assert!(request.path.starts_with(PATH), "{}", request.path);
        let failing = self.failing.load(Ordering::SeqCst);
        if failing != 0 {
            return failure(failing, "Scripted");
        }
        let mut lease = self.lease.lock().unwrap();
        match (request.method.as_str(), lease.as_mut()) {
            ("GET", lease) if request.path == PATH => {
                let items: Vec<&Value> = lease.as_deref().into_iter().collect();
                return Some((
                    200,
                    json!({
                        "apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList",
                        "metadata": {"resourceVersion": "1"}, "items": items,
                    }),
                ));
            }
            ("POST", None) => *lease = Some(request.body.clone()),
            ("GET", Some(_)) => {}
            ("PATCH", Some(lease)) => merge(lease, &request.body),
            _ => return failure(404, "NotFound"),
        }
        Some((200, lease.clone()?))
    }

    fn holder(&self) -> Option<String> {
        let lease = self.lease.lock().unwrap();
        lease
            .as_ref()?
            .pointer("/spec/holderIdentity")?
            .as_str()
            .map(str::to_owned)
    }

    fn give_back(&self) {
        let mut lease = self.lease.lock().unwrap();
        lease.as_mut().unwrap()["spec"] = json!({"leaseTransitions": 1});
        self.given_back.notify_waiters();
    }

    /// The answer to a watch, which ends with the first event.
    async fn watch(&self) -> Response<Body> {
        self.given_back.notified().await;
        let object = self.lease.lock().unwrap().clone();
        let event = json!({"type": "MODIFIED", "object": object}).to_string();
        Response::new(Body::from(format!("{event}\n").into_bytes()))
    }

    fn set_holder(&self, holder: &str, renewed: &str) {
        *self.lease.lock().unwrap() = Some(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": "shopkeeper", "name": "shopkeeper"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed, "acquireTime": renewed, "leaseTransitions": 1},
        }));
    }
}

fn merge(target: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        match value {
            Value::Null => {
                target.as_object_mut().unwrap().remove(name);
            }
            Value::Object(_) => {
                if !target[name].is_object() {
                    target[name] = json!({});
                }
                merge(&mut target[name], value);
            }
            _ => target[name] = value.clone(),
        }
    }
}

fn campaign(server: &Server) -> (Election, LeaseMetrics) {
    let (looks, watches) = (server.clone(), server.clone());
    let (answers, _) = service(move |request| looks.answer(request));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (watches, answers) = (watches.clone(), answers.clone());
        async move {
            match request.uri().query() {
                Some(query) if query.contains("watch=true") => Ok(watches.watch().await),
                _ => answers.oneshot(request).await,
            }
        }
    });
    let renewals = Renewals::new();
    let client = Client::new(renewals.layer().layer(service), "shopkeeper");
    let metrics = LeaseMetrics::default();
    let election = start(
        client,
        renewals,
        LeaseOptions::new("shopkeeper", "shopkeeper", "pod-1"),
        &metrics,
    )
    .unwrap();
    (election, metrics)
}

fn status(metrics: &LeaseMetrics) -> i64 {
    metrics
        .status
        .get_or_create(&crate::metrics::LeaseLabels {
            name: "shopkeeper".into(),
        })
        .get()
}

#[tokio::test(start_paused = true)]
async fn a_lone_candidate_leads_and_hands_the_lease_back() {
    let server = Server::default();
    let (election, metrics) = campaign(&server);
    assert_ne!(election.standing(), Standing::Leader);
    election.elected().await;
    assert!(
        server
            .holder()
            .is_some_and(|holder| holder.starts_with("pod-1_")),
        "{:?}",
        server.holder()
    );
    assert_eq!(status(&metrics), 1);
    election.release().await;
    assert_eq!(server.holder(), None);
    assert_eq!(status(&metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_is_taken_over() {
    let server = Server::default();
    server.set_holder("pod-0", "2026-01-01T00:00:00.000000Z");
    let (election, _) = campaign(&server);
    election.elected().await;
    assert!(
        server
            .holder()
            .is_some_and(|holder| holder.starts_with("pod-1_"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_at_once() {
    let server = Server::default();
    server.set_holder("pod-0", &jiff::Timestamp::now().to_string());
    let (election, _) = campaign(&server);
    // Not when it looks anyway.
    tokio::time::sleep(RETRY_PERIOD / 4).await;
    assert_eq!(election.standing(), Standing::Candidate);
    let given_back = Instant::now();
    server.give_back();
    election.elected().await;
    let waited = given_back.elapsed();
    assert!(waited < RETRY_PERIOD / 4, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_dead_holder_does_not_matter() {
    let server = Server::default();
    server.set_holder("pod-0", "2101-01-01T00:00:00.000000Z");
    let started = Instant::now();
    let (election, _) = campaign(&server);
    election.elected().await;
    assert!(started.elapsed() >= Duration::from_secs(15));
    assert!(
        started.elapsed() < Duration::from_secs(16),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_not_taken_from_a_holder_whose_clock_is_behind() {
    let server = Server::default();
    server.set_holder("pod-0", "2001-01-01T00:00:00.000000Z");
    let (election, _) = campaign(&server);
    for renewal in 1..20 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(server.holder().as_deref(), Some("pod-0"));
        server.set_holder("pod-0", &format!("2001-01-01T00:00:{renewal:02}.000000Z"));
    }
    assert_ne!(election.standing(), Standing::Leader);
    election.elected().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_steps_down_before_the_lease_runs_out() {
    let server = Server::default();
    let (election, metrics) = campaign(&server);
    election.elected().await;
    let lost = election.lost();
    server.failing.store(503, Ordering::SeqCst);
    let cut_off = Instant::now();
    let reason = lost.await;
    assert!(reason.contains("not renewed"), "{reason}");
    assert!(
        cut_off.elapsed() <= Duration::from_secs(10),
        "{:?}",
        cut_off.elapsed()
    );
    assert_ne!(election.standing(), Standing::Leader);
    assert_eq!(status(&metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_may_not_write_when_it_goes_on() {
    let server = Server::default();
    let (election, _) = campaign(&server);
    let tenure = election.tenure();
    assert!(!tenure.lasts(), "before the election");
    election.elected().await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(tenure.lasts(), "a leader that renews");
    }
    server.failing.store(500, Ordering::SeqCst);
    // The clock goes on and nothing else of this process does: it yields only once the clock has moved.
    let advance = std::pin::pin!(tokio::time::advance(Duration::from_secs(16)));
    assert!(futures::poll!(advance).is_pending());
    assert_eq!(election.standing(), Standing::Leader, "nobody has told it");
    assert!(!tenure.lasts());
    election.lost().await;
    assert!(!tenure.lasts());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_deposed_steps_down() {
    let server = Server::default();
    let (election, _) = campaign(&server);
    election.elected().await;
    let lost = election.lost();
    server.set_holder("pod-2", &jiff::Timestamp::now().to_string());
    let reason = lost.await;
    assert!(reason.contains("another identity"), "{reason}");
    assert_eq!(server.holder().as_deref(), Some("pod-2"));
    assert!(matches!(election.standing(), Standing::Lost(_)));
    election.release().await;
    assert_eq!(
        server.holder().as_deref(),
        Some("pod-2"),
        "what is not ours is not released"
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_outlives_an_api_server_that_fails_at_first() {
    let server = Server::default();
    server.failing.store(500, Ordering::SeqCst);
    let (election, _) = campaign(&server);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(election.standing(), Standing::Candidate);
    server.failing.store(0, Ordering::SeqCst);
    election.elected().await;
}

#[test]
fn times_that_make_no_sense_are_refused() {
    let mut options = LeaseOptions::new("shopkeeper", "shopkeeper", "pod");
    assert!(options.parameters().is_ok());
    options.renew_deadline = options.duration;
    assert!(options.parameters().is_err());
    options.renew_deadline = Duration::from_secs(4);
    assert!(
        options.parameters().is_err(),
        "a deadline before the first renewal"
    );
    options.duration = Duration::ZERO;
    assert!(options.parameters().is_err());
}
