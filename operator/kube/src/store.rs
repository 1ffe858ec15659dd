//! What a watch has seen: the objects of one kind, readable from everywhere, and the changes between two states of it.
//!
//! kube's own reflector store is not used for three reasons. It says nothing about objects that vanished while the watch was
//! down, since the watcher sends no delete for them: here each new listing is compared with what was there. It has no
//! indexes. And it cannot tell an object that does not exist from one that could not be read.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use kube::{Resource, ResourceExt, core::ObjectMeta};
use tokio::sync::watch;

use crate::queue::Lane;

mod writer;

pub(crate) use writer::{Observed, Received, StoreWriter, Unreadable, unguard};

/// Namespace and name of an object. Cluster-scoped objects have no namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace, if the object has one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object in a namespace.
    #[must_use]
    pub fn namespaced(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// The key of a cluster-scoped object.
    #[must_use]
    pub fn cluster(name: impl Into<String>) -> Self {
        Self {
            namespace: None,
            name: name.into(),
        }
    }

    /// The key of this object.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::of_meta(object.meta())
    }

    fn of_meta(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}

/// One object as it was before and as it is after.
#[derive(Debug, Clone)]
pub struct Change<K> {
    /// Which object.
    pub key: ObjectKey,
    /// The object as the store held it, `None` if it is new.
    pub before: Option<Arc<K>>,
    /// The object as it is, `None` if it was deleted.
    pub after: Option<Arc<K>>,
    /// Whether this was found by listing everything anew (at the start, or after the watch was interrupted) rather than told.
    pub relisted: bool,
}

impl<K: Resource> Change<K> {
    /// The object, as it is or, if deleted, as it last was.
    #[must_use]
    pub fn object(&self) -> Option<&Arc<K>> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Both states: a mapper that derives keys from the object must use both, or the owner it used to belong to is not told.
    pub fn states(&self) -> impl Iterator<Item = &Arc<K>> {
        self.before.iter().chain(self.after.iter())
    }

    /// Whether the object is gone.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.after.is_none()
    }

    /// The lane this change deserves: the listing at the start names every object there is, and edits must not wait for that.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.relisted && self.before.is_none() {
            Lane::Resync
        } else {
            Lane::Edit
        }
    }

    /// Whether anything but the status changed. Our own status writes come back as changes; a pass for each would never end.
    ///
    /// Sees the generation (spec and the start of a deletion), labels, annotations, finalizers, and that it is another object
    /// of the same name.
    #[must_use]
    pub fn is_intent(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return true;
        };
        let (before, after) = (before.meta(), after.meta());
        before.generation.is_none()
            || before.generation != after.generation
            || before.uid != after.uid
            || before.deletion_timestamp != after.deletion_timestamp
            || before.labels != after.labels
            || before.annotations != after.annotations
            || before.finalizers != after.finalizers
    }
}

/// How far a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing was listed yet.
    Pending,
    /// The kind is optional and the API server does not serve it; the store is empty for good reason.
    NotServed,
    /// The kind is optional, and the API server does not let us list it; nobody knows what there is.
    Refused,
    /// The store holds what the API server listed.
    Ready,
    /// The watch ended with the process.
    Stopped,
}

type IndexFunction<K> = Arc<dyn Fn(&K) -> Vec<String> + Send + Sync>;

struct Contents<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    invalid: BTreeMap<ObjectKey, String>,
    indexes: HashMap<&'static str, HashMap<String, BTreeSet<ObjectKey>>>,
}

struct Inner<K> {
    contents: RwLock<Contents<K>>,
    index_by: Vec<(&'static str, IndexFunction<K>)>,
}

impl<K> Inner<K> {
    fn read(&self) -> RwLockReadGuard<'_, Contents<K>> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A readable cache of the objects of one kind. It lags behind the API server: read live before what cannot be undone.
pub struct Store<K> {
    inner: Arc<Inner<K>>,
    readiness: watch::Receiver<Readiness>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            readiness: self.readiness.clone(),
        }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Store")
            .field("readiness", &*self.readiness.borrow())
            .field("objects", &self.inner.read().objects.len())
            .finish_non_exhaustive()
    }
}

impl<K> Store<K> {
    /// The object of that key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.inner.read().objects.get(key).cloned()
    }

    /// All objects, ordered by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.inner.read().objects.values().cloned().collect()
    }

    /// The objects of one namespace, ordered by name.
    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.inner
            .read()
            .objects
            .range(ObjectKey::namespaced(namespace, "")..)
            .take_while(|(key, _)| key.namespace.as_deref() == Some(namespace))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// The objects for which the index function gave this value, ordered by key. Empty if there is no such index.
    #[must_use]
    pub fn indexed(&self, index: &str, value: &str) -> Vec<Arc<K>> {
        let contents = self.inner.read();
        let keys = contents
            .indexes
            .get(index)
            .and_then(|values| values.get(value));
        keys.into_iter()
            .flatten()
            .filter_map(|key| contents.objects.get(key).cloned())
            .collect()
    }

    /// Why the object of that key could not be read, if that is so. If an earlier version of it could, [`get`](Self::get) still
    /// returns that one.
    #[must_use]
    pub fn invalid(&self, key: &ObjectKey) -> Option<String> {
        self.inner.read().invalid.get(key).cloned()
    }

    /// The objects of which no version could be read since the watch began: nobody knows what they say.
    #[must_use]
    pub fn unread(&self) -> Vec<ObjectKey> {
        let content = self.inner.read();
        let mut keys: Vec<ObjectKey> = content
            .invalid
            .keys()
            .filter(|key| !content.objects.contains_key(*key))
            .cloned()
            .collect();
        keys.sort_unstable();
        keys
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How far the store is.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        *self.readiness.borrow()
    }

    /// Waits until it is known how far the store can be relied on: ready, or of an optional kind that is not served or not to be listed.
    /// Passes must not start before, or they would take what is not listed yet for missing.
    pub async fn wait_until_ready(&self) -> Readiness {
        let mut readiness = self.readiness.clone();
        // Bound to a name so that the borrow ends before `readiness` does.
        let settled = readiness
            .wait_for(|readiness| *readiness != Readiness::Pending)
            .await
            .map(|readiness| *readiness);
        settled.unwrap_or(Readiness::Stopped)
    }

    /// Waits until the store is something else than it is known to be: an optional kind came or went, or the process ends.
    pub async fn wait_until_not(&self, known: Readiness) -> Readiness {
        let mut readiness = self.readiness.clone();
        let changed = readiness
            .wait_for(|readiness| *readiness != known)
            .await
            .map(|readiness| *readiness);
        changed.unwrap_or(Readiness::Stopped)
    }
}

/// Index values for [`Store::indexed`]: the uids of an object's owners.
#[must_use]
pub fn owner_uids<K: Resource>(object: &K) -> Vec<String> {
    object
        .owner_references()
        .iter()
        .map(|owner| owner.uid.clone())
        .collect()
}

#[cfg(test)]
mod tests;
