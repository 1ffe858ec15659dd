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

/// How long a password is kept that nobody asks for: that of a database that was left behind, say.
const LONGEST_KEPT: Duration = Duration::from_secs(60 * 60);

/// Passwords by what they open. Every pass over a database needs its password, and Secrets Manager bills each read.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    entries: Mutex<HashMap<String, Entry>>,
    changes: Mutex<HashMap<String, Change>>,
}

/// A password and which version of its secret it is.
#[derive(Clone, Debug)]
pub(crate) struct Password {
    pub(crate) value: Sensitive,
    pub(crate) version: String,
}

#[derive(Clone, Debug)]
struct Entry {
    secret_id: String,
    password: Password,
    read_at: Instant,
}

/// What a change of a password has come to so far. It takes several calls, and budgets may have a token for one of them at a time: what was
/// answered and what was done is not asked for and done again.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The password that is to be in force.
    pub(crate) present: Password,
    /// The one before it, if there is one; `None` while nobody has asked.
    previous: Option<Option<Sensitive>>,
    /// Whether what it opens has been given them.
    pub(crate) is_made: bool,
    began: Instant,
}

impl Change {
    /// The passwords, the present one first. Pods that read the one before are served until they have been replaced.
    pub(crate) fn passwords(&self) -> Vec<&Sensitive> {
        let mut passwords = vec![&self.present.value];
        passwords.extend(self.previous.iter().flatten());
        passwords.dedup();
        passwords
    }
}

/// What RDS, AWS's rotation functions and [`super::SecretApi`] write into a secret.
#[derive(Deserialize)]
struct SecretContent {
    password: String,
}

impl Passwords {
    /// The password of something, in a secret by this name or ARN.
    ///
    /// # Errors
    /// Secrets Manager's refusal. Where it only failed to answer, an older password is given instead, since it most likely
    /// still holds.
    pub(crate) async fn read(
        &self,
        client: &aws_sdk_secretsmanager::Client,
        of: &str,
        secret_id: &str,
    ) -> Result<Password, Failure> {
        let known = self.known(of, secret_id);
        if let Some(entry) = known
            .as_ref()
            .filter(|entry| entry.read_at.elapsed() < TIME_TO_LIVE)
        {
            return Ok(entry.password.clone());
        }
        match fetch(client, secret_id, None).await {
            Ok(password) => {
                self.keep(of, secret_id, password.clone());
                Ok(password)
            }
            Err(failure) => match known {
                Some(entry) if matches!(failure.class, Class::Throttled | Class::Transient) => {
                    Ok(entry.password)
                }
                _ => {
                    self.forget(of);
                    Err(failure)
                }
            },
        }
    }

    /// The passwords that something is to have from now on: those that are in its secret now, or were when the change began.
    ///
    /// # Errors
    /// Secrets Manager's refusal.
    pub(crate) async fn change(
        &self,
        client: &aws_sdk_secretsmanager::Client,
        of: &str,
        secret_id: &str,
    ) -> Result<Change, Failure> {
        let begun = self
            .changes()
            .get(of)
            .filter(|change| change.began.elapsed() < TIME_TO_LIVE)
            .cloned();
        let mut change = match begun {
            Some(begun) => begun,
            None => {
                let began = Instant::now();
                let present = fetch(client, secret_id, None).await?;
                self.keep(of, secret_id, present.clone());
                Change {
                    present,
                    previous: None,
                    is_made: false,
                    began,
                }
            }
        };
        self.changes().insert(of.to_owned(), change.clone());
        if change.previous.is_none() {
            change.previous = Some(previous(client, secret_id).await?);
            self.changes().insert(of.to_owned(), change.clone());
        }
        Ok(change)
    }

    /// What it opens has been given the passwords of its change.
    pub(crate) fn made(&self, of: &str) {
        if let Some(change) = self.changes().get_mut(of) {
            change.is_made = true;
        }
    }

    /// Nothing of its change is left to be done.
    pub(crate) fn finish(&self, of: &str) {
        self.changes().remove(of);
    }

    /// What it opens is gone: whatever it was given is gone with it. A change that was to make it goes on.
    pub(crate) fn gone(&self, of: &str) {
        self.lock().remove(of);
        self.changes()
            .retain(|name, change| name != of || !change.is_made);
    }

    /// Drops a password that is being rotated, or whose secret is gone.
    pub(crate) fn forget(&self, of: &str) {
        self.lock().remove(of);
        self.finish(of);
    }

    fn known(&self, of: &str, secret_id: &str) -> Option<Entry> {
        let entries = self.lock();
        let entry = entries.get(of);
        entry.filter(|entry| entry.secret_id == secret_id).cloned()
    }

    fn keep(&self, of: &str, secret_id: &str, password: Password) {
        // There is another one by now.
        self.changes()
            .retain(|name, change| name != of || change.present.version == password.version);
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.read_at.elapsed() < LONGEST_KEPT);
        entries.insert(
            of.to_owned(),
            Entry {
                secret_id: secret_id.to_owned(),
                password,
                read_at: Instant::now(),
            },
        );
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, HashMap<String, Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
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
async fn previous(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_while_what_it_opens_and_its_secret_are_the_same() {
        let passwords = Passwords::default();
        let password = Password {
            value: Sensitive::new("hunter2".to_owned()),
            version: "1".to_owned(),
        };
        passwords.keep("orders", "secret-1", password);
        assert!(passwords.known("orders", "secret-1").is_some());
        // A database that was made once more has another secret.
        assert!(passwords.known("orders", "secret-2").is_none());
        assert!(passwords.known("carts", "secret-1").is_none());
        passwords.forget("orders");
        assert!(passwords.known("orders", "secret-1").is_none());
        assert!(passwords.lock().is_empty());
    }

    #[test]
    fn a_change_ends_with_another_version() {
        let passwords = Passwords::default();
        let password = |version: &str| Password {
            value: Sensitive::new("hunter2".to_owned()),
            version: version.to_owned(),
        };
        let begun = Change {
            present: password("1"),
            previous: Some(Some(Sensitive::new("hunter1".to_owned()))),
            is_made: false,
            began: Instant::now(),
        };
        assert_eq!(begun.passwords().len(), 2);
        passwords.changes().insert("orders".to_owned(), begun);
        passwords.made("orders");
        passwords.keep("orders", "secret-1", password("1"));
        assert!(passwords.changes()["orders"].is_made);
        passwords.keep("orders", "secret-1", password("2"));
        assert!(passwords.changes().is_empty());
    }
}
