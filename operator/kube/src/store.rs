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

use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta, error_boundary::InvalidObject},
    runtime::watcher::Event,
};
use tokio::sync::watch;

use crate::queue::Lane;

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
        let keys = contents.indexes.get(index).and_then(|values| values.get(value));
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

    /// Waits until the store can be relied on: ready, or empty since its kind is not served. Passes must not start before, or
    /// they would take what is not listed yet for missing.
    pub async fn wait_until_ready(&self) -> Readiness {
        let mut readiness = self.readiness.clone();
        // Bound to a name so that the borrow ends before `readiness` does.
        let settled = readiness
            .wait_for(|readiness| *readiness != Readiness::Pending)
            .await
            .map(|readiness| *readiness);
        settled.unwrap_or(Readiness::Stopped)
    }
}

/// What the watch receives for one object: the object, or why it could not be read.
pub(crate) type Received<K> = Result<K, InvalidObject>;

/// The one who fills a store.
pub(crate) struct StoreWriter<K> {
    inner: Arc<Inner<K>>,
    readiness: watch::Sender<Readiness>,
    listing: Option<Listing<K>>,
}

struct Listing<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    invalid: BTreeMap<ObjectKey, String>,
}

/// What one event did to the store.
pub(crate) struct Observed<K> {
    pub(crate) changes: Vec<Change<K>>,
    pub(crate) invalid: Option<(ObjectKey, String)>,
}

impl<K> Default for Observed<K> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            invalid: None,
        }
    }
}

