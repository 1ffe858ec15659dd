//! KMS key and alias.

use std::{cmp::Reverse, collections::BTreeMap, time::SystemTime};

use async_trait::async_trait;
use aws_sdk_kms::{
    primitives::DateTime,
    types::{KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType},
};
use futures::future::join_all;
use serde_json::Value;
use shopkeeper_plan::{
    aws::{KmsKey, Tags},
    facts::KeyFacts,
    failure::{Class, Failure},
    names::OWNER_UID_TAG,
    observed::{Lifecycle, Matter, Note, Notes},
    outputs::Outputs,
    plan::DeleteMode,
};

use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    parts::{part, trailed_setting},
    resource::{DeletionToken, Found, ResourceApi},
    resourcegroupstagging,
};

pub(crate) struct KeyApi<'a>(pub(crate) &'a Account);

pub(super) const NOT_FOUND: &[&str] = &["NotFoundException"];

/// An alias of that name exists, for this key or another.
const ALIAS_TAKEN: &str = "AlreadyExistsException";

/// Tag with the alias that a key is made for. An owner may have several keys, and a key whose alias was not made yet is
/// known by nothing else.
pub(crate) const ALIAS_TAG: &str = "shopkeeper.dev/kms-alias";

/// The one policy that a key has; KMS knows no other name.
pub(super) const POLICY_NAME: &str = "default";

/// Keys whose tags are read at a time while a key is looked for by its tags.
const CONCURRENT_READS: usize = 8;

