//! The work queues, one for each kind, so that many services cannot hold up a Platform.

use std::collections::BTreeMap;

use shopkeeper_kube::{
    metrics::QueueMetrics,
    queue::{Lane, Queue},
    store::ObjectKey,
};

use crate::key::Kind;

/// All queues. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queues(BTreeMap<Kind, Queue<ObjectKey>>);

impl Queues {
    /// Empty queues.
    pub fn new(metrics: &QueueMetrics) -> Self {
        Self(
            Kind::ALL
                .into_iter()
                .map(|kind| (kind, Queue::new(kind.controller(), metrics)))
                .collect(),
        )
    }

    /// The queue of a kind.
    pub fn of(&self, kind: Kind) -> Option<&Queue<ObjectKey>> {
        self.0.get(&kind)
    }

    /// Asks for a pass.
    pub fn add(&self, kind: Kind, key: ObjectKey, lane: Lane) {
        if let Some(queue) = self.0.get(&kind) {
            queue.add(key, lane);
        }
    }
}
