//! Objects of Kubernetes as they were after our last write.

use std::sync::Arc;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{Resource as _, ResourceExt as _};
use shopkeeper_kube::packed::PackedObject;
use shopkeeper_plan::resource::{ResourceKey, ResourceKind};

use super::Memory;

#[derive(Debug)]
pub(super) enum Written {
    Applied(Arc<PackedObject>),
    Deleted { uid: String },
}

impl Memory {
    /// Remembers an object as the API server answered an apply.
    pub fn applied(&self, uid: &str, key: &ResourceKey, object: PackedObject) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        let gone = remembered.gone.remove(key);
        if gone.is_none() || gone != object.uid() {
            remembered
                .objects
                .insert(key.clone(), Written::Applied(Arc::new(object)));
        }
    }

    /// Remembers that an object was deleted.
    pub fn deleted(&self, uid: &str, key: &ResourceKey, object_uid: &str) {
        self.lock()
            .entry(uid.to_owned())
            .or_default()
            .objects
            .insert(
                key.clone(),
                Written::Deleted {
                    uid: object_uid.to_owned(),
                },
            );
    }

    /// The newer of what the cache holds and what this process wrote. Forgets the write once the cache has caught up.
    pub fn newest(
        &self,
        uid: &str,
        key: &ResourceKey,
        cached: Option<Arc<PackedObject>>,
    ) -> Option<Arc<PackedObject>> {
        let mut all = self.lock();
        let Some(remembered) = all.get_mut(uid) else {
            return cached;
        };
        match remembered.objects.get(key) {
            None => cached,
            Some(Written::Applied(written)) => {
                if cached
                    .as_ref()
                    .is_some_and(|cached| !is_older(cached, written))
                {
                    remembered.objects.remove(key);
                    return cached;
                }
                // Not arrived yet. One that was deleted meanwhile is forgotten by the watch that sees it go.
                Some(Arc::clone(written))
            }
            Some(Written::Deleted { uid: deleted }) => match &cached {
                Some(object)
                    if object.uid().as_deref() == Some(deleted)
                        && object.meta().deletion_timestamp.is_none() =>
                {
                    // As the cache will have it.
                    outlives_its_pods(key).then(|| Arc::new(object.ending(Time(Timestamp::now()))))
                }
                _ => {
                    remembered.objects.remove(key);
                    cached
                }
            },
        }
    }

    /// Forgets what was written to an object, because its cache reported a deletion. That may be seen before the answer to the
    /// apply, which then is not remembered either: no watch would ever tell of it again.
    pub fn forget_object(&self, uid: &str, key: &ResourceKey, object_uid: Option<String>) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.objects.remove(key);
            if let Some(object_uid) = object_uid {
                remembered.gone.insert(key.clone(), object_uid);
            }
        }
    }
}

fn outlives_its_pods(key: &ResourceKey) -> bool {
    matches!(key.kind, ResourceKind::Kubernetes(kind) if kind.outlives_its_pods())
}

/// Whether `one` was read before `other` was written. Since Kubernetes 1.35 resource versions of one kind may be compared as
/// numbers; where one is no number, the cache counts as current.
fn is_older(one: &PackedObject, other: &PackedObject) -> bool {
    let number = |object: &PackedObject| {
        object
            .resource_version()
            .and_then(|version| version.parse::<u128>().ok())
    };
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::kubernetes::KubernetesKind;

    use super::*;

    fn object(uid: &str) -> PackedObject {
        let object = serde_json::json!({
            "metadata": {"name": "orders", "uid": uid, "resourceVersion": "7"},
        });
        PackedObject::of(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_deletion_that_is_seen_before_the_answer_to_the_apply_holds() {
        let memory = Memory::default();
        let key = ResourceKey::kubernetes(KubernetesKind::Service, "orders");
        memory.begin("shop");
        memory.forget_object("shop", &key, Some("first".into()));
        memory.applied("shop", &key, object("first"));
        assert_eq!(memory.newest("shop", &key, None), None);
        // The next one of that name is another one.
        memory.applied("shop", &key, object("second"));
        assert!(memory.newest("shop", &key, None).is_some());
    }

    #[test]
    fn a_deployment_that_was_deleted_is_there_until_its_cache_says_otherwise_and_anything_else_is_not()
     {
        let memory = Memory::default();
        for (kind, stays) in [
            (KubernetesKind::Service, false),
            (KubernetesKind::Deployment, true),
        ] {
            let key = ResourceKey::kubernetes(kind, "orders");
            memory.deleted("shop", &key, "first");
            let found = memory.newest("shop", &key, Some(Arc::new(object("first"))));
            assert_eq!(
                found.map(|object| object.meta().deletion_timestamp.is_some()),
                stays.then_some(true)
            );
            assert_eq!(memory.newest("shop", &key, None), None);
        }
    }
}
