//! Secrets with a generated password.

use async_trait::async_trait;
use aws_sdk_secretsmanager::{operation::describe_secret::DescribeSecretOutput, types::Tag};
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{SecretsManagerSecret, Tags},
    failure::Failure,
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
    sensitive::Sensitive,
};

use super::MISSING;
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    parts::{part, trailed_setting},
    request::{differs, document, nothing_to_change},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Secrets. What is in them is read by [`super::Passwords`] alone.
pub(crate) struct SecretApi<'a>(pub(crate) &'a Account);

/// Length of a generated password: ElastiCache takes 16 to 128 characters.
const PASSWORD_LENGTH: usize = 64;

/// A password from the generator that the operating system seeds. Letters and digits alone, so that no client and no address has
/// to escape it.
pub(crate) fn generate() -> Sensitive {
    Sensitive::new(Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH))
}

#[async_trait]
impl ResourceApi<SecretsManagerSecret> for SecretApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<SecretsManagerSecret>>, Failure> {
        // Of one that is not there nothing else is to be asked.
        let Some(secret) = part("DescribeSecret", self.description(name)).await? else {
            self.0.passwords.forget(name);
            return Ok(None);
        };
        // Of one that is on its way out Secrets Manager tells no policy, and nobody can use it.
        let policy = if secret.deleted_date().is_some() {
            None
        } else {
            trailed_setting("GetResourcePolicy", self.policy(name)).await?
        };
        let tags: Tags = secret
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
            .collect();
        // Its name is not free before the recovery window is over, and whether it is to come back is for a person to say.
        let lifecycle = if secret.deleted_date().is_some() {
            Lifecycle::Failed("it is scheduled for deletion".to_owned())
        } else {
            Lifecycle::Available
        };
        let resource = SecretsManagerSecret {
            name: name.to_owned(),
            description: secret.description().unwrap_or_default().to_owned(),
            // In the secret, which is not read for this.
            username: String::new(),
            kms_key_arn: secret.kms_key_id().unwrap_or_default().to_owned(),
            policy,
            tags,
        };
        Ok(Some(Found {
            lifecycle,
            outputs: Outputs::new().with_optional("secretArn", secret.arn()),
            arn: secret.arn,
            ..Found::available(resource)
        }))
    }

    /// Without the client token, from which Secrets Manager would make the id of the version: a secret that is made once more has
    /// another password, and its version another id.
    async fn create(&self, desired: &SecretsManagerSecret) -> Result<(), Failure> {
        let password = generate();
        let content = json!({"username": desired.username, "password": password.expose()});
        self.0
            .secretsmanager
            .create_secret()
            .name(&desired.name)
            .description(&desired.description)
            .kms_key_id(&desired.kms_key_arn)
            .secret_string(content.to_string())
            .set_tags(Some(tag_list(&desired.tags)))
            .send()
            .await
            .map_err(|error| classify("CreateSecret", &error))?;
        self.0.passwords.forget(&desired.name);
        Ok(())
    }

    async fn update(
        &self,
        desired: &SecretsManagerSecret,
        _found: &Found<SecretsManagerSecret>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if differs(fields, "description") || differs(fields, "kmsKeyArn") {
            return self
                .0
                .secretsmanager
                .update_secret()
                .secret_id(&desired.name)
                .description(&desired.description)
                .kms_key_id(&desired.kms_key_arn)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("UpdateSecret", &error));
        }
        // There is none to put in its place.
        if differs(fields, "policy") {
            return self
                .0
                .secretsmanager
                .delete_resource_policy()
                .secret_id(&desired.name)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("DeleteResourcePolicy", &error));
        }
        if differs(fields, "tags") {
            return self
                .0
                .secretsmanager
                .tag_resource()
                .secret_id(&desired.name)
                .set_tags(Some(tag_list(&desired.tags)))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("TagResource", &error));
        }
        Err(nothing_to_change("Secrets Manager secret", fields))
    }

    /// At once: its user is gone before it, and the password with it. A recovery window would only keep the name.
    async fn delete(
        &self,
        found: &Found<SecretsManagerSecret>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        self.0.passwords.forget(&found.resource.name);
        match self
            .0
            .secretsmanager
            .delete_secret()
            .secret_id(&found.resource.name)
            .force_delete_without_recovery(true)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, &[MISSING]) => Ok(()),
            Err(error) => Err(classify("DeleteSecret", &error)),
        }
    }
}

impl SecretApi<'_> {
    async fn description(&self, name: &str) -> Result<Option<DescribeSecretOutput>, Failure> {
        let answer = self
            .0
            .secretsmanager
            .describe_secret()
            .secret_id(name)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_code(&error, &[MISSING]) => Ok(None),
            Err(error) => Err(classify("DescribeSecret", &error)),
        }
    }

    /// The policy by which others are let in; `None` without one, and without the secret.
    async fn policy(&self, name: &str) -> Result<Option<Value>, Failure> {
        let answer = self
            .0
            .secretsmanager
            .get_resource_policy()
            .secret_id(name)
            .send()
            .await;
        match answer {
            Ok(answer) => answer
                .resource_policy()
                .map(|text| document("GetResourcePolicy", text))
                .transpose(),
            Err(error) if is_code(&error, &[MISSING]) => Ok(None),
            Err(error) => Err(classify("GetResourcePolicy", &error)),
        }
    }
}

fn tag_list(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), PASSWORD_LENGTH);
        assert!(
            one.expose()
                .chars()
                .all(|character| character.is_ascii_alphanumeric())
        );
    }
}
