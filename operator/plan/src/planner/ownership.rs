//! Whose a resource is. A resource of somebody else is never changed.

use serde_json::Value;

use super::{AdoptionPolicy, Input};
use crate::{
    aws::{AwsKind, AwsResource, SnsSubscription, Tags},
    failure::{Class, Failure},
    kubernetes::{KubernetesKind, object::SHOPKEEPER},
    names::{CLUSTER_TAG, OWNER_TAG, OWNER_UID_TAG},
    observed::{Observation, Present},
    resource::{ResourceKey, ResourceKind},
};

/// Whose a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It carries our owner's uid.
    Ours,
    /// It may be taken over.
    Adoptable,
    /// It may not; the failure says why and what to do.
    Foreign(Failure),
    /// Whose it is cannot be said before AWS answers.
    Unknown(Failure),
}

/// Whose a resource is by its tags alone, as far as that can be said without a policy.
pub(super) fn of(present: &Present, input: &Input<'_>) -> Ownership {
    let is_ours = |tags: &Tags| tags.get(OWNER_UID_TAG) == Some(&input.owner.uid);
    let ours = match &present.resource {
        AwsResource::SnsSubscription(subscription) => match topic_of(subscription, input) {
            Some(Observation::Present(topic)) => is_ours(topic.tags()),
            Some(Observation::Unknown(failure)) => return Ownership::Unknown(failure.clone()),
            Some(Observation::Absent) | None => false,
        },
        _ => is_ours(present.tags()),
    };
    if ours {
        Ownership::Ours
    } else {
        Ownership::Adoptable
    }
}

/// SNS has no tags for subscriptions: one belongs to whom its topic belongs. The inventory does not count: anybody who may write a
/// status could name there what is not ours.
fn topic_of<'a>(subscription: &SnsSubscription, input: &'a Input<'_>) -> Option<&'a Observation> {
    let name = subscription.topic_arn.rsplit(':').next()?;
    let found = input
        .observed
        .aws
        .get(&ResourceKey::aws(AwsKind::SnsTopic, name))?;
    match found {
        // One of the same name in another account or region is another one.
        Observation::Present(topic) if !matches!(&topic.resource, AwsResource::SnsTopic(topic) if topic.arn == subscription.topic_arn) => {
            None
        }
        found => Some(found),
    }
}

/// Why a resource that was ours is left alone, and what a person can do.
pub(super) fn lost(key: &ResourceKey, present: &Present, input: &Input<'_>) -> Failure {
    if let AwsResource::SnsSubscription(_) = present.resource {
        return Failure::new(
            Class::NotReady,
            "left in AWS, since its topic is not known to be ours",
        )
        .with_code("NotOurs")
        .with_remedy("unsubscribe it in SNS if nobody needs it");
    }
    let whose = match present.tags().get(OWNER_TAG) {
        Some(other) if *other != input.owner.path() => format!(", and belongs to {other}"),
        _ => String::new(),
    };
    Failure::new(
        Class::NotReady,
        format!(
            "left in AWS, since it does not carry the tag {OWNER_UID_TAG}={} any more{whose}",
            input.owner.uid
        ),
    )
    .with_code("NotOurs")
    .with_remedy(format!(
        "delete the {} in AWS if nobody needs it",
        key.kind.title()
    ))
}

/// Why an object that somebody else made is left alone: an apply would take it over.
#[must_use]
pub fn foreign_object(key: &ResourceKey, body: &Value) -> Failure {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    // That of a binding, which may be called otherwise without renaming all the rest.
    let another_name = if key.kind == ResourceKind::Kubernetes(KubernetesKind::Secret) {
        "give the binding another secretName"
    } else {
        "give this custom resource another name"
    };
    let references = body.pointer("/metadata/ownerReferences");
    let owner = references.and_then(Value::as_array).and_then(|references| {
        let controls = |reference: &&Value| reference["controller"] == true;
        references.iter().find(controls).or(references.first())
    });
    let (whose, remedy) = if let Some(owner) = owner {
        let text = |member: &str| owner[member].as_str().unwrap_or_default();
        let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str);
        let of_ours = text("apiVersion").starts_with(&format!("{}/", shopkeeper_api::GROUP));
        (
            format!(
                "belongs to {}/{}/{}",
                text("kind"),
                namespace.unwrap_or_default(),
                text("name")
            ),
            if of_ours {
                "delete the other one"
            } else {
                "delete that object with what it belongs to"
            },
        )
    } else {
        let manager = text("/metadata/labels/app.kubernetes.io~1managed-by");
        (
            match manager.filter(|manager| *manager != SHOPKEEPER) {
                Some(manager) => format!("is managed by {manager}"),
                None => "belongs to no custom resource".to_owned(),
            },
            "delete that object",
        )
    };
    Failure::new(Class::Invalid, format!("{key} exists and {whose}"))
        .with_code("NotOurs")
        .with_remedy(format!("{another_name}, or {remedy}"))
}

/// Whose a resource is under the adoption policy.
pub(super) fn judge(key: &ResourceKey, present: &Present, input: &Input<'_>) -> Ownership {
    match of(present, input) {
        Ownership::Adoptable => {}
        known => return known,
    }
    if let AwsResource::SnsSubscription(_) = present.resource {
        // What there is to do, the topic says.
        return Ownership::Foreign(Failure::new(
            Class::NotReady,
            format!("{key} exists, and its topic is not known to be ours"),
        ));
    }
    let tags = present.tags();
    let path = input.owner.path();
    let same_owner = tags.get(OWNER_TAG) == Some(&path)
        && tags.get(CLUSTER_TAG).map(String::as_str) == Some(input.cluster.as_str());
    let owned = tags.get(OWNER_TAG).is_some() || tags.get(OWNER_UID_TAG).is_some();
    let allowed = match input.policies.adoption {
        AdoptionPolicy::Never => false,
        AdoptionPolicy::IfTagged => same_owner,
        AdoptionPolicy::Adopt => same_owner || (!owned && input.adoptable.contains(&key.name)),
    };
    if allowed {
        return Ownership::Adoptable;
    }
    let whose = match tags.get(OWNER_TAG) {
        Some(other) if !same_owner => match tags.get(CLUSTER_TAG) {
            Some(cluster) if cluster != input.cluster.as_str() => {
                format!("belongs to {other} of EKS cluster {cluster}")
            }
            _ => format!("belongs to {other}"),
        },
        Some(_) => "was left by an earlier custom resource of this name".to_owned(),
        None if input.inventory.contains_key(key) => {
            format!("lost the tag {OWNER_TAG}, by which it is known to be ours")
        }
        None => "was not made by Shopkeeper".to_owned(),
    };
    let remedy = if owned && !same_owner {
        "give this custom resource another name (or, where a field of its specification names it, such as tableName or bucketName, \
         another name there), or delete the other one"
            .to_owned()
    } else if same_owner {
        "set policy.adoption to IfTagged to take it over".to_owned()
    } else if input.policies.adoption == AdoptionPolicy::Adopt {
        "have its name added to spec.adoption.allowedNames of the Platform to take it over"
            .to_owned()
    } else if matches!(key.kind, ResourceKind::Aws(_)) {
        format!(
            "set policy.adoption to Adopt to take it over, or tag it {OWNER_TAG}={path} and {CLUSTER_TAG}={}",
            input.cluster
        )
    } else {
        "rename the custom resource".to_owned()
    };
    Ownership::Foreign(
        Failure::new(Class::Invalid, format!("{key} exists and {whose}"))
            .with_code("NotOurs")
            .with_remedy(remedy),
    )
}
