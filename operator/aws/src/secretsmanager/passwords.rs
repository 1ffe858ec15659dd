//! Passwords in Secrets Manager: those that RDS keeps there, and those that are generated for users of caches.

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
/// at once (see [`Passwords::forget`]); what this bounds is a rotation that fell between two observations, or that nobody says.
const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// Passwords by the ARN or name of their secret. Every pass over a database needs its password, and Secrets Manager bills each
/// read.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    entries: Mutex<HashMap<String, Entry>>,
}

/// A password and which version of its secret it is.
#[derive(Clone, Debug)]
pub(crate) struct Password {
    pub(crate) value: Sensitive,
    pub(crate) version: String,
}

#[derive(Clone, Debug)]
struct Entry {
    password: Password,
    read_at: Instant,
}

/// What RDS, AWS's rotation functions and [`super::SecretApi`] write into a secret.
#[derive(Deserialize)]
struct SecretContent {
    password: String,
}

impl Passwords {
    /// The password in a secret.
    ///
    /// # Errors
    /// Secrets Manager's refusal. Where it only failed to answer, an older password is given instead, since it most likely
    /// still holds.
    pub(crate) async fn read(
        &self,
        client: &aws_sdk_secretsmanager::Client,
        secret_id: &str,
    ) -> Result<Password, Failure> {
        let known = self.known(secret_id);
        if let Some(entry) = known
            .as_ref()
            .filter(|entry| entry.read_at.elapsed() < TIME_TO_LIVE)
        {
            return Ok(entry.password.clone());
        }
        match fetch(client, secret_id, None).await {
            Ok(password) => {
                self.keep(secret_id, password.clone());
                Ok(password)
            }
            Err(failure) => match known {
                Some(entry) if matches!(failure.class, Class::Throttled | Class::Transient) => {
                    Ok(entry.password)
                }
                _ => {
                    self.forget(secret_id);
                    Err(failure)
                }
            },
        }
    }

    /// Drops a password that is being rotated, or whose database is gone.
    pub(crate) fn forget(&self, secret_id: &str) {
        self.lock().remove(secret_id);
    }

    fn known(&self, secret_id: &str) -> Option<Entry> {
        self.lock().get(secret_id).cloned()
    }

    fn keep(&self, secret_id: &str, password: Password) {
        self.lock().insert(
            secret_id.to_owned(),
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

/// The password before the present one, which is still accepted for a while after a rotation.
///
/// # Errors
/// Secrets Manager's refusal; that there is none is none.
pub(crate) async fn previous(
    client: &aws_sdk_secretsmanager::Client,
    secret_id: &str,
) -> Result<Option<Sensitive>, Failure> {
    match fetch(client, secret_id, Some("AWSPREVIOUS")).await {
        Ok(password) => Ok(Some(password.value)),
        Err(failure) if failure.code.as_deref() == Some(super::MISSING) => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn fetch(
    client: &aws_sdk_secretsmanager::Client,
    secret_id: &str,
    stage: Option<&str>,
) -> Result<Password, Failure> {
    let answer = client
        .get_secret_value()
        .secret_id(secret_id)
        .set_version_stage(stage.map(str::to_owned))
        .send()
        .await
        .map_err(|error| classify("GetSecretValue", &error))?;
    let text = answer.secret_string().ok_or_else(unreadable)?;
    // The parser's own message could quote the secret.
    let content: SecretContent = serde_json::from_str(text).map_err(|_| unreadable())?;
    Ok(Password {
        value: Sensitive::new(content.password),
        version: answer.version_id().unwrap_or_default().to_owned(),
    })
}

fn unreadable() -> Failure {
    Failure::new(
        Class::Invalid,
        "GetSecretValue: the secret holds no JSON with a password",
    )
    .with_remedy("put it back into the form {\"username\": ..., \"password\": ...}")
}
