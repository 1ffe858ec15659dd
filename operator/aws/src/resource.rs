//! What every kind of AWS resource implements.

use async_trait::async_trait;
use shopkeeper_plan::{
    aws::AwsSpecification,
    failure::Failure,
    observed::{Lifecycle, Notes, Present},
    outputs::Outputs,
    plan::DeleteMode,
    resource::ResourceKey,
    sensitive::fingerprint,
};

use crate::account::Scope;

/// A resource that exists, as AWS reports it. See [`Present`] for the fields.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// In the terms of what can be desired of it.
    pub resource: T,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Its ARN.
    pub arn: Option<String>,
    /// The id AWS needs to change it, where that is neither name nor ARN.
    pub id: Option<String>,
    /// What it tells those that use it.
    pub outputs: Outputs,
    /// Whether it holds no data, for kinds whose data cannot be saved.
    pub empty: Option<bool>,
    /// What a person should know of its state.
    pub note: Option<Notes>,
}

impl<T: AwsSpecification> Found<T> {
    /// A resource that is there and open for changes.
    pub fn available(resource: T) -> Self {
        Self {
            resource,
            lifecycle: Lifecycle::Available,
            arn: None,
            id: None,
            outputs: Outputs::new(),
            empty: None,
            note: None,
        }
    }
}

impl<T: AwsSpecification + Into<shopkeeper_plan::aws::AwsResource>> From<Found<T>> for Present {
    fn from(found: Found<T>) -> Self {
        let Found {
            resource,
            lifecycle,
            arn,
            id,
            outputs,
            empty,
            note,
        } = found;
        Self {
            resource: resource.into(),
            lifecycle,
            arn,
            id,
            outputs,
            empty,
            note,
        }
    }
}

/// Makes a repeated deletion the same deletion: a hash of whose resource it is and of the generation that wants it gone. Last snapshots
/// and backups are named by it, together with what tells one incarnation from another where the service has no other way
/// ([`Self::of_incarnation`]).
///
/// Creations and changes have no token: see `docs/decisions/0008-no-retries-below-the-pass.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionToken(String);

impl DeletionToken {
    /// The token for a resource of the custom resource with this uid, at this generation of it.
    #[must_use]
    pub fn new(owner_uid: &str, key: &ResourceKey, generation: i64) -> Self {
        Self(
            fingerprint(
                format!(
                    "{owner_uid}\n{}\n{}\ndelete\n{generation}",
                    key.kind.id(),
                    key.name
                )
                .as_bytes(),
            )[..36]
                .to_owned(),
        )
    }

    /// The token for one of several resources that had the same name one after the other.
    #[must_use]
    pub fn of_incarnation(&self, incarnation: &str) -> Self {
        Self(fingerprint(format!("{}\n{incarnation}", self.0).as_bytes())[..36].to_owned())
    }

    /// 36 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Observes and changes the resources of one kind. Every method makes as few calls as it can and never waits for AWS to
/// finish what a call started.
#[async_trait]
pub trait ResourceApi<T: AwsSpecification>: Send + Sync {
    /// Looks it up by its name ([`AwsSpecification::name`]). `None` where AWS says that it does not exist.
    ///
    /// # Errors
    /// Any other answer; nothing may be concluded from it.
    async fn observe(&self, name: &str, scope: &Scope) -> Result<Option<Found<T>>, Failure>;

    /// Starts making it, with tags, in one call wherever AWS allows; settings that AWS only takes later are brought by
    /// [`Self::update`].
    ///
    /// # Errors
    /// AWS's refusal. That it exists already is [`shopkeeper_plan::failure::Class::Conflict`]: the next pass sees whose it is.
    async fn create(&self, desired: &T) -> Result<(), Failure>;

    /// One call that brings at least one of the fields nearer to what is desired: the first of them that AWS takes in its
    /// present state, with all others that the same call can carry. `fields` names what differs, as in
    /// [`AwsSpecification::FIELDS`], and `tags`. Tags: adds ours, removes none.
    ///
    /// # Errors
    /// AWS's refusal.
    async fn update(&self, desired: &T, found: &Found<T>, fields: &[String])
    -> Result<(), Failure>;

    /// One call that brings it nearer to its end: lifts a deletion protection, takes the last snapshot or backup, empties
    /// a page of it, or deletes it. That it is gone already is a success.
    ///
    /// # Errors
    /// AWS's refusal; `NotReady` where a snapshot has to be finished first.
    async fn delete(
        &self,
        found: &Found<T>,
        mode: DeleteMode,
        token: &DeletionToken,
    ) -> Result<(), Failure>;
}
