//! The master password of a database, as RDS keeps it in Secrets Manager.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use shopkeeper_plan::{
    failure::{Class, Failure},
    sensitive::Sensitive,
};

use crate::error::classify;

/// How long a password is used without asking again. RDS rotates it once a week and says so in the instance, which drops it
/// at once (see [`MasterPasswords::forget`]); what this bounds is a rotation that fell between two observations.
const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// Passwords by the ARN of their secret. Every pass over a database needs its password, and Secrets Manager bills each read.
#[derive(Debug, Default)]
pub(crate) struct MasterPasswords {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    password: Sensitive,
    read_at: Instant,
}

/// What RDS writes into the secret.
#[derive(Deserialize)]
struct SecretContent {
    password: String,
}

impl MasterPasswords {
    /// The password in a secret.
    ///
    /// # Errors
    /// Secrets Manager's refusal. Where it only failed to answer, an older password is given instead, since it most likely
    /// still holds.
    pub(crate) async fn read(
        &self,
        client: &aws_sdk_secretsmanager::Client,
        secret_arn: &str,
    ) -> Result<Sensitive, Failure> {
        let known = self.known(secret_arn);
        if let Some(entry) = known
            .as_ref()
            .filter(|entry| entry.read_at.elapsed() < TIME_TO_LIVE)
        {
            return Ok(entry.password.clone());
        }
        match fetch(client, secret_arn).await {
            Ok(password) => {
                self.keep(secret_arn, password.clone());
                Ok(password)
            }
            Err(failure) => match known {
                Some(entry) if matches!(failure.class, Class::Throttled | Class::Transient) => {
                    Ok(entry.password)
                }
                _ => {
                    self.forget(secret_arn);
                    Err(failure)
                }
            },
        }
    }

    /// Drops a password that is being rotated, or whose database is gone.
    pub(crate) fn forget(&self, secret_arn: &str) {
        self.lock().remove(secret_arn);
    }

    fn known(&self, secret_arn: &str) -> Option<Entry> {
        self.lock().get(secret_arn).cloned()
    }

    fn keep(&self, secret_arn: &str, password: Sensitive) {
        self.lock().insert(
            secret_arn.to_owned(),
            Entry {
                password,
                read_at: Instant::now(),
            },
        );
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        // No code panics while it holds the lock, and a map is whole between two calls.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(
    client: &aws_sdk_secretsmanager::Client,
    secret_arn: &str,
) -> Result<Sensitive, Failure> {
    let answer = client
        .get_secret_value()
        .secret_id(secret_arn)
        .send()
        .await
        .map_err(|error| classify("GetSecretValue", &error))?;
    let text = answer.secret_string().ok_or_else(unreadable)?;
    // The parser's own message could quote the secret.
    let content: SecretContent = serde_json::from_str(text).map_err(|_| unreadable())?;
    Ok(Sensitive::new(content.password))
}

fn unreadable() -> Failure {
    Failure::new(
        Class::Bug,
        "GetSecretValue: the secret holds no password in the form that RDS writes",
    )
}
