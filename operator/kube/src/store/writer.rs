//! The side of a store that takes in the events of a watch and finds out what changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use kube::{Resource, core::DeserializeGuard, runtime::watcher::Event};
use tokio::sync::watch;

use super::{Change, Contents, IndexFunction, Inner, ObjectKey, Readiness, Store};

/// What the watch receives for one object: the object, or why it could not be read.
pub(crate) type Received<K> = Result<K, Unreadable>;

/// An object that does not fit the type it is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) key: ObjectKey,
    pub(crate) reason: String,
}

/// Takes what was read out of its guard.
pub(crate) fn unguard<K>(guarded: DeserializeGuard<K>) -> Received<K> {
    guarded.0.map_err(|invalid| Unreadable {
        key: ObjectKey::of_meta(&invalid.metadata),
        reason: invalid.error,
    })
}

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
    /// What could not be read. The store says so as well by now, also of what a listing had: whoever is told looks there next.
    pub(crate) invalid: Vec<Unreadable>,
}

impl<K> Default for Observed<K> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            invalid: Vec::new(),
        }
    }
}

impl<K: Resource> StoreWriter<K> {
    pub(crate) fn new(index_by: Vec<(&'static str, IndexFunction<K>)>) -> Self {
        let indexes = index_by
            .iter()
            .map(|(name, _)| (*name, HashMap::new()))
            .collect();
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
            Event::Apply(Err(unreadable)) => self.put_invalid(unreadable),
            Event::Delete(received) => {
                let key = match &received {
                    Ok(object) => ObjectKey::of(object),
                    Err(unreadable) => unreadable.key.clone(),
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

    /// The kind may not be listed. What was listed before that stays, as with any watch that fails.
    pub(crate) fn refused(&self) {
        self.readiness.send_if_modified(|readiness| {
            let is_new = matches!(readiness, Readiness::Pending | Readiness::NotServed);
            if is_new {
                *readiness = Readiness::Refused;
            }
            is_new
        });
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
                listing
                    .objects
                    .insert(ObjectKey::of(&object), Arc::new(object));
            }
            Err(Unreadable { key, reason }) => {
                listing.invalid.insert(key, reason);
            }
        }
        Observed::default()
    }

    fn finish_listing(&mut self) -> Observed<K> {
        let Some(mut listing) = self.listing.take() else {
            return Observed::default();
        };
        let mut changes = Vec::new();
        let invalid: Vec<Unreadable> = listing
            .invalid
            .iter()
            .map(|(key, reason)| Unreadable {
                key: key.clone(),
                reason: reason.clone(),
            })
            .collect();
        {
            let mut contents = self
                .inner
                .contents
                .write()
                .unwrap_or_else(PoisonError::into_inner);
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
        Observed { changes, invalid }
    }

    fn put(&mut self, object: K) -> Observed<K> {
        let key = ObjectKey::of(&object);
        let object = Arc::new(object);
        let mut contents = self
            .inner
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let was_invalid = contents.invalid.remove(&key).is_some();
        let before = contents.objects.insert(key.clone(), Arc::clone(&object));
        // A watch that resumes may repeat its last event.
        if !was_invalid
            && before
                .as_ref()
                .is_some_and(|before| same_version(&**before, &*object))
        {
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
            invalid: Vec::new(),
        }
    }

    fn put_invalid(&mut self, unreadable: Unreadable) -> Observed<K> {
        let mut contents = self
            .inner
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        contents
            .invalid
            .insert(unreadable.key.clone(), unreadable.reason.clone());
        Observed {
            changes: Vec::new(),
            invalid: vec![unreadable],
        }
    }

    fn remove(&mut self, key: ObjectKey, last: Option<K>) -> Observed<K> {
        let mut contents = self
            .inner
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
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
            invalid: Vec::new(),
        }
    }
}

fn same_version<K: Resource>(one: &K, other: &K) -> bool {
    let (one, other) = (one.meta(), other.meta());
    one.resource_version.is_some()
        && one.resource_version == other.resource_version
        && one.uid == other.uid
}

fn reindex<K>(
    index_by: &[(&'static str, IndexFunction<K>)],
    contents: &mut Contents<K>,
    change: &Change<K>,
) {
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
