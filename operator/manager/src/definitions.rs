//! The installed definitions, held against those that this binary was built with: before anything else, and whenever one changes.
//!
//! With an older definition the API server drops or refuses what it does not know, and passes would fail one by one for no reason
//! that anybody could see. So nothing starts before they are right, and it is said what to do.

use std::{sync::Arc, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt, core::PartialObjectMeta, runtime::watcher};
use shopkeeper_api::{crds, definition::lacks};
use shopkeeper_kube::{Error, metrics::WatchMetrics, store::Change, watch::Watch};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{metrics::ShopMetrics, server::Health};

/// What a person has to do about a definition that is not current.
const REMEDY: &str = "kubectl apply --server-side -f crds/ of this version of Shopkeeper";
/// How many members that are lacking are named before they are counted.
const NAMED: usize = 3;
/// Until the next look after one that failed. A change of a definition is seen by its watch.
const RETRY: Duration = Duration::from_secs(10);

/// What there is to say of one definition.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Current,
    /// In words, without the remedy.
    NotCurrent(String),
}

/// Starts to watch the definitions. The receiver tells whether all of them are current.
///
/// # Errors
/// The definitions of this binary are no valid JSON.
pub fn start(
    client: &Client,
    health: &Health,
    metrics: &ShopMetrics,
    watch_metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> anyhow::Result<watch::Receiver<bool>> {
    let built = crds()
        .map(|definition| Built::of(&definition?))
        .collect::<Result<Vec<_>, _>>()?;
    let changed = Arc::new(Notify::new());
    for definition in &built {
        // By name, since that is all that the operator is allowed to see of definitions.
        let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
        let changed = Arc::clone(&changed);
        let _store = Watch::metadata(api, &())
            .config(
                watcher::Config::default().fields(&format!("metadata.name={}", definition.name)),
            )
            .on_change(
                move |_: &Change<PartialObjectMeta<CustomResourceDefinition>>| changed.notify_one(),
            )
            .start(watch_metrics, shutdown.clone());
    }
    let (told, current) = watch::channel(false);
    let definitions = Definitions {
        api: Api::all(client.clone()),
        built,
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        shutdown
            .run_until_cancelled(definitions.follow(&changed, &told))
            .await
    });
    Ok(current)
}

/// Resolves once all definitions are current.
pub async fn wait_until_current(mut current: watch::Receiver<bool>) {
    // The sender goes with the process.
    let _ = current.wait_for(|current| *current).await;
}

/// A definition of this binary. It is kept as text, and read where the installed one has changed: the schemas as types take ten
/// megabytes, which is more than all else that an operator without custom resources keeps.
struct Built {
    name: String,
    kind: String,
    text: Box<str>,
}

impl Built {
    fn of(definition: &CustomResourceDefinition) -> serde_json::Result<Self> {
        Ok(Self {
            name: definition.name_any(),
            kind: definition.spec.names.kind.clone(),
            text: serde_json::to_string(definition)?.into(),
        })
    }

    fn read(&self) -> Result<CustomResourceDefinition, Error> {
        serde_json::from_str(&self.text)
            .map_err(|error| Error::Unexpected(format!("the definition {}: {error}", self.name)))
    }
}

struct Definitions {
    api: Api<CustomResourceDefinition>,
    built: Vec<Built>,
    health: Health,
    metrics: ShopMetrics,
}

impl Definitions {
    async fn follow(&self, changed: &Notify, told: &watch::Sender<bool>) {
        let mut said = None;
        loop {
            let looked = self.look().await;
            let again = match looked {
                Ok(problems) => {
                    self.tell(&problems, &mut said);
                    told.send_replace(problems.is_empty());
                    None
                }
                // Nothing is known, and nothing that worked is stopped.
                Err(Error::Denied(reason)) => {
                    if said.is_none() {
                        tracing::warn!(
                            reason,
                            "the definitions cannot be checked: apply config/rbac.yaml of this version of Shopkeeper"
                        );
                        said = Some(Vec::new());
                        told.send_replace(true);
                    }
                    Some(RETRY * 6)
                }
                Err(error) => {
                    tracing::info!(%error, "the definitions were not looked at");
                    Some(RETRY)
                }
            };
            match again {
                None => changed.notified().await,
                Some(after) => {
                    let _ = tokio::time::timeout(after, changed.notified()).await;
                }
            }
        }
    }

