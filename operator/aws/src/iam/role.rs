//! IAM role with its inline policies and attachments.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_iam::types::{Role, Tag};
use futures::{StreamExt, stream};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use shopkeeper_plan::{
    aws::{IamRole, Tags},
    failure::{Class, Failure},
    outputs::Outputs,
    plan::DeleteMode,
};

use super::listed_role::{ListedRole, listed_role};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    parts::setting,
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct RoleApi<'a>(pub(crate) &'a Account);

const NOT_FOUND: &[&str] = &["NoSuchEntity"];

/// Under what a role is remembered that was made or changed a moment ago.
pub(crate) fn purpose_of_role(name: &str) -> String {
    format!("role/{name}")
}

/// Inline policies read at a time; IAM throttles by account, and reads of roles share that with everybody else.
const CONCURRENT_READS: usize = 4;

#[async_trait]
impl ResourceApi<IamRole> for RoleApi<'_> {
    async fn observe(&self, name: &str, _scope: &Scope) -> Result<Option<Found<IamRole>>, Failure> {
        if let Some(ListedRole { resource, arn, id }) = listed_role(self.0, name).await {
            let outputs = Outputs::new().with("arn", &arn);
            return Ok(Some(Found {
                arn: Some(arn),
                id: Some(id),
                outputs,
                ..Found::available(resource)
            }));
        }
        let (role, inline_policies, managed_policy_arns) = futures::join!(
            setting("GetRole", self.role(name)),
            setting("inline policies", self.inline_policies(name)),
            setting("ListAttachedRolePolicies", self.managed_policies(name))
        );
        // Only GetRole says whether the role exists: IAM's lists may lag behind it.
        let Some(role) = role? else { return Ok(None) };
        let resource = IamRole {
            name: role.role_name().to_owned(),
            description: role.description().unwrap_or_default().to_owned(),
            trust_policy: document(
                "GetRole",
                role.assume_role_policy_document().unwrap_or_default(),
            )?,
            inline_policies: inline_policies?,
            managed_policy_arns: managed_policy_arns?,
            tags: role
                .tags()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
                .collect(),
        };
        let outputs = Outputs::new().with("arn", role.arn());
        Ok(Some(Found {
            arn: Some(role.arn().to_owned()),
            id: Some(role.role_id().to_owned()),
            outputs,
            ..Found::available(resource)
        }))
    }

    /// The role alone; IAM takes its policies one call each, which [`Self::update`] makes.
    async fn create(&self, desired: &IamRole) -> Result<(), Failure> {
        self.0
            .iam
            .create_role()
            .role_name(&desired.name)
            .assume_role_policy_document(desired.trust_policy.to_string())
            .description(&desired.description)
            .set_tags(Some(iam_tags(&desired.tags)?))
            .send()
            .await
            .map_err(|error| classify("CreateRole", &error))?;
        self.0.made.remember(&purpose_of_role(&desired.name), None);
        Ok(())
    }

    async fn update(
        &self,
        desired: &IamRole,
        found: &Found<IamRole>,
        fields: &[String],
    ) -> Result<(), Failure> {
        self.0.made.remember(&purpose_of_role(&desired.name), None);
        match fields.first().map(String::as_str) {
            Some("trustPolicy") => self.set_trust_policy(desired).await,
            Some("description") => self.set_description(desired).await,
            Some("inlinePolicies") => self.change_inline_policy(desired, &found.resource).await,
            Some("managedPolicyArns") => self.change_attachment(desired, &found.resource).await,
            Some("tags") => self.set_tags(desired).await,
            other => Err(Failure::new(
                Class::Bug,
                format!(
                    "an IAM role has no field {} to change",
                    other.unwrap_or("at all")
                ),
            )),
        }
    }

    /// All calls at once: IAM answers each when it has taken hold, refuses to delete a role that still has policies, and
    /// takes every one of them again after an interruption.
    async fn delete(
        &self,
        found: &Found<IamRole>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        let role = &found.resource;
        for arn in &role.managed_policy_arns {
            self.detach(&role.name, arn).await?;
        }
        for name in role.inline_policies.keys() {
            self.delete_inline_policy(&role.name, name).await?;
        }
        match self.0.iam.delete_role().role_name(&role.name).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteRole", &error)),
        }
    }
}

/// What is read.
impl RoleApi<'_> {
    async fn role(&self, name: &str) -> Result<Option<Role>, Failure> {
        match self.0.iam.get_role().role_name(name).send().await {
            Ok(answer) => Ok(answer.role),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("GetRole", &error)),
        }
    }

    async fn inline_policies(&self, role: &str) -> Result<BTreeMap<String, Value>, Failure> {
        let names = setting("ListRolePolicies", self.inline_policy_names(role)).await?;
        let read: Vec<Result<_, Failure>> = stream::iter(names)
            .map(|name| async move {
                let policy = setting(
                    format!("GetRolePolicy {name}"),
                    self.inline_policy(role, &name),
                );
                Ok(policy.await?.map(|policy| (name, policy)))
            })
            .buffer_unordered(CONCURRENT_READS)
            .collect()
            .await;
        read.into_iter().filter_map(Result::transpose).collect()
    }

    async fn inline_policy_names(&self, role: &str) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut pages = self
            .0
            .iam
            .list_role_policies()
            .role_name(role)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => names.extend(page.policy_names),
                Err(error) => return Err(missing_part("ListRolePolicies", &error)),
            }
        }
        Ok(names)
    }

    /// `None` where the policy has gone since it was listed.
    async fn inline_policy(&self, role: &str, name: &str) -> Result<Option<Value>, Failure> {
        match self
            .0
            .iam
            .get_role_policy()
            .role_name(role)
            .policy_name(name)
            .send()
            .await
        {
            Ok(answer) => document("GetRolePolicy", answer.policy_document()).map(Some),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("GetRolePolicy", &error)),
        }
    }

    async fn managed_policies(&self, role: &str) -> Result<BTreeSet<String>, Failure> {
        let mut arns = BTreeSet::new();
        let mut pages = self
            .0
            .iam
            .list_attached_role_policies()
            .role_name(role)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| missing_part("ListAttachedRolePolicies", &error))?;
            arns.extend(
                page.attached_policies
                    .into_iter()
                    .flatten()
                    .filter_map(|policy| policy.policy_arn),
            );
        }
        Ok(arns)
    }
}

