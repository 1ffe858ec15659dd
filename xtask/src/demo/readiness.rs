//! Waits for custom resources, and says what they wait for.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize as _;
use serde_json::Value;
use shopkeeper_localenv::{LocalEnvironment, OperatorProcess};

/// How often the API server is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long nothing may be said of what has not changed, so that a person who waits knows that somebody still looks.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Characters of a message.
const LONGEST_MESSAGE: usize = 160;

/// A custom resource by kind, namespace and name.
type Key = (String, String, String);

/// What a custom resource says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    ready: bool,
    message: String,
}

/// Waits until every object of the manifests in `folder` is Ready for its newest generation.
///
/// Fails when the operator or the environment ends, and with what is missing after `patience`.
pub(super) async fn wait(
    environment: &LocalEnvironment,
    operator: &OperatorProcess,
    folder: &Path,
    patience: Duration,
    say: impl Fn(&str),
) -> Result<()> {
    let wanted = declared(folder)?;
    let deadline = Instant::now() + patience;
    let mut told: BTreeMap<Key, State> = BTreeMap::new();
    let mut last_word = Instant::now();
    loop {
        operator.ensure_running()?;
        environment.ensure_running()?;
        let list = environment
            .kubectl(&["get", "shopkeeper", "--all-namespaces", "--output", "json"])
            .await?;
        let states = states(&serde_json::from_str(&list)?);
        let mut missing = Vec::new();
        for key in &wanted {
            let state = states.get(key).cloned().unwrap_or_else(unseen);
            let silent = last_word.elapsed() > SIGN_OF_LIFE && !state.ready;
            if silent || told.get(key) != Some(&state) {
                say(&format!("{:30} {}", shown(key), shortened(&state.message)));
                last_word = Instant::now();
                told.insert(key.clone(), state.clone());
            }
            if !state.ready {
                missing.push(format!("{}: {}", shown(key), state.message));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "not Ready after {} s:\n  {}",
                patience.as_secs(),
                missing.join("\n  ")
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn shown((kind, namespace, name): &Key) -> String {
    if namespace.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{kind} {namespace}/{name}")
    }
}

/// As much of a message as fits into a line or two of a terminal; kubectl shows all of it.
fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{} ...", message[..end].trim_end()),
        None => message.to_owned(),
    }
}

fn unseen() -> State {
    State {
        ready: false,
        message: "waits for the operator".into(),
    }
}

/// The objects in a folder of manifests, in the order of the files.
fn declared(folder: &Path) -> Result<Vec<Key>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    let mut keys = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let object = Value::deserialize(document)
                .with_context(|| format!("{} is no YAML", path.display()))?;
            keys.push(key(&object));
        }
    }
    if keys.is_empty() {
        bail!("{} declares nothing", folder.display());
    }
    Ok(keys)
}

fn key(object: &Value) -> Key {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    (
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
}

/// What each object of a list says of itself. A status of an older generation says nothing of the newest.
fn states(list: &Value) -> BTreeMap<Key, State> {
    let objects = list["items"].as_array();
    objects
        .into_iter()
        .flatten()
        .map(|object| (key(object), state(object)))
        .collect()
}

fn state(object: &Value) -> State {
    if object.pointer("/status/observedGeneration") != object.pointer("/metadata/generation") {
        return unseen();
    }
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let Some(ready) = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready")
    else {
        return unseen();
    };
    let text = |field: &str| ready[field].as_str().unwrap_or_default();
    let is_ready = ready["status"] == "True";
    let message = if is_ready {
        "Ready".to_owned()
    } else {
        format!("{}: {}", text("reason"), text("message"))
    };
    State {
        ready: is_ready,
        message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: i64, observed: i64, status: &str) -> Value {
        json!({
            "kind": "OrderService",
            "metadata": {"namespace": "shop", "name": "orders", "generation": generation},
            "status": {"observedGeneration": observed, "conditions": [
                {"type": "Ready", "status": status, "reason": "DataCreating", "message": "RDS instance: creating"},
            ]},
        })
    }

    #[test]
    fn ready_counts_for_the_newest_generation_only() {
        assert!(state(&object(2, 2, "True")).ready);
        assert!(!state(&object(3, 2, "True")).ready);
        assert!(
            !state(&json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}))
                .ready
        );
    }

    #[test]
    fn what_is_waited_for_is_said() {
        assert_eq!(
            state(&object(1, 1, "False")).message,
            "DataCreating: RDS instance: creating"
        );
    }

    #[test]
    fn every_document_of_every_file_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "kind: Platform\nmetadata: {name: p}\n---\nkind: Storefront\nmetadata: {name: s, namespace: n}\n").unwrap();
        let keys = declared(folder.path()).unwrap();
        assert_eq!(
            keys.iter().map(shown).collect::<Vec<_>>(),
            ["Platform p", "Storefront n/s"]
        );
    }
}
