//! Status and finalizers of our own objects.
//!
//! A status is written only if it says something new: each write wakes every watcher of the kind, this operator's own included, and a
//! status that differs at each pass (a timestamp, a request id) is a loop.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use json_patch::{
    AddOperation, PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{Error, FIELD_MANAGER, STATUS_FIELD_MANAGER, packed::PackedValue};

/// What came of a status.
#[derive(Debug, Clone)]
pub enum StatusWrite<K> {
    /// It says nothing new, and nothing was sent.
    Unchanged,
    /// It was written; the object as it is now.
    Written(Box<K>),
}

#[derive(Debug, Clone)]
struct LastWrite {
    desired: PackedValue,
    result: PackedValue,
    resource_version: Option<String>,
}

/// Writes statuses, and remembers the last one of each object to see through a cache that lags behind. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StatusWriter {
    last: Arc<Mutex<HashMap<String, LastWrite>>>,
}

impl StatusWriter {
    /// A writer that remembers nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the status of `observed` by server-side apply if it differs from the one observed.
    ///
    /// `lastTransitionTime` of the conditions is managed here: what the caller puts there is replaced by the observed time where
    /// the condition's status is the same, and by the present time where it is not.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the object is gone, [`Error::Conflict`] if another one has its name by now, otherwise what the API
    /// server answered.
    pub async fn write<K, S>(
        &self,
        api: &Api<K>,
        observed: &K,
        status: &S,
    ) -> Result<StatusWrite<K>, Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
        S: Serialize + Sync,
    {
        let name = observed.name_any();
        let uid = observed
            .uid()
            .ok_or_else(|| Error::Unexpected(format!("{name} has no uid")))?;
        let desired = without_nulls(to_value(status)?);
        let seen = status_of(to_value(observed)?);
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&uid)
            .cloned();

        let current = match &last {
            Some(last)
                if is_older(
                    observed.resource_version().as_deref(),
                    last.resource_version.as_deref(),
                ) =>
            {
                last.result.unpack()
            }
            _ => seen,
        };
        if !differs(&current, &desired) {
            return Ok(StatusWrite::Unchanged);
        }
        // The API server made something else of the same status before (a default, a field of another manager): writing it again
        // would change nothing.
        if let Some(last) = &last
            && !differs(&last.desired.unpack(), &desired)
            && !differs(&last.result.unpack(), &current)
        {
            return Ok(StatusWrite::Unchanged);
        }

        let status = with_transition_times(&current, desired, Timestamp::now());
        let mut patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name},
            "status": status,
        });
        // Without it a status for an object that was deleted and created anew would land on the new one.
        patch["metadata"]["uid"] = json!(uid);
        let parameters = PatchParams::apply(STATUS_FIELD_MANAGER).force();
        let written = match api
            .patch_status(&name, &parameters, &Patch::Apply(&patch))
            .await
        {
            Ok(written) => written,
            // It was written. The rest of the object does not fit its type, which whoever writes a status of it knows.
            Err(kube::Error::SerdeError(_)) => {
                return Ok(StatusWrite::Written(Box::new(observed.clone())));
            }
            Err(error) => return Err(error.into()),
        };
        let write = LastWrite {
            desired: PackedValue::of(&patch["status"]),
            result: PackedValue::of(&status_of(to_value(&written)?)),
            resource_version: written.resource_version(),
        };
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid, write);
        Ok(StatusWrite::Written(Box::new(written)))
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// Adds to the status of an object that another part of the operator writes, as `manager`: what is there stays, and stays whoever else
/// leaves it out.
///
/// # Errors
/// [`Error::NotFound`] if the object is gone, otherwise what the API server answered.
pub async fn add_to_status<K>(
    api: &Api<K>,
    name: &str,
    manager: &str,
    members: &Value,
) -> Result<(), Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let parameters = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({"status": members});
    match api
        .patch_status(name, &parameters, &Patch::Merge(&patch))
        .await
    {
        // It was written; the rest of the object does not fit its type.
        Ok(_) | Err(kube::Error::SerdeError(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Unexpected(error.to_string()))
}

fn status_of(mut object: Value) -> Value {
    without_nulls(
        object
            .get_mut("status")
            .map(Value::take)
            .unwrap_or_default(),
    )
}

/// Resource versions are to be compared as numbers: they are such in every API server in use, and Kubernetes 1.35 made it part of the
/// contract. Where they are not, nothing is known to be older.
fn is_older(observed: Option<&str>, written: Option<&str>) -> bool {
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u128>().ok());
    matches!((number(observed), number(written)), (Some(observed), Some(written)) if observed < written)
}

/// Absent and null are the same to the API server.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Whether two statuses say different things: everything counts but `lastTransitionTime`, and the order of conditions.
#[must_use]
pub fn differs(observed: &Value, desired: &Value) -> bool {
    comparable(observed) != comparable(desired)
}

