//! Writes to objects: server-side apply, create, delete, evict, cordon.
//!
//! What to write and whether to write at all is the planner's business.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::{Request, header};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy},
    core::{ApiResource, DynamicObject, GroupVersionKind, Status, TypeMeta},
    discovery,
};
use serde_json::{Value, json};

use crate::{Error, FIELD_MANAGER};

/// Which object: enough to address it, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectIdentity {
    /// Group, version and kind.
    pub kind: GroupVersionKind,
    /// The namespace, `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The API server accepted it; the object is gone, or goes once its finalizers are.
    Accepted,
    /// There is no such object.
    AlreadyGone,
    /// The object of that name is another one by now (its uid differs), and was not touched.
    Replaced,
}

/// What came of an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// The Pod is being terminated.
    Accepted,
    /// There is no such Pod, or another one of that name.
    AlreadyGone,
    /// A PodDisruptionBudget does not allow it now.
    Blocked {
        /// What the API server said; it names the budget.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

#[derive(Debug, Clone)]
struct Mapping {
    resource: ApiResource,
    namespaced: bool,
}

/// Writes objects as the field manager [`FIELD_MANAGER`]. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// Found kinds only: that a kind is absent is asked anew each time.
    mappings: Arc<RwLock<HashMap<GroupVersionKind, Mapping>>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer that uses this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            mappings: Arc::default(),
        }
    }

    /// Applies an object by force and returns it as it is afterwards.
    ///
    /// Force, since a field this manager declares is its own: a conflict would only mean that someone else wrote it before.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the object lacks `apiVersion`, `kind` or `metadata.name` or carries `metadata.managedFields`;
    /// [`Error::NotServed`] if its kind is unknown; otherwise what the API server answered.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject, Error> {
        let identity = identity_of(object)?;
        if object.pointer("/metadata/managedFields").is_some() {
            return Err(Error::Invalid(format!(
                "{}: managedFields must not be applied",
                identity.name
            )));
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let api = self.api(&identity).await?;
        let applied = api
            .patch(&identity.name, &parameters, &Patch::Apply(object))
            .await;
        self.unmap_if_gone(&identity.kind, applied)
    }

    /// Changes an object by a JSON patch (RFC 6902) and returns it as it is afterwards. For what no apply can take away, since
    /// another field manager owns it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if one of its tests fails: the object was changed meanwhile; otherwise what the API server answered.
    pub async fn patch(
        &self,
        identity: &ObjectIdentity,
        operations: &Value,
    ) -> Result<DynamicObject, Error> {
        let api = self.api(identity).await?;
        let path = format!(
            "{}/{}?fieldManager={FIELD_MANAGER}",
            api.resource_url(),
            identity.name
        );
        let request = Request::patch(path)
            .header(header::CONTENT_TYPE, "application/json-patch+json")
            .body(operations.to_string().into_bytes())
            .map_err(|error| Error::Invalid(error.to_string()))?;
        match self.client.request(request).await {
            Ok(patched) => Ok(patched),
            // A test that fails is answered as invalid, without saying more.
            Err(kube::Error::Api(status)) if status.code == 422 => Err(Error::Conflict(format!(
                "{} was changed in the same moment",
                identity.name
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads an object live, past every cache.
    ///
    /// # Errors
    /// [`Error::NotServed`] if the kind is unknown; otherwise what the API server answered.
    pub async fn get(&self, identity: &ObjectIdentity) -> Result<Option<DynamicObject>, Error> {
        Ok(self.api(identity).await?.get_opt(&identity.name).await?)
    }

    /// Deletes exactly the object with this uid. In the foreground, it stays, being deleted, until its dependents are gone; in the
    /// background it goes at once, and they follow.
    ///
    /// # Errors
    /// What the API server answered, except that the object is gone already.
    pub async fn delete(
        &self,
        identity: &ObjectIdentity,
        uid: &str,
        propagation: PropagationPolicy,
    ) -> Result<Deletion, Error> {
        let api = match self.api(identity).await {
            Ok(api) => api,
            // Without its kind there is no object.
            Err(Error::NotServed { .. }) => return Ok(Deletion::AlreadyGone),
            Err(error) => return Err(error),
        };
        match api
            .delete(&identity.name, &delete_exactly(uid, propagation))
            .await
        {
            Ok(_) => Ok(Deletion::Accepted),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Deletion::AlreadyGone),
            // The only precondition is the uid.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Deletion::Replaced),
            Err(error) => Err(error.into()),
        }
    }

    /// Evicts exactly the Pod with this uid, respecting PodDisruptionBudgets.
    ///
    /// # Errors
    /// What the API server answered, except that the Pod is gone or a budget blocks it.
    pub async fn evict(&self, namespace: &str, name: &str, uid: &str) -> Result<Eviction, Error> {
        // By hand: `Api::evict` of kube 5.0 sends `delete_options`, a field the API server does not know and ignores, so that the
        // precondition would be lost.
        let body = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let request = Request::post(format!("{}/{name}/eviction", pods.resource_url()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|error| Error::Invalid(error.to_string()))?;
        match self.client.request::<Status>(request).await {
            Ok(_) => Ok(Eviction::Accepted),
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                Ok(Eviction::AlreadyGone)
            }
            Err(kube::Error::Api(status)) if status.code == 429 => {
                let error = Error::from(*status);
                Ok(Eviction::Blocked {
                    retry_after: error.retry_after(),
                    message: error.to_string(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Marks a Node as unschedulable, and by an annotation as cordoned by us. A merge patch as kubectl does it, so that an
    /// administrator's later `kubectl uncordon` meets no owner.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it was changed since it had that resource version: somebody else may have cordoned it; otherwise
    /// what the API server answered.
    pub async fn cordon(
        &self,
        node: &str,
        resource_version: &str,
        annotation: (&str, &str),
    ) -> Result<(), Error> {
        let (name, value) = annotation;
        self.patch_node(
            node,
            json!({
                "metadata": {"resourceVersion": resource_version, "annotations": {name: value}},
                "spec": {"unschedulable": true},
            }),
        )
        .await
    }

    /// Makes a Node schedulable again, and takes the annotation away.
    ///
    /// # Errors
    /// As [`cordon`](Self::cordon).
    pub async fn uncordon(
        &self,
        node: &str,
        resource_version: &str,
        annotation: &str,
    ) -> Result<(), Error> {
        self.patch_node(
            node,
            json!({
                "metadata": {"resourceVersion": resource_version, "annotations": {annotation: null}},
                "spec": {"unschedulable": null},
            }),
        )
        .await
    }

    async fn patch_node(&self, node: &str, patch: Value) -> Result<(), Error> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        nodes.patch(node, &parameters, &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn api(&self, identity: &ObjectIdentity) -> Result<Api<DynamicObject>, Error> {
        let mapping = self.mapping(&identity.kind).await?;
        match (&identity.namespace, mapping.namespaced) {
            (Some(namespace), true) => Ok(Api::namespaced_with(
                self.client.clone(),
                namespace,
                &mapping.resource,
            )),
            (None, false) => Ok(Api::all_with(self.client.clone(), &mapping.resource)),
            (None, true) => Err(Error::Invalid(format!(
                "{} {} needs a namespace",
                identity.kind.kind, identity.name
            ))),
            (Some(_), false) => Err(Error::Invalid(format!(
                "{} {} is cluster-scoped and has no namespace",
                identity.kind.kind, identity.name
            ))),
        }
    }

    async fn mapping(&self, kind: &GroupVersionKind) -> Result<Mapping, Error> {
        let known = self
            .mappings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kind)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let not_served = || Error::NotServed {
            api_version: kind.api_version(),
            kind: kind.kind.clone(),
        };
        let (resource, capabilities) =
            match discovery::oneshot::pinned_kind(&self.client, kind).await {
                Ok(found) => found,
                Err(kube::Error::Api(status)) if status.code == 404 => return Err(not_served()),
                Err(kube::Error::Discovery(kube::error::DiscoveryError::MissingKind(_))) => {
                    return Err(not_served());
                }
                Err(error) => return Err(error.into()),
            };
        let mapping = Mapping {
            resource,
            namespaced: capabilities.scope == discovery::Scope::Namespaced,
        };
        self.mappings
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind.clone(), mapping.clone());
        Ok(mapping)
    }

    /// An apply never finds nothing: a 404 says that the namespace or the kind is gone, and the kind may come back with another
    /// plural or scope.
    fn unmap_if_gone<T>(
        &self,
        kind: &GroupVersionKind,
        result: Result<T, kube::Error>,
    ) -> Result<T, Error> {
        result.map_err(|error| {
            if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                self.mappings
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(kind);
            }
            error.into()
        })
    }
}

fn delete_exactly(uid: &str, propagation: PropagationPolicy) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(propagation),
        ..DeleteParams::default()
    }
    .preconditions(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    })
}

/// The identity of an object given as JSON.
///
/// # Errors
/// [`Error::Invalid`] if `apiVersion`, `kind` or `metadata.name` is missing or malformed.
pub fn identity_of(object: &Value) -> Result<ObjectIdentity, Error> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let required = |pointer: &str| {
        text(pointer).ok_or_else(|| Error::Invalid(format!("object without {pointer}")))
    };
    let types = TypeMeta {
        api_version: required("/apiVersion")?,
        kind: required("/kind")?,
    };
    let kind =
        GroupVersionKind::try_from(&types).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(ObjectIdentity {
        kind,
        namespace: text("/metadata/namespace"),
        name: required("/metadata/name")?,
    })
}

#[cfg(test)]
mod tests;