#[async_trait]
impl ResourceApi<KmsKey> for KeyApi<'_> {
    /// By alias, or else by tags. One of ours that is pending deletion only counts while it has its alias: it can be brought back, and
    /// its alias has to go before the deletion is complete. One of an earlier custom resource of the same name counts without: what it
    /// encrypted is lost with it.
    async fn observe(&self, name: &str, scope: &Scope) -> Result<Option<Found<KmsKey>>, Failure> {
        let described = part("DescribeKey", self.describe(name)).await?;
        let mut notes = Vec::new();
        let (metadata, alias) = match described {
            Some(metadata) => (metadata, Some(name.to_owned())),
            None => {
                let mut found = self
                    .find_by_tags(name, &scope.owner_tags)
                    .await?
                    .into_iter();
                let metadata = match found.next() {
                    Some(tagged) => tagged.metadata,
                    None => match self.made_lately(name).await? {
                        Some(metadata) => metadata,
                        None => return Ok(None),
                    },
                };
                notes.extend(found.map(|other| other.as_second()));
                (metadata, None)
            }
        };
        let id = metadata.key_id();
        let (policy, rotation, tags) = futures::join!(
            trailed_setting("GetKeyPolicy", self.policy(id)),
            trailed_setting("GetKeyRotationStatus", self.rotation(&metadata)),
            resourcegroupstagging::tags(
                self.0,
                metadata.arn().unwrap_or_default(),
                format!("ListResourceTags {id}"),
                self.tags(id)
            )
        );
        let resource = KmsKey {
            alias,
            description: metadata.description().unwrap_or_default().to_owned(),
            policy: policy?,
            rotation_period_days: rotation?,
            enabled: metadata.enabled(),
            tags: tags?,
        };
        let arn = metadata.arn().map(str::to_owned);
        let (lifecycle, note) = lifecycle(&metadata);
        notes.extend(note);
        let outputs = Outputs::new().with_optional("arn", arn.clone());
        Ok(Some(Found {
            lifecycle,
            arn,
            id: Some(id.to_owned()),
            outputs,
            note: Notes::of(notes),
            ..Found::available(resource)
        }))
    }

    /// The key with its policy and tags, and its alias at once. KMS takes no client token and its lists lag behind, so that a
    /// pass soon after could miss a key that has no alias and make another: what was made is remembered for as long. Rotation is
    /// brought by [`Self::update`].
    async fn create(&self, desired: &KmsKey) -> Result<(), Failure> {
        let purpose = desired.alias.as_deref().unwrap_or_default();
        let id = match self.0.made.lately(purpose) {
            Some(Some(id)) => id,
            Some(None) => {
                return Err(Failure::new(
                    Class::NotReady,
                    "CreateKey was not answered: a key may have been made, and is looked for before another one is",
                ));
            }
            None => match self.make_key(desired, purpose).await? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        let made = self.make_alias(&id, desired).await;
        if made
            .as_ref()
            .is_err_and(|failure| failure.code.as_deref() == Some(ALIAS_TAKEN))
        {
            match self.describe(purpose).await? {
                // It was made, and the answer was lost.
                Some(other) if other.key_id() == id => return Ok(()),
                // The alias was made meanwhile for another key. Nothing uses the new one yet, and nobody would find it.
                Some(_) => {
                    self.0.made.forget(purpose);
                    self.schedule_deletion(&id).await?;
                }
                None => {}
            }
        }
        made
    }

    async fn update(
        &self,
        desired: &KmsKey,
        found: &Found<KmsKey>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let id = id_of(found)?;
        // A disabled key takes no rotation, and one pending deletion takes nothing else.
        if fields.iter().any(|field| field == "enabled") {
            return self.enable(id).await;
        }
        match fields.first().map(String::as_str) {
            Some("alias") => self.make_alias(id, desired).await,
            Some("policy") => self.set_policy(id, desired).await,
            Some("description") => self.set_description(id, desired).await,
            Some("rotationPeriodDays") => self.set_rotation(id, desired).await,
            // It is taken over. KMS takes no tags for a key that is pending deletion.
            Some("tags") if is_scheduled(found) => self.call_off_deletion(id).await,
            Some("tags") => self.set_tags(id, desired).await,
            other => Err(Failure::new(
                Class::Bug,
                format!(
                    "a KMS key has no field {} to change",
                    other.unwrap_or("at all")
                ),
            )),
        }
    }

    /// First the deletion is scheduled, then the alias goes. In between the key is still found by its alias, so that an
    /// interruption is made good; in the other order it could be found by its tags alone, which anybody may remove.
    async fn delete(
        &self,
        found: &Found<KmsKey>,
        mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        if mode != DeleteMode::Everything {
            return Err(Failure::new(
                Class::Bug,
                "a KMS key must not go while snapshots that it encrypts are kept",
            ));
        }
        let id = id_of(found)?;
        if let Some(alias) = &found.resource.alias {
            self.0.made.forget(alias);
        }
        // Scheduled before, by us or by somebody else: asking again would be refused each time.
        if !is_scheduled(found) {
            self.schedule_deletion(id).await?;
        }
        let Some(alias) = &found.resource.alias else {
            return Ok(());
        };
        match self.0.kms.delete_alias().alias_name(alias).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteAlias", &error)),
        }
    }
}