impl<K: Resource> StoreWriter<K> {
    pub(crate) fn new(index_by: Vec<(&'static str, IndexFunction<K>)>) -> Self {
        let indexes = index_by.iter().map(|(name, _)| (*name, HashMap::new())).collect();
        Self {
            inner: Arc::new(Inner {
                contents: RwLock::new(Contents {
                    objects: BTreeMap::new(),
                    invalid: BTreeMap::new(),
                    indexes,
                }),
                index_by,
            }),
            readiness: watch::Sender::new(Readiness::Pending),
            listing: None,
        }
    }

    pub(crate) fn store(&self) -> Store<K> {
        Store {
            inner: Arc::clone(&self.inner),
            readiness: self.readiness.subscribe(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.read().objects.len()
    }

    /// Takes in one event of the watch.
    pub(crate) fn observe(&mut self, event: Event<Received<K>>) -> Observed<K> {
        match event {
            Event::Init => {
                self.listing = Some(Listing {
                    objects: BTreeMap::new(),
                    invalid: BTreeMap::new(),
                });
                Observed::default()
            }
            Event::InitApply(received) => self.list(received),
            Event::InitDone => self.finish_listing(),
            Event::Apply(Ok(object)) => self.put(object),
            Event::Apply(Err(invalid)) => self.put_invalid(invalid),
            Event::Delete(received) => {
                let key = match &received {
                    Ok(object) => ObjectKey::of(object),
                    Err(invalid) => ObjectKey::of_meta(&invalid.metadata),
                };
                self.remove(key, received.ok())
            }
        }
    }

    /// The kind is no longer served: all its objects are gone.
    pub(crate) fn not_served(&mut self) -> Vec<Change<K>> {
        self.listing = Some(Listing {
            objects: BTreeMap::new(),
            invalid: BTreeMap::new(),
        });
        let changes = self.finish_listing().changes;
        self.readiness.send_replace(Readiness::NotServed);
        changes
    }

    pub(crate) fn stopped(&self) {
        self.readiness.send_replace(Readiness::Stopped);
    }

    fn list(&mut self, received: Received<K>) -> Observed<K> {
        let listing = self.listing.get_or_insert_with(|| Listing {
            objects: BTreeMap::new(),
            invalid: BTreeMap::new(),
        });
        match received {
            Ok(object) => {
                listing.objects.insert(ObjectKey::of(&object), Arc::new(object));
                Observed::default()
            }
            Err(invalid) => {
                let key = ObjectKey::of_meta(&invalid.metadata);
                listing.invalid.insert(key.clone(), invalid.error.clone());
                Observed {
                    changes: Vec::new(),
                    invalid: Some((key, invalid.error)),
                }
            }
        }
    }

    fn finish_listing(&mut self) -> Observed<K> {
        let Some(mut listing) = self.listing.take() else {
            return Observed::default();
        };
        let mut changes = Vec::new();
        {
            let mut contents = self.inner.contents.write().unwrap_or_else(PoisonError::into_inner);
            let mut before = std::mem::take(&mut contents.objects);
            // It exists but cannot be read: the last version that could is nearer to the truth than "deleted".
            for key in listing.invalid.keys() {
                if let Some(object) = before.get(key) {
                    listing.objects.insert(key.clone(), Arc::clone(object));
                }
            }
            for (key, object) in &mut listing.objects {
                let old = before.remove(key);
                match old {
                    Some(old) if same_version(&*old, &**object) => *object = old,
                    old => changes.push(Change {
                        key: key.clone(),
                        before: old,
                        after: Some(Arc::clone(object)),
                        relisted: true,
                    }),
                }
            }
            changes.extend(before.into_iter().map(|(key, object)| Change {
                key,
                before: Some(object),
                after: None,
                relisted: true,
            }));
            contents.objects = listing.objects;
            contents.invalid = listing.invalid;
            for change in &changes {
                reindex(&self.inner.index_by, &mut contents, change);
            }
        }
        self.readiness.send_replace(Readiness::Ready);
        Observed { changes, invalid: None }
    }

    fn put(&mut self, object: K) -> Observed<K> {
        let key = ObjectKey::of(&object);
        let object = Arc::new(object);
        let mut contents = self.inner.contents.write().unwrap_or_else(PoisonError::into_inner);
        let was_invalid = contents.invalid.remove(&key).is_some();
        let before = contents.objects.insert(key.clone(), Arc::clone(&object));
        // A watch that resumes may repeat its last event.
        if !was_invalid && before.as_ref().is_some_and(|before| same_version(&**before, &*object)) {
            return Observed::default();
        }
        let change = Change {
            key,
            before,
            after: Some(object),
            relisted: false,
        };
        reindex(&self.inner.index_by, &mut contents, &change);
        Observed {
            changes: vec![change],
            invalid: None,
        }
    }

    fn put_invalid(&mut self, invalid: InvalidObject) -> Observed<K> {
        let key = ObjectKey::of_meta(&invalid.metadata);
        let mut contents = self.inner.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.invalid.insert(key.clone(), invalid.error.clone());
        Observed {
            changes: Vec::new(),
            invalid: Some((key, invalid.error)),
        }
    }

    fn remove(&mut self, key: ObjectKey, last: Option<K>) -> Observed<K> {
        let mut contents = self.inner.contents.write().unwrap_or_else(PoisonError::into_inner);
        contents.invalid.remove(&key);
        // The index goes by what was indexed; the state in the event may differ from it.
        let known = contents.objects.remove(&key);
        let mut change = Change {
            key,
            before: known,
            after: None,
            relisted: false,
        };
        reindex(&self.inner.index_by, &mut contents, &change);
        if let Some(last) = last {
            change.before = Some(Arc::new(last));
        }
        Observed {
            changes: vec![change],
            invalid: None,
        }
    }
}

fn same_version<K: Resource>(one: &K, other: &K) -> bool {
    let (one, other) = (one.meta(), other.meta());
    one.resource_version.is_some() && one.resource_version == other.resource_version && one.uid == other.uid
}

fn reindex<K>(index_by: &[(&'static str, IndexFunction<K>)], contents: &mut Contents<K>, change: &Change<K>) {
    for (name, values_of) in index_by {
        let index = contents.indexes.entry(name).or_default();
        for value in change.before.iter().flat_map(|object| values_of(object)) {
            if let Some(keys) = index.get_mut(&value) {
                keys.remove(&change.key);
                if keys.is_empty() {
                    index.remove(&value);
                }
            }
        }
        for value in change.after.iter().flat_map(|object| values_of(object)) {
            index.entry(value).or_default().insert(change.key.clone());
        }
    }
}

/// Index values for [`Store::indexed`]: the uids of an object's owners.
#[must_use]
pub fn owner_uids<K: Resource>(object: &K) -> Vec<String> {
    object.owner_references().iter().map(|owner| owner.uid.clone()).collect()
}

pub(crate) fn unguard<K>(guarded: DeserializeGuard<K>) -> Received<K> {
    guarded.0
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn config_map(name: &str, version: &str, owner: &str) -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": owner}],
            }
        }))
        .unwrap()
    }

    fn unreadable(name: &str) -> InvalidObject {
        InvalidObject {
            error: "expected a list".into(),
            metadata: config_map(name, "9", "x").metadata,
        }
    }

    fn writer() -> StoreWriter<ConfigMap> {
        StoreWriter::new(vec![("owner", Arc::new(owner_uids::<ConfigMap>))])
    }

    fn list(writer: &mut StoreWriter<ConfigMap>, objects: Vec<Received<ConfigMap>>) -> Vec<Change<ConfigMap>> {
        writer.observe(Event::Init);
        for object in objects {
            assert!(writer.observe(Event::InitApply(object)).changes.is_empty(), "half a listing changes nothing");
        }
        writer.observe(Event::InitDone).changes
    }

    fn told(changes: &[Change<ConfigMap>]) -> Vec<(String, bool, bool)> {
        changes
            .iter()
            .map(|change| (change.key.to_string(), change.before.is_some(), change.after.is_some()))
            .collect()
    }

    fn names(objects: &[Arc<ConfigMap>]) -> Vec<String> {
        objects.iter().map(|object| object.name_any()).collect()
    }