    /// What is wrong, a line a definition. Empty where nothing is.
    async fn look(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for built in &self.built {
            let installed = self.api.get_opt(&built.name).await.map_err(Error::from)?;
            let state = judge(installed.as_ref(), &built.read()?);
            self.metrics
                .definition(&built.kind, state == State::Current);
            if let State::NotCurrent(problem) = state {
                problems.push(problem);
            }
        }
        Ok(problems)
    }

    fn tell(&self, problems: &[String], said: &mut Option<Vec<String>>) {
        if said.as_deref() == Some(problems) {
            return;
        }
        if problems.is_empty() {
            self.health.set_problem(None);
            tracing::info!("the definitions are current");
        } else {
            let text = problems.join("; ");
            tracing::error!(remedy = REMEDY, "{text}");
            self.health
                .set_problem(Some(format!("{text}. To do: {REMEDY}")));
        }
        *said = Some(problems.to_vec());
    }
}

fn judge(installed: Option<&CustomResourceDefinition>, built: &CustomResourceDefinition) -> State {
    let name = built.name_any();
    let Some(installed) = installed else {
        return State::NotCurrent(format!("the definition {name} is missing"));
    };
    if installed.metadata.deletion_timestamp.is_some() {
        return State::NotCurrent(format!("the definition {name} is being deleted"));
    }
    let lacking = match lacks(installed, built) {
        Ok(lacking) => lacking,
        Err(error) => {
            return State::NotCurrent(format!("the definition {name} cannot be read: {error}"));
        }
    };
    if lacking.is_empty() {
        let established = installed
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .any(|condition| condition.type_ == "Established" && condition.status == "True");
        return if established {
            State::Current
        } else {
            State::NotCurrent(format!("the definition {name} is not established yet"))
        };
    }
    let mut named = lacking
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if lacking.len() > NAMED {
        named.push_str(&format!(" and {} more", lacking.len() - NAMED));
    }
    State::NotCurrent(format!(
        "the definition {name} is older than this operator: it lacks {named}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shopkeeper_api::all_crds;

    use super::*;

    fn definition(established: bool) -> CustomResourceDefinition {
        let mut definition = all_crds().unwrap().remove(0);
        definition.status = serde_json::from_value(json!({
            "conditions": [{"type": "Established", "status": if established { "True" } else { "False" }}],
        }))
        .unwrap();
        definition
    }

    fn problem(installed: Option<&CustomResourceDefinition>) -> String {
        match judge(installed, &definition(true)) {
            State::Current => "none".to_owned(),
            State::NotCurrent(problem) => problem,
        }
    }

    #[test]
    fn a_definition_that_is_kept_as_text_is_read_as_it_was_built() {
        let all = all_crds().unwrap();
        assert_eq!(all.len(), crds().count());
        for definition in all {
            let kept = Built::of(&definition).unwrap();
            assert_eq!(kept.read().unwrap(), definition);
            assert_eq!(kept.name, definition.name_any());
            assert_eq!(kept.kind, definition.spec.names.kind);
        }
    }

    #[test]
    fn what_is_wrong_with_a_definition_is_named() {
        assert_eq!(problem(Some(&definition(true))), "none");
        assert_eq!(
            problem(None),
            "the definition platforms.shopkeeper.dev is missing"
        );
        assert_eq!(
            problem(Some(&definition(false))),
            "the definition platforms.shopkeeper.dev is not established yet"
        );
        let mut older = definition(true);
        older.spec.versions[0].schema = None;
        assert_eq!(
            problem(Some(&older)),
            "the definition platforms.shopkeeper.dev is older than this operator: it lacks .spec, .status"
        );
    }
}