fn comparable(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            condition.remove("lastTransitionTime");
        }
        conditions.sort_by(|one, other| type_of(one).cmp(&type_of(other)));
    }
    // A status of no fields and none at all say the same.
    if status.as_object().is_some_and(Map::is_empty) {
        return Value::Null;
    }
    status
}

fn type_of(condition: &Value) -> Option<&str> {
    condition.get("type").and_then(Value::as_str)
}

/// The desired status with each condition's `lastTransitionTime`: kept while its `status` stays the same, else `now`.
#[must_use]
pub fn with_transition_times(observed: &Value, mut desired: Value, now: Timestamp) -> Value {
    let observed: Vec<&Value> = observed
        .get("conditions")
        .and_then(Value::as_array)
        .map(|conditions| conditions.iter().collect())
        .unwrap_or_default();
    // metav1.Time has seconds; more digits would be cut off and differ when read back.
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let conditions = desired.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let kept = observed
            .iter()
            .find(|before| type_of(before).is_some() && type_of(before) == type_of(condition))
            .filter(|before| before.get("status") == condition.get("status"))
            .and_then(|before| before.get("lastTransitionTime"))
            .cloned();
        if let Some(condition) = condition.as_object_mut() {
            condition.insert(
                "lastTransitionTime".to_owned(),
                kept.unwrap_or_else(|| json!(now)),
            );
        }
    }
    desired
}

/// What came of a change of finalizers.
#[derive(Debug, Clone)]
pub enum FinalizerChange<K> {
    /// It is as wanted already, and nothing was sent.
    Unchanged,
    /// It was changed; the object as it is now.
    Changed(Box<K>),
    /// The object is gone or being deleted: a finalizer can no longer be added.
    TooLate,
}

/// Adds a finalizer, unless the object is being deleted: added then it would bring a deletion to a halt that was about to end.
///
/// # Errors
/// [`Error::Conflict`] if the finalizers changed since the object was observed, otherwise what the API server answered.
pub async fn add_finalizer<K>(
    api: &Api<K>,
    observed: &K,
    finalizer: &str,
) -> Result<FinalizerChange<K>, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    if observed.meta().deletion_timestamp.is_some() {
        return Ok(FinalizerChange::TooLate);
    }
    if observed
        .finalizers()
        .iter()
        .any(|present| present == finalizer)
    {
        return Ok(FinalizerChange::Unchanged);
    }
    let list = ["metadata", "finalizers"];
    let mut operations = guard(observed);
    if observed.finalizers().is_empty() {
        operations.push(test(list, Value::Null));
        operations.push(PatchOperation::Add(AddOperation {
            path: PointerBuf::from_tokens(list),
            value: json!([finalizer]),
        }));
    } else {
        operations.push(test(list, json!(observed.finalizers())));
        operations.push(PatchOperation::Add(AddOperation {
            path: PointerBuf::from_tokens(["metadata", "finalizers", "-"]),
            value: json!(finalizer),
        }));
    }
    patch_finalizers(api, observed, operations).await
}

/// Removes a finalizer.
///
/// # Errors
/// [`Error::Conflict`] if the finalizers changed since the object was observed, otherwise what the API server answered.
pub async fn remove_finalizer<K>(
    api: &Api<K>,
    observed: &K,
    finalizer: &str,
) -> Result<FinalizerChange<K>, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let Some(index) = observed
        .finalizers()
        .iter()
        .position(|present| present == finalizer)
    else {
        return Ok(FinalizerChange::Unchanged);
    };
    let index = index.to_string();
    let path = ["metadata", "finalizers", index.as_str()];
    let mut operations = guard(observed);
    operations.push(test(path, json!(finalizer)));
    operations.push(PatchOperation::Remove(RemoveOperation {
        path: PointerBuf::from_tokens(path),
    }));
    patch_finalizers(api, observed, operations).await
}

fn test<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

/// The patch is meant for this very object, not for a later one of the same name.
fn guard<K: Resource>(observed: &K) -> Vec<PatchOperation> {
    observed
        .uid()
        .map(|uid| test(["metadata", "uid"], json!(uid)))
        .into_iter()
        .collect()
}

async fn patch_finalizers<K>(
    api: &Api<K>,
    observed: &K,
    operations: Vec<PatchOperation>,
) -> Result<FinalizerChange<K>, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch: Patch<()> = Patch::Json(json_patch::Patch(operations));
    match api.patch(&observed.name_any(), &parameters, &patch).await {
        Ok(changed) => Ok(FinalizerChange::Changed(Box::new(changed))),
        // It was changed, and the rest of the object does not fit its type.
        Err(kube::Error::SerdeError(_)) => Ok(FinalizerChange::Changed(Box::new(observed.clone()))),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(FinalizerChange::TooLate),
        // A `test` that fails is answered with 422 like an invalid object; the patch itself cannot be invalid.
        Err(kube::Error::Api(status)) if status.code == 422 => Err(Error::Conflict(status.message)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
