//! The calls that change a KMS key.

use aws_sdk_kms::types::Tag;
use serde_json::Value;
use shopkeeper_plan::{
    aws::KmsKey,
    failure::{Class, Failure},
};

use super::key::{ALIAS_TAG, KeyApi, NOT_FOUND, POLICY_NAME};
use crate::error::{classify, is_code, is_unanswered};

/// Pending deletion, and some states that pass by themselves.
const INVALID_STATE: &[&str] = &["KMSInvalidStateException"];

/// Days until a key is really gone, within which it can be brought back; the longest that KMS allows, since what it
/// encrypts is lost with it.
const WAITING_PERIOD_DAYS: i32 = 30;

/// What is changed: one call each.
impl KeyApi<'_> {
    /// Enables the key, or calls its deletion off, after which it is disabled and the next pass enables it.
    pub(super) async fn enable(&self, id: &str) -> Result<(), Failure> {
        match self.0.kms.enable_key().key_id(id).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, INVALID_STATE) => self.call_off_deletion(id).await,
            Err(error) => Err(classify("EnableKey", &error)),
        }
    }

    /// Calls a deletion off that is scheduled. The key is disabled then.
    pub(super) async fn call_off_deletion(&self, id: &str) -> Result<(), Failure> {
        self.0
            .kms
            .cancel_key_deletion()
            .key_id(id)
            .send()
            .await
            .map_err(|error| classify("CancelKeyDeletion", &error))?;
        Ok(())
    }

    pub(super) async fn schedule_deletion(&self, id: &str) -> Result<(), Failure> {
        match self
            .0
            .kms
            .schedule_key_deletion()
            .key_id(id)
            .pending_window_in_days(WAITING_PERIOD_DAYS)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            // In the same moment.
            Err(error) if is_code(&error, INVALID_STATE) || is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("ScheduleKeyDeletion", &error)),
        }
    }

    /// The id of the new key.
    pub(super) async fn make_key(
        &self,
        desired: &KmsKey,
        purpose: &str,
    ) -> Result<Option<String>, Failure> {
        let answer = self
            .0
            .kms
            .create_key()
            .description(&desired.description)
            .set_policy(desired.policy.as_ref().map(Value::to_string))
            .set_tags(Some(kms_tags(desired)?))
            .send()
            .await;
        let made = match answer {
            Ok(answer) => answer.key_metadata,
            Err(error) => {
                if is_unanswered(&error) {
                    self.0.made.remember(purpose, None);
                }
                return Err(principal_may_be_fresh(classify("CreateKey", &error)));
            }
        };
        let id = made.map(|metadata| metadata.key_id().to_owned());
        self.0.made.remember(purpose, id.as_deref());
        Ok(id)
    }

    pub(super) async fn make_alias(&self, id: &str, desired: &KmsKey) -> Result<(), Failure> {
        let call = self
            .0
            .kms
            .create_alias()
            .set_alias_name(desired.alias.clone())
            .target_key_id(id);
        call.send()
            .await
            .map_err(|error| classify("CreateAlias", &error))?;
        Ok(())
    }

    pub(super) async fn set_policy(&self, id: &str, desired: &KmsKey) -> Result<(), Failure> {
        let call = self
            .0
            .kms
            .put_key_policy()
            .key_id(id)
            .policy_name(POLICY_NAME)
            .set_policy(desired.policy.as_ref().map(Value::to_string));
        call.send()
            .await
            .map_err(|error| principal_may_be_fresh(classify("PutKeyPolicy", &error)))?;
        Ok(())
    }

    pub(super) async fn set_description(&self, id: &str, desired: &KmsKey) -> Result<(), Failure> {
        let call = self
            .0
            .kms
            .update_key_description()
            .key_id(id)
            .description(&desired.description);
        call.send()
            .await
            .map_err(|error| classify("UpdateKeyDescription", &error))?;
        Ok(())
    }

    pub(super) async fn set_rotation(&self, id: &str, desired: &KmsKey) -> Result<(), Failure> {
        if let Some(days) = desired.rotation_period_days {
            let call = self
                .0
                .kms
                .enable_key_rotation()
                .key_id(id)
                .rotation_period_in_days(days);
            call.send()
                .await
                .map_err(|error| classify("EnableKeyRotation", &error))?;
        } else {
            let call = self.0.kms.disable_key_rotation().key_id(id);
            call.send()
                .await
                .map_err(|error| classify("DisableKeyRotation", &error))?;
        }
        Ok(())
    }

    pub(super) async fn set_tags(&self, id: &str, desired: &KmsKey) -> Result<(), Failure> {
        let call = self
            .0
            .kms
            .tag_resource()
            .key_id(id)
            .set_tags(Some(kms_tags(desired)?));
        call.send()
            .await
            .map_err(|error| classify("TagResource", &error))?;
        Ok(())
    }
}

/// KMS refuses a policy that names a role it has not heard of, and it hears of new ones some seconds after IAM.
fn principal_may_be_fresh(mut failure: Failure) -> Failure {
    if failure.code.as_deref() == Some("MalformedPolicyDocumentException")
        && failure.message.contains("invalid principals")
    {
        failure.class = Class::NotReady;
    }
    failure
}

fn kms_tags(desired: &KmsKey) -> Result<Vec<Tag>, Failure> {
    let mut tags = desired.tags.clone();
    if let Some(alias) = &desired.alias {
        tags.insert(ALIAS_TAG.to_owned(), alias.clone());
    }
    tags.iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(Class::Bug, format!("a tag of a KMS key: {error}")))
}
