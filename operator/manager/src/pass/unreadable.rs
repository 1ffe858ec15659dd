//! Custom resources that do not fit their type: stored under an older definition, or by a way around admission.
//!
//! The cache keeps the last version that could be read, and goes by that. What is told here is told by an event, since there is no
//! saying what else their status holds. One that is being deleted is taken down all the same: that needs its inventory and its
//! policy, and no valid specification.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, api::DynamicObject, core::ApiResource};
use serde_json::{Map, Value, json};
use shopkeeper_api::Managed;
use shopkeeper_kube::{
    Error,
    events::{Event, Severity},
    store::ObjectKey,
};

use super::{World, service::Reconciled};

/// Tells that a custom resource cannot be read, and gives what can be taken down of it where it is being deleted.
pub(super) async fn look<K: Reconciled>(world: &World, key: &ObjectKey) -> Option<K> {
    match read::<K>(&world.client, key).await {
        Ok(None) => None,
        Ok(Some(found)) => {
            let substitute = found.substitute::<K>();
            tell::<K>(world, &found, substitute.is_some()).await;
            substitute
        }
        Err(error) => {
            tracing::warn!(%key, %error, "what cannot be read could not be looked at");
            None
        }
    }
}

/// As [`look`], for a kind that cannot be taken down without its specification.
pub(super) async fn tell_only<K: Managed>(world: &World, key: &ObjectKey) {
    if let Ok(Some(found)) = read::<K>(&world.client, key).await {
        tell::<K>(world, &found, false).await;
    }
}

/// What the API server has, and what is wrong with it.
struct Unreadable {
    whole: Value,
    field: String,
    problem: String,
}

async fn read<K: Managed>(client: &Client, key: &ObjectKey) -> Result<Option<Unreadable>, Error> {
    let resource = ApiResource::erase::<K>(&());
    let api: kube::Api<DynamicObject> = match &key.namespace {
        Some(namespace) => kube::Api::namespaced_with(client.clone(), namespace, &resource),
        None => kube::Api::all_with(client.clone(), &resource),
    };
    let Some(object) = api.get_opt(&key.name).await? else {
        return Ok(None);
    };
    let whole =
        serde_json::to_value(&object).map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(problem::<K>(&whole).map(|(field, problem)| Unreadable {
        whole,
        field,
        problem,
    }))
}

/// The field that does not fit, and why. `None` where all is well by now.
fn problem<K: Managed>(whole: &Value) -> Option<(String, String)> {
    let error = serde_path_to_error::deserialize::<_, K>(whole).err()?;
    Some((error.path().to_string(), error.inner().to_string()))
}

impl Unreadable {
    fn is_being_deleted(&self) -> bool {
        !self.whole["metadata"]["deletionTimestamp"].is_null()
    }

    /// The custom resource without all that its deletion does not need. `None` where it is not being deleted, or where what its
    /// deletion needs cannot be read either: what would become of its data then, nobody has said.
    fn substitute<K: Managed>(&self) -> Option<K> {
        if !self.is_being_deleted() {
            return None;
        }
        let mut spec = Map::new();
        for member in ["policy", "platformRef"] {
            if let Some(value) = self.whole["spec"].get(member) {
                spec.insert(member.to_owned(), value.clone());
            }
        }
        // Services need a workload; Storefronts ignore it.
        spec.insert("workload".to_owned(), json!({"image": "unreadable"}));
        let mut whole = self.whole.clone();
        whole["spec"] = Value::Object(spec);
        serde_json::from_value(whole).ok()
    }

    fn note(&self, taken_down: bool) -> String {
        let Self { field, problem, .. } = self;
        let then = match (self.is_being_deleted(), taken_down) {
            (true, true) => "it is taken down by its inventory",
            (true, false) => {
                "its deletion waits for that. To do: correct the field with kubectl edit"
            }
            (false, _) => {
                "what it made stays as it is, or as the last version said that could be read. To do: correct the field with kubectl edit"
            }
        };
        format!("{field} cannot be read: {problem}; {then}")
    }
}

async fn tell<K: Managed>(world: &World, found: &Unreadable, taken_down: bool) {
    let metadata = &found.whole["metadata"];
    let text = |name: &str| metadata[name].as_str().map(str::to_owned);
    let regarding = ObjectReference {
        api_version: found.whole["apiVersion"].as_str().map(str::to_owned),
        kind: Some(K::KIND.to_owned()),
        namespace: text("namespace"),
        name: text("name"),
        uid: text("uid"),
        ..ObjectReference::default()
    };
    let note = found.note(taken_down);
    tracing::warn!(kind = K::KIND, name = ?regarding.name, namespace = ?regarding.namespace, %note, "custom resource cannot be read");
    let event = Event {
        severity: Severity::Warning,
        reason: "Unreadable".to_owned(),
        action: "Reconcile".to_owned(),
        note,
    };
    world.recorder.publish(&regarding, &event).await;
}

#[cfg(test)]
mod tests {
    use shopkeeper_api::{OrderService, Storefront};

    use super::*;

    fn order(deleting: bool) -> Value {
        let mut whole = json!({
            "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "u"},
            "spec": {
                "workload": {"image": "registry.example/orders:1"},
                "disruption": {"maxUnavailable": 99_999_999_999_999_i64},
                "policy": {"deletion": "Retain"},
            },
            "status": {"inventory": [{"kind": "RdsInstance", "name": "octank-shop-orders", "role": "database"}]},
        });
        if deleting {
            whole["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        whole
    }

    fn unreadable(whole: Value) -> Unreadable {
        let (field, problem) = problem::<OrderService>(&whole).expect("it cannot be read");
        Unreadable {
            whole,
            field,
            problem,
        }
    }

    #[test]
    fn the_field_is_named() {
        let found = unreadable(order(false));
        assert_eq!(found.field, "spec.disruption.maxUnavailable");
        let note = found.note(false);
        assert!(
            note.contains("99999999999999") && note.contains("To do: correct"),
            "{note}"
        );
        assert!(found.substitute::<OrderService>().is_none());
    }

    #[test]
    fn a_deletion_needs_the_inventory_and_the_policy_alone() {
        let found = unreadable(order(true));
        let substitute = found.substitute::<OrderService>().unwrap();
        let policy = substitute.spec.policy.unwrap();
        assert_eq!(
            serde_json::to_value(policy).unwrap(),
            json!({"deletion": "Retain"})
        );
        assert_eq!(substitute.status.unwrap().inventory.len(), 1);
        assert!(found.note(true).contains("taken down by its inventory"));

        let mut storefront = order(true);
        storefront["kind"] = json!("Storefront");
        let whole = Unreadable {
            whole: storefront,
            field: String::new(),
            problem: String::new(),
        };
        assert!(whole.substitute::<Storefront>().is_some());
    }

    #[test]
    fn what_says_nothing_of_its_data_is_not_taken_down() {
        let mut whole = order(true);
        whole["spec"]["policy"]["deletion"] = json!("Perhaps");
        let found = unreadable(whole);
        assert!(found.substitute::<OrderService>().is_none());
        assert!(found.note(false).contains("its deletion waits"));
    }
}