/// What is changed: one call each.
impl RoleApi<'_> {
    async fn set_trust_policy(&self, desired: &IamRole) -> Result<(), Failure> {
        self.0
            .iam
            .update_assume_role_policy()
            .role_name(&desired.name)
            .policy_document(desired.trust_policy.to_string())
            .send()
            .await
            .map_err(|error| classify("UpdateAssumeRolePolicy", &error))?;
        Ok(())
    }

    async fn set_description(&self, desired: &IamRole) -> Result<(), Failure> {
        self.0
            .iam
            .update_role()
            .role_name(&desired.name)
            .description(&desired.description)
            .send()
            .await
            .map_err(|error| classify("UpdateRole", &error))?;
        Ok(())
    }

    /// Writes the first policy that differs, or else deletes the first that should not be there: what pods need comes before
    /// what they no longer need.
    async fn change_inline_policy(
        &self,
        desired: &IamRole,
        found: &IamRole,
    ) -> Result<(), Failure> {
        if let Some((name, policy)) = desired
            .inline_policies
            .iter()
            .find(|(name, policy)| found.inline_policies.get(*name) != Some(*policy))
        {
            self.0
                .iam
                .put_role_policy()
                .role_name(&desired.name)
                .policy_name(name)
                .policy_document(policy.to_string())
                .send()
                .await
                .map_err(|error| classify("PutRolePolicy", &error))?;
            return Ok(());
        }
        match found
            .inline_policies
            .keys()
            .find(|name| !desired.inline_policies.contains_key(*name))
        {
            Some(name) => self.delete_inline_policy(&desired.name, name).await,
            None => Ok(()),
        }
    }

    /// Attaches the first policy that is missing, or else detaches the first that should not be there.
    async fn change_attachment(&self, desired: &IamRole, found: &IamRole) -> Result<(), Failure> {
        if let Some(arn) = desired
            .managed_policy_arns
            .difference(&found.managed_policy_arns)
            .next()
        {
            self.0
                .iam
                .attach_role_policy()
                .role_name(&desired.name)
                .policy_arn(arn)
                .send()
                .await
                .map_err(|error| classify("AttachRolePolicy", &error))?;
            return Ok(());
        }
        match found
            .managed_policy_arns
            .difference(&desired.managed_policy_arns)
            .next()
        {
            Some(arn) => self.detach(&desired.name, arn).await,
            None => Ok(()),
        }
    }

    async fn set_tags(&self, desired: &IamRole) -> Result<(), Failure> {
        self.0
            .iam
            .tag_role()
            .role_name(&desired.name)
            .set_tags(Some(iam_tags(&desired.tags)?))
            .send()
            .await
            .map_err(|error| classify("TagRole", &error))?;
        Ok(())
    }

    async fn detach(&self, role: &str, arn: &str) -> Result<(), Failure> {
        match self
            .0
            .iam
            .detach_role_policy()
            .role_name(role)
            .policy_arn(arn)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DetachRolePolicy", &error)),
        }
    }

    async fn delete_inline_policy(&self, role: &str, name: &str) -> Result<(), Failure> {
        match self
            .0
            .iam
            .delete_role_policy()
            .role_name(role)
            .policy_name(name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteRolePolicy", &error)),
        }
    }
}

/// A role that GetRole knows and a list does not is too new for that list: nothing may be concluded.
fn missing_part<E>(operation: &str, error: &crate::error::CallError<E>) -> Failure
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut failure = classify(operation, error);
    if is_code(error, NOT_FOUND) {
        failure.class = Class::NotReady;
    }
    failure
}

/// IAM gives policy documents URL-encoded (RFC 3986), and otherwise as they were written.
pub(super) fn document(operation: &str, encoded: &str) -> Result<Value, Failure> {
    percent_decode_str(encoded)
        .decode_utf8()
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| {
            Failure::new(
                Class::Bug,
                format!("{operation}: the policy document is no JSON"),
            )
        })
}

fn iam_tags(tags: &Tags) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(Class::Bug, format!("a tag of an IAM role: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_url_encoded() {
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
        assert_eq!(
            document("GetRole", encoded),
            Ok(json!({"Version": "2012-10-17", "Statement": []}))
        );
    }

    #[test]
    fn a_plus_sign_is_not_a_space() {
        assert_eq!(document("GetRole", "%22a+b%22"), Ok(json!("a+b")));
    }
}
