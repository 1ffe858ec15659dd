//! Moving the pods off the nodes of a group that is about to go, and letting them back.

use shopkeeper_api::CORDONED_FOR;
use shopkeeper_kube::apply::{Eviction, Writer};
use shopkeeper_plan::{
    failure::{Class, Failure},
    observed::NodeGroupNodes,
};

use super::failure_of;

/// Cordons the nodes of a group and evicts its pods, as far as disruption budgets allow now; the next pass goes on.
pub(super) async fn drain(
    writer: &Writer,
    owner: &str,
    group: &NodeGroupNodes,
) -> Result<(), Failure> {
    let mut failures = Failures::default();
    for node in group.nodes.iter().filter(|node| !node.unschedulable) {
        let cordoned = writer
            .cordon(&node.name, &node.resource_version, (CORDONED_FOR, owner))
            .await;
        failures.note(cordoned);
    }
    for pod in group.pods.iter().filter(|pod| !pod.is_ending) {
        let evicted = writer.evict(&pod.namespace, &pod.name, &pod.uid).await;
        // One pod after the other is how a disruption budget wants it: the next pass takes the next one.
        if let Some(Eviction::Blocked { .. }) = failures.note(evicted) {
            let (namespace, name) = (&pod.namespace, &pod.name);
            failures.0.push(Failure::new(
                Class::NotReady,
                format!("the disruption budget of pod {namespace}/{name} allows no eviction now"),
            ));
        }
    }
    failures.into_result()
}

/// Lets pods onto the nodes again that we cordoned.
pub(super) async fn uncordon(writer: &Writer, group: &NodeGroupNodes) -> Result<(), Failure> {
    let mut failures = Failures::default();
    for node in group.cordoned_by_us() {
        let uncordoned = writer
            .uncordon(&node.name, &node.resource_version, CORDONED_FOR)
            .await;
        failures.note(uncordoned);
    }
    failures.into_result()
}

/// What went wrong with some of many: one node that somebody else writes to just now, or one pod, holds up none of the others.
#[derive(Debug, Default)]
struct Failures(Vec<Failure>);

impl Failures {
    fn note<T>(&mut self, result: Result<T, shopkeeper_kube::Error>) -> Option<T> {
        result.map_err(|error| self.0.push(failure_of(&error))).ok()
    }

    /// The gravest of them: what a person has to mend is told before what passes by itself.
    fn into_result(self) -> Result<(), Failure> {
        let mut failures = self.0;
        failures.sort_by_key(|failure| !failure.class.needs_a_person());
        failures.into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::json;
    use shopkeeper_plan::observed::{ObservedNode, ObservedPod};

    use super::*;

    /// A writer to an API server that refuses what is written to one node and takes everything else, and what was written.
    fn writer(refused: &'static str) -> (Writer, Arc<Mutex<Vec<String>>>) {
        let written: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&written);
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let (status, answer) = if path.ends_with(refused) {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409});
                (409, status)
            } else {
                let evicted = path.ends_with("/eviction");
                log.lock().unwrap().push(path);
                let answer = if evicted {
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})
                } else {
                    json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node"}})
                };
                (200, answer)
            };
            async move {
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        });
        (Writer::new(Client::new(service, "default")), written)
    }

    fn group() -> NodeGroupNodes {
        NodeGroupNodes {
            nodes: ["one", "two", "three"]
                .map(|name| ObservedNode {
                    name: name.to_owned(),
                    ready: true,
                    unschedulable: false,
                    cordoned_by_us: true,
                    resource_version: "1".to_owned(),
                })
                .into(),
            pods: vec![ObservedPod {
                namespace: "shop".to_owned(),
                name: "orders-1".to_owned(),
                uid: "uid".to_owned(),
                is_ending: false,
            }],
        }
    }

    #[tokio::test]
    async fn a_node_that_somebody_else_writes_to_holds_up_none_of_the_others() {
        let (writer, written) = writer("/nodes/one");
        let failure = drain(&writer, "shop/orders", &group()).await.unwrap_err();
        assert_eq!(failure.class, Class::Conflict);
        assert_eq!(
            std::mem::take(&mut *written.lock().unwrap()),
            [
                "/api/v1/nodes/two",
                "/api/v1/nodes/three",
                "/api/v1/namespaces/shop/pods/orders-1/eviction",
            ]
        );
        let failure = uncordon(&writer, &group()).await.unwrap_err();
        assert_eq!(failure.class, Class::Conflict);
        assert_eq!(
            *written.lock().unwrap(),
            ["/api/v1/nodes/two", "/api/v1/nodes/three"]
        );
    }
}
