//! Whether anything needs the key of a Platform that is about to go, as far as can be seen
//! (`docs/decisions/0033-the-key-outlives-what-it-encrypts.md`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use shopkeeper_api::Platform;
use shopkeeper_aws::{Age, Scope, kms};
use shopkeeper_kube::Error;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Tags},
    failure::Failure,
    observed::Observation,
    resolve::platform::{KeyNeed, key_alias},
    resource::{ResourceKey, ResourceKind},
};

use super::Subject;
use crate::accounts::Session;

impl Subject<'_, Platform> {
    /// Why the key stays. Failures of AWS that pass by themselves are given back: the key goes no sooner than it is known.
    pub(super) async fn key_need(
        &self,
        session: &Session,
        scope: &Scope,
    ) -> Result<Result<Option<KeyNeed>, Failure>, Error> {
        let retained = self.retained().await?;
        Ok(match self.seen_need(session, scope, retained).await {
            Err(failure) if failure.class.is_silence() => Err(failure),
            Err(failure) => Ok(Some(KeyNeed::Unseen(failure))),
            Ok(need) => Ok(need),
        })
    }

    /// What is known, and what AWS tells: how old the key is, and what of this cluster it encrypts. Snapshots and backups are not looked
    /// at.
    async fn seen_need(
        &self,
        session: &Session,
        scope: &Scope,
        retained: BTreeMap<String, String>,
    ) -> Result<Option<KeyNeed>, Failure> {
        let alias = key_alias(&self.owner.name);
        // There is none, or its deletion is scheduled and its alias gone.
        let Some(made) = kms::made_at(&session.account, &alias).await? else {
            return Ok(None);
        };
        if !retained.is_empty() {
            return Ok(Some(KeyNeed::Retained(retained)));
        }
        let kind = ResourceKind::Aws(AwsKind::KmsKey);
        if !self.inventory().keys().any(|owned| owned.kind == kind) {
            return Ok(Some(KeyNeed::StatusIsLost));
        }
        let since = self.object.metadata.creation_timestamp.as_ref();
        if since.is_some_and(|since| made < SystemTime::from(since.0)) {
            return Ok(Some(KeyNeed::IsOlder));
        }
        let key = ResourceKey::aws(AwsKind::KmsKey, alias);
        let age = Age::now();
        let (ours, nobody) = (
            BTreeSet::from([key.clone()]),
            Scope {
                owner_tags: Tags::new(),
                ..scope.clone()
            },
        );
        let seen = session.observer.observe(&ours, scope, age).await;
        let arn = match seen.get(&key) {
            Some(Observation::Present(present)) => present.arn.clone(),
            Some(Observation::Unknown(failure)) => return Err(failure.clone()),
            Some(Observation::Absent) | None => None,
        };
        let Some(arn) = arn else { return Ok(None) };
        let mut tagged = session.account.tagged_in_cluster(&nobody).await?;
        tagged.retain(|key| is_encrypted(key) && key.kind != ResourceKind::Aws(AwsKind::KmsKey));
        let seen = session.observer.observe(&tagged, &nobody, age).await;
        let mut encrypts = BTreeSet::new();
        for (key, observation) in seen {
            match observation {
                Observation::Unknown(failure) => return Err(failure),
                Observation::Present(present) if is_encrypted_by(&present.resource, &arn) => {
                    encrypts.insert(key.to_string());
                }
                Observation::Present(_) | Observation::Absent => {}
            }
        }
        Ok((!encrypts.is_empty()).then_some(KeyNeed::Encrypts(encrypts)))
    }
}

/// Kinds that hold something which a key of KMS encrypts.
fn is_encrypted(key: &ResourceKey) -> bool {
    matches!(
        key.kind,
        ResourceKind::Aws(
            AwsKind::RdsInstance
                | AwsKind::DynamoDbTable
                | AwsKind::CacheReplicationGroup
                | AwsKind::S3Bucket
                | AwsKind::SqsQueue
                | AwsKind::SecretsManagerSecret
        )
    )
}

/// Services tell the key by its ARN or by its id.
fn is_encrypted_by(resource: &AwsResource, arn: &str) -> bool {
    let id = arn.rsplit('/').next().unwrap_or(arn);
    let fields = resource.to_value();
    fields["kmsKeyArn"]
        .as_str()
        .is_some_and(|key| key == arn || key.rsplit('/').next() == Some(id))
}