    #[test]
    fn a_listing_after_an_interruption_tells_what_came_changed_and_went() {
        let mut writer = writer();
        let store = writer.store();
        let first = list(&mut writer, vec![
            Ok(config_map("kept", "1", "a")),
            Ok(config_map("changed", "1", "a")),
            Ok(config_map("deleted", "1", "a")),
        ]);
        assert_eq!(first.len(), 3);
        assert!(first.iter().all(|change| change.lane() == Lane::Resync));
        let second = list(&mut writer, vec![
            Ok(config_map("kept", "1", "a")),
            Ok(config_map("changed", "2", "b")),
            Ok(config_map("new", "3", "b")),
        ]);
        let mut told = told(&second);
        told.sort();
        assert_eq!(told, [
            ("shop/changed".into(), true, true),
            ("shop/deleted".into(), true, false),
            ("shop/new".into(), false, true),
        ]);
        assert_eq!(names(&store.list()), ["changed", "kept", "new"]);
        assert_eq!(names(&store.indexed("owner", "a")), ["kept"]);
        assert_eq!(names(&store.indexed("owner", "b")), ["changed", "new"]);
    }

    #[test]
    fn events_move_an_object_between_index_values() {
        let mut writer = writer();
        let store = writer.store();
        list(&mut writer, vec![]);
        writer.observe(Event::Apply(Ok(config_map("one", "1", "a"))));
        let moved = writer.observe(Event::Apply(Ok(config_map("one", "2", "b")))).changes;
        let owners: Vec<_> = moved[0].states().flat_map(|object| owner_uids(&**object)).collect();
        assert_eq!(owners, ["a", "b"], "both owners can be told");
        assert!(store.indexed("owner", "a").is_empty());
        assert_eq!(names(&store.indexed("owner", "b")), ["one"]);
        let deleted = writer.observe(Event::Delete(Ok(config_map("one", "3", "b")))).changes;
        assert!(deleted[0].is_deletion());
        assert!(store.is_empty() && store.indexed("owner", "b").is_empty());
    }

    #[test]
    fn a_repeated_event_changes_nothing() {
        let mut writer = writer();
        list(&mut writer, vec![Ok(config_map("one", "1", "a"))]);
        assert!(writer.observe(Event::Apply(Ok(config_map("one", "1", "a")))).changes.is_empty());
    }

    #[test]
    fn an_unreadable_object_is_reported_and_neither_breaks_the_list_nor_counts_as_deleted() {
        let mut writer = writer();
        let store = writer.store();
        let key = ObjectKey::namespaced("shop", "one");
        list(&mut writer, vec![Ok(config_map("one", "1", "a")), Ok(config_map("two", "1", "a"))]);
        let observed = writer.observe(Event::Apply(Err(unreadable("one"))));
        assert_eq!(observed.invalid, Some((key.clone(), "expected a list".into())));
        assert!(store.get(&key).is_some() && store.invalid(&key).is_some());

        let changes = list(&mut writer, vec![Err(unreadable("one")), Err(unreadable("never-readable")), Ok(config_map("two", "1", "a"))]);
        assert!(told(&changes).is_empty(), "{changes:?}");
        assert_eq!(names(&store.list()), ["one", "two"]);
        assert!(store.invalid(&ObjectKey::namespaced("shop", "never-readable")).is_some());

        let repaired = writer.observe(Event::Apply(Ok(config_map("one", "10", "a")))).changes;
        assert_eq!(repaired.len(), 1);
        assert_eq!(store.invalid(&key), None);
    }

    #[test]
    fn an_object_recreated_under_its_name_is_a_change_of_intent() {
        let before = config_map("one", "1", "a");
        let mut after = before.clone();
        after.metadata.uid = Some("another".into());
        let mut change = Change {
            key: ObjectKey::of(&before),
            before: Some(Arc::new(before)),
            after: Some(Arc::new(after)),
            relisted: false,
        };
        assert!(change.is_intent());

        let generation = |generation| {
            let mut object = config_map("one", "1", "a");
            object.metadata.generation = Some(generation);
            Some(Arc::new(object))
        };
        (change.before, change.after) = (generation(1), generation(1));
        assert!(!change.is_intent(), "only the status can have changed");
        change.after = generation(2);
        assert!(change.is_intent());
    }

    #[test]
    fn the_objects_of_a_namespace_and_no_others() {
        let mut writer = writer();
        let mut other = config_map("one", "1", "a");
        other.metadata.namespace = Some("shop-2".into());
        list(&mut writer, vec![Ok(config_map("one", "1", "a")), Ok(other)]);
        let store = writer.store();
        assert_eq!(store.list_in("shop").len(), 1);
        assert_eq!(store.list_in("shop-2").len(), 1);
        assert_eq!(store.list_in("sho").len(), 0);
    }

    #[tokio::test]
    async fn readiness_is_announced() {
        let mut writer = writer();
        let store = writer.store();
        assert_eq!(store.readiness(), Readiness::Pending);
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.wait_until_ready().await }
        });
        list(&mut writer, vec![Ok(config_map("one", "1", "a"))]);
        assert_eq!(waiting.await.unwrap(), Readiness::Ready);
        assert_eq!(told(&writer.not_served()), [("shop/one".into(), true, false)]);
        assert_eq!(store.wait_until_ready().await, Readiness::NotServed);
    }
}