/// What is read.
impl KeyApi<'_> {
    async fn describe(&self, id_or_alias: &str) -> Result<Option<KeyMetadata>, Failure> {
        match self.0.kms.describe_key().key_id(id_or_alias).send().await {
            Ok(answer) => Ok(answer.key_metadata),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeKey", &error)),
        }
    }

    /// The keys made for this alias by this owner, or by an earlier custom resource of the same name, where the alias was not made or is
    /// gone: the one to use comes first. KMS cannot search by tags: every key of the account is looked at, which happens only while there
    /// is no alias.
    async fn find_by_tags(
        &self,
        alias: &str,
        owner_tags: &Tags,
    ) -> Result<Vec<TaggedKey>, Failure> {
        // Nobody's tags would be on every key.
        if owner_tags.is_empty() {
            return Ok(Vec::new());
        }
        let keys = part("ListKeys", self.all_keys()).await?;
        let mut made_for_it: Vec<(String, bool)> = Vec::new();
        // Some at a time and each to its end: where one is refused, the next pass goes on with what these told.
        for some in keys.chunks(CONCURRENT_READS) {
            let read = join_all(some.iter().map(|id| async move {
                let name = format!("ListResourceTags {id}");
                let tags = part(name, self.tags_of_any(id)).await?;
                let has = |(key, value): (&String, &String)| tags.get(key) == Some(value);
                let mut of_the_name = owner_tags.iter().filter(|(key, _)| *key != OWNER_UID_TAG);
                let is_it =
                    tags.get(ALIAS_TAG).is_some_and(|value| value == alias) && of_the_name.all(has);
                Ok(is_it.then(|| (id.clone(), owner_tags.iter().all(has))))
            }));
            for found in read.await {
                let found: Result<Option<(String, bool)>, Failure> = found;
                made_for_it.extend(found?);
            }
        }
        let mut found = Vec::new();
        for (id, is_ours) in made_for_it {
            if let Some(metadata) = part(format!("DescribeKey {id}"), self.describe(&id)).await?
                && !(is_ours && is_pending_deletion(&metadata))
            {
                found.push(TaggedKey { metadata, is_ours });
            }
        }
        found.sort_by_cached_key(TaggedKey::rank);
        Ok(found)
    }

    /// The key that was made for this alias a moment ago, which lists may not show yet.
    async fn made_lately(&self, alias: &str) -> Result<Option<KeyMetadata>, Failure> {
        let Some(Some(id)) = self.0.made.lately(alias) else {
            return Ok(None);
        };
        let found = part(format!("DescribeKey {id}"), self.describe(&id)).await?;
        Ok(found.filter(|metadata| !is_pending_deletion(metadata)))
    }

    async fn all_keys(&self) -> Result<Vec<String>, Failure> {
        let mut keys = Vec::new();
        let mut pages = self.0.kms.list_keys().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ListKeys", &error))?;
            keys.extend(page.keys.into_iter().flatten().filter_map(|key| key.key_id));
        }
        Ok(keys)
    }

    async fn policy(&self, id: &str) -> Result<Option<Value>, Failure> {
        let call = self
            .0
            .kms
            .get_key_policy()
            .key_id(id)
            .policy_name(POLICY_NAME);
        let answer = call
            .send()
            .await
            .map_err(|error| classify("GetKeyPolicy", &error))?;
        answer
            .policy()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| Failure::new(Class::Bug, "GetKeyPolicy: the key policy is no JSON"))
    }

    /// Days between rotations, where the key is rotated. KMS does not tell it of a key pending deletion, which is not rotated.
    async fn rotation(&self, metadata: &KeyMetadata) -> Result<Option<i32>, Failure> {
        /// What KMS rotates by where nobody said anything else.
        const DEFAULT_PERIOD_DAYS: i32 = 365;
        if is_pending_deletion(metadata) {
            return Ok(None);
        }
        let answer = self
            .0
            .kms
            .get_key_rotation_status()
            .key_id(metadata.key_id())
            .send()
            .await;
        let answer = answer.map_err(|error| classify("GetKeyRotationStatus", &error))?;
        let period = answer.rotation_period_in_days();
        let enabled = answer.key_rotation_enabled();
        Ok(enabled.then(|| period.unwrap_or(DEFAULT_PERIOD_DAYS)))
    }

    async fn tags(&self, id: &str) -> Result<Tags, Failure> {
        let mut tags = BTreeMap::new();
        let mut pages = self
            .0
            .kms
            .list_resource_tags()
            .key_id(id)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ListResourceTags", &error))?;
            tags.extend(
                page.tags
                    .into_iter()
                    .flatten()
                    .map(|tag| (tag.tag_key, tag.tag_value)),
            );
        }
        Ok(tags)
    }

    /// The tags of a key that may not be ours. Its own policy may keep us out, or it may have gone meanwhile: not ours.
    async fn tags_of_any(&self, id: &str) -> Result<Tags, Failure> {
        match self.tags(id).await {
            Err(failure) if failure.class == Class::Denied => Ok(Tags::new()),
            Err(failure)
                if failure
                    .code
                    .as_deref()
                    .is_some_and(|code| NOT_FOUND.contains(&code)) =>
            {
                Ok(Tags::new())
            }
            other => other,
        }
    }
}

