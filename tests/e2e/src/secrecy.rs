//! Secrets are where they belong and nowhere else.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{OPERATOR_NAMESPACE, PATIENCE, Shop, get};

/// Where etcd holds Secrets.
const SECRETS_IN_ETCD: &str = "/registry/secrets/";
/// A Secret that looks like one of the operator's own, so that the operator watches it.
const CANARY: &str = "canary";
const CANARY_PASSWORD: &str = "yellow/bird+that&sings";
/// Shorter texts are found everywhere.
const SHORTEST: usize = 8;

/// What must not be told, each with the words for where it belongs.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Vec<String>>);

impl Secrets {
    fn add(&mut self, home: String, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.insert(home, forms_of(secret));
        }
    }

    /// Whether these are more than the canary.
    fn are_generated(&self) -> bool {
        self.0.keys().any(|home| !home.contains(CANARY))
    }
}

/// How a secret may stand in a text: as it is, in a URL, in JSON as Rust and as Go writes it.
fn forms_of(secret: &str) -> Vec<String> {
    let in_json = json!(secret).to_string();
    let in_json = in_json.trim_matches('"').to_owned();
    let mut forms = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        in_json
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
        in_json,
    ];
    forms.sort();
    forms.dedup();
    forms
}

impl Shop {
    /// Makes a Secret that nobody may tell of.
    pub(crate) async fn plant_canary(&self) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": CANARY, "namespace": OPERATOR_NAMESPACE,
                "labels": {"app.kubernetes.io/managed-by": "shopkeeper"},
            },
            "stringData": {"password": CANARY_PASSWORD},
        });
        self.apply(&secret.to_string()).await
    }

    /// The passwords that there are now: those of Secrets Manager and those of Secrets. To be asked before what they belong to is
    /// deleted. Fails where there are none but the canary.
    pub async fn secrets(&self) -> Result<Secrets> {
        let mut secrets = Secrets::default();
        for (name, value) in self.aws.secret_values().await? {
            // What RDS and Shopkeeper keep there is JSON.
            let value: Value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            let password = value.get("password").unwrap_or(&value);
            secrets.add(
                format!("{name} of Secrets Manager"),
                password.as_str().unwrap_or_default(),
            );
        }
        for secret in self.list("Secret", "", "").await? {
            // Base64 as it stands in the object; it may be told in this form as well.
            let Some(password) = secret["data"]["password"].as_str() else {
                continue;
            };
            let home = format!(
                "Secret {}/{}",
                secret["metadata"]["namespace"].as_str().unwrap_or_default(),
                secret["metadata"]["name"].as_str().unwrap_or_default()
            );
            secrets.add(format!("{home} in base64"), password);
        }
        secrets.add(format!("Secret {CANARY}"), CANARY_PASSWORD);
        ensure!(
            secrets.are_generated(),
            "there is no password to be searched for"
        );
        Ok(secrets)
    }

    /// Fails where one of the secrets is in a status, an event, an annotation or anything else that etcd holds outside of Secrets,
    /// in the logs of the operator (which scenarios run at debug) or of the API server, or in the operator's metrics.
    pub async fn no_secret_is_told(&self, secrets: &Secrets) -> Result<()> {
        let stored = self.environment.stored().await?;
        let in_secrets = |key: &str| key.starts_with(SECRETS_IN_ETCD);
        ensure!(
            stored
                .iter()
                .any(|stored| in_secrets(&stored.key) && contains_canary(&stored.value)),
            "the canary is not found where it is"
        );
        for stored in stored.iter().filter(|stored| !in_secrets(&stored.key)) {
            search(
                secrets,
                &stored.key,
                &String::from_utf8_lossy(&stored.value),
            )?;
        }
        for entry in fs::read_dir(self.environment.logs_directory())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read(&path)?;
                search(
                    secrets,
                    &path.display().to_string(),
                    &String::from_utf8_lossy(&log),
                )?;
            }
        }
        search(secrets, "/metrics of the operator", &self.metrics().await?)
    }

    /// What the operator serves at `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        let operator = self.operator.as_ref();
        let operator = operator.context("the operator does not run")?;
        self.until("the operator serves its metrics", PATIENCE, async || {
            // It says where, and says it again after each start.
            let log = operator.log()?;
            let address = log
                .rsplit_once("serving metrics address=")
                .and_then(|(_, rest)| rest.split_whitespace().next())
                .context("the log does not say where")?;
            let (status, metrics) = get(address, "/metrics").await?;
            ensure!(status == 200, "/metrics answers {status}");
            Ok(metrics)
        })
        .await
    }
}

fn contains_canary(value: &[u8]) -> bool {
    String::from_utf8_lossy(value).contains(CANARY_PASSWORD)
}

/// Fails with the place and the name of the secret, never with the secret itself.
fn search(secrets: &Secrets, place: &str, text: &str) -> Result<()> {
    for (home, forms) in &secrets.0 {
        ensure!(
            !forms.iter().any(|form| text.contains(form)),
            "the password of {home} is told in {place}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms_and_not_repeated() {
        let mut secrets = Secrets::default();
        secrets.add("the safe".to_owned(), "a&b\"c/d<e");
        for told in [
            "password=a&b\"c/d<e.",
            "redis://app:a%26b%22c%2Fd%3Ce@host",
            r#"{"password":"a&b\"c/d<e"}"#,
            r#"{"password":"a\u0026b\"c/d\u003ce"}"#,
        ] {
            let problem = search(&secrets, "the log", told).unwrap_err().to_string();
            assert_eq!(problem, "the password of the safe is told in the log");
        }
        search(&secrets, "the log", "nothing of it").unwrap();
    }
}
