//! What AWS has that carries the tags of a custom resource, whatever an inventory says: a status can be lost, and an inventory with it
//! (`docs/decisions/0039-what-a-lost-inventory-left.md`).
//!
//! Nothing is concluded from this alone. The lists lag behind what was made and deleted: what they name is looked at by its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use shopkeeper_plan::{
    aws::{AwsKind, Tags},
    failure::Failure,
    names::{CLUSTER_TAG, OWNER_UID_TAG, Owner, RETAINED_TAG},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    account::{Account, Scope},
    applicationautoscaling::targets_of,
    eks::associations_of,
    iam::tagged_roles,
    parts::part,
    resourcegroupstagging::{self, key_of},
    sns::subscriptions_of,
};

/// What was found, and why not more.
#[derive(Debug, Default)]
pub struct Owned {
    /// The resources.
    pub keys: BTreeSet<ResourceKey>,
    /// The first call that was refused. What the others told is there all the same.
    pub failure: Option<Failure>,
}

impl Owned {
    fn note<T: Default>(&mut self, answer: Result<T, Failure>) -> T {
        answer.unwrap_or_else(|failure| {
            self.failure.get_or_insert(failure);
            T::default()
        })
    }
}

impl Account {
    /// Everything that carries the tags of an owner, or hangs on what does. `known` is what is known otherwise: of what has no tags, what
    /// hangs on that is found as well. Subscriptions are left out where the owner `is_ending`: they end with their topics.
    pub async fn owned(
        &self,
        owner: &Owner,
        scope: &Scope,
        known: &BTreeSet<ResourceKey>,
        is_ending: bool,
    ) -> Owned {
        let wanted = owner_tags(scope);
        let mut owned = Owned::default();
        if wanted.is_empty() {
            return owned;
        }
        let tagged = resourcegroupstagging::tagged(self, &wanted);
        let tagged = owned.note(part("what carries the tags", tagged).await);
        owned.keys.extend(keys(&tagged, &wanted, scope));
        // A Platform has no namespace, and nothing but its key.
        if owner.namespace.is_empty() {
            return owned;
        }
        let roles = part("roles", tagged_roles(self, &wanted)).await;
        let roles = owned.note(roles).into_iter();
        owned
            .keys
            .extend(roles.map(|name| ResourceKey::aws(AwsKind::IamRole, name)));
        let associations = associations_of(self, &scope.cluster, &owner.namespace);
        let associations = owned.note(part("associations", associations).await);
        // An association is called by its id, and the list leaves its tags out: those that may be ours are told apart by looking at each.
        owned.keys.extend(
            associations
                .into_iter()
                .filter(|association| {
                    tagged.contains_key(&association.arn)
                        || association.service_account.starts_with(&owner.name)
                })
                .map(|association| {
                    let account = &association.service_account;
                    let name = format!("{}/{}/{account}", scope.cluster, owner.namespace);
                    ResourceKey::aws(AwsKind::PodIdentityAssociation, name)
                }),
        );
        let all: BTreeSet<&ResourceKey> = owned.keys.iter().chain(known).collect();
        let of = |kind| {
            all.iter()
                .filter(move |key| key.kind == ResourceKind::Aws(kind))
        };
        let tables: BTreeSet<String> = of(AwsKind::DynamoDbTable)
            .map(|key| key.name.clone())
            .collect();
        let topics: BTreeSet<String> = of(AwsKind::SnsTopic)
            .filter(|_| !is_ending)
            .map(|key| crate::arn::regional(scope, "sns", &key.name))
            .collect();
        let targets = part("scalable targets", targets_of(self, &tables)).await;
        let targets = owned.note(targets).into_iter();
        owned
            .keys
            .extend(targets.map(|name| ResourceKey::aws(AwsKind::ScalableTarget, name)));
        for topic in topics {
            let name = format!("subscriptions of {topic}");
            let subscriptions = part(name, subscriptions_of(self, &topic)).await;
            let subscriptions = owned.note(subscriptions).into_iter();
            owned
                .keys
                .extend(subscriptions.map(|name| ResourceKey::aws(AwsKind::SnsSubscription, name)));
        }
        owned
    }

    /// The resources that somebody of this cluster owns, or owned, whatever has become of the owner.
    ///
    /// # Errors
    /// Those of `GetResources`.
    pub async fn tagged_in_cluster(&self, scope: &Scope) -> Result<BTreeSet<ResourceKey>, Failure> {
        let cluster = scope.cluster_arn().to_string();
        let wanted = Tags::from([(CLUSTER_TAG.to_owned(), cluster)]);
        let tagged = resourcegroupstagging::tagged(self, &wanted).await?;
        Ok(tagged
            .iter()
            .filter_map(|(arn, tags)| key_of(arn, tags, scope))
            .collect())
    }

    /// What a description of everything that has an owner tells of this one, where there is one that is newer than `after`, with when it
    /// was asked for. Makes no call.
    pub async fn listed_as_owned(
        &self,
        scope: &Scope,
        after: Option<Instant>,
    ) -> Option<(Instant, BTreeSet<ResourceKey>)> {
        let wanted = owner_tags(scope);
        if wanted.is_empty() {
            return None;
        }
        let is_wanted = |tags: &Tags| has(tags, &wanted);
        let (asked, tagged) = self.listings.tags.newer(after, is_wanted).await?;
        let keys = keys(&tagged.into_iter().collect(), &wanted, scope);
        Some((asked, keys))
    }
}

/// The tags that make a resource ours; whose path it is in says nothing of who made it.
fn owner_tags(scope: &Scope) -> Tags {
    let is_told =
        |(key, _): &(&String, &String)| [OWNER_UID_TAG, CLUSTER_TAG].contains(&key.as_str());
    scope
        .owner_tags
        .iter()
        .filter(is_told)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Whether all of these tags are among others.
pub(crate) fn has(tags: &Tags, wanted: &Tags) -> bool {
    wanted
        .iter()
        .all(|(key, value)| tags.get(key) == Some(value))
}

/// The resources of an owner. What was kept when it stopped being declared is not among them.
fn keys(tagged: &BTreeMap<String, Tags>, wanted: &Tags, scope: &Scope) -> BTreeSet<ResourceKey> {
    tagged
        .iter()
        .filter(|(_, tags)| has(tags, wanted) && !tags.contains_key(RETAINED_TAG))
        .filter_map(|(arn, tags)| key_of(arn, tags, scope))
        .collect()
}