/// A key that was made for an alias which it does not have.
struct TaggedKey {
    metadata: KeyMetadata,
    /// It was made by this custom resource, and not by an earlier one of the same name.
    is_ours: bool,
}

impl TaggedKey {
    /// Always the same one comes first, should there be several: ours, else the one that encrypted last.
    fn rank(&self) -> (bool, bool, Reverse<i64>, String) {
        let made = self.metadata.creation_date().map(DateTime::secs);
        (
            !self.is_ours,
            is_pending_deletion(&self.metadata),
            Reverse(made.unwrap_or_default()),
            self.metadata.key_id().to_owned(),
        )
    }

    /// What there is to say of one that another one comes before.
    fn as_second(&self) -> Note {
        let id = self.metadata.key_id();
        Note::danger(if self.is_ours {
            format!(
                "the key {id} has the same tags and no alias: nothing uses it, schedule its deletion in KMS"
            )
        } else if is_pending_deletion(&self.metadata) {
            format!(
                "the key {id} of an earlier custom resource of this name is pending deletion: cancel that in KMS if anything is left \
                 that it encrypts"
            )
        } else {
            format!(
                "the key {id} was made by an earlier custom resource of this name, and is not used"
            )
        })
    }
}

fn is_scheduled(found: &Found<KmsKey>) -> bool {
    found
        .note
        .iter()
        .flat_map(Notes::matters)
        .any(|matter| *matter == Matter::DeletionIsScheduled)
}

/// A key that is brought along. `None` where KMS has none of that ARN.
///
/// # Errors
/// Those of `DescribeKey`.
pub async fn key_facts(account: &Account, arn: &str) -> Result<Option<KeyFacts>, Failure> {
    let described = KeyApi(account).describe(arn).await?;
    Ok(described.map(|metadata| {
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        KeyFacts {
            state: word(metadata.key_state().map(KeyState::as_str)),
            usage: word(metadata.key_usage().map(KeyUsageType::as_str)),
            spec: word(metadata.key_spec().map(KeySpec::as_str)),
            is_managed_by_aws: metadata.key_manager() == Some(&KeyManagerType::Aws),
        }
    }))
}

/// When a key was made. `None` where there is none.
///
/// # Errors
/// Those of `DescribeKey`.
pub async fn made_at(account: &Account, id_or_alias: &str) -> Result<Option<SystemTime>, Failure> {
    let described = KeyApi(account).describe(id_or_alias).await?;
    Ok(described.and_then(|metadata| SystemTime::try_from(*metadata.creation_date()?).ok()))
}

fn is_pending_deletion(metadata: &KeyMetadata) -> bool {
    matches!(
        metadata.key_state(),
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)
    )
}

fn lifecycle(metadata: &KeyMetadata) -> (Lifecycle, Option<Note>) {
    match metadata.key_state() {
        Some(KeyState::Creating) => (Lifecycle::Creating, None),
        Some(KeyState::Updating) => (Lifecycle::Modifying, None),
        Some(KeyState::Disabled) => (
            Lifecycle::Available,
            Some(Note::danger("the key is disabled")),
        ),
        // Open for the two changes there are: to call it off, and to take its alias away.
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => (
            Lifecycle::Available,
            Some(
                Note::danger("the deletion of the key is scheduled")
                    .about(Matter::DeletionIsScheduled),
            ),
        ),
        Some(state @ (KeyState::PendingImport | KeyState::Unavailable)) => (
            Lifecycle::Failed(format!("the key is in state {}", state.as_str())),
            None,
        ),
        _ => (Lifecycle::Available, None),
    }
}

fn id_of(found: &Found<KmsKey>) -> Result<&str, Failure> {
    found
        .id
        .as_deref()
        .ok_or_else(|| Failure::new(Class::Bug, "a KMS key without an id"))
}
