//! Names of Kubernetes objects that two custom resources of one namespace can both ask for, and whose they are.
//!
//! A CatalogService and an OrderService of one name would share everything that is called as they are, and so would a service
//! `a-b` and the frontend `b` of a Storefront `a`. Sharing is worse than failing: a role of the one and a ServiceAccount of the
//! other give pods what they must not have. So exactly one of two gets the names, and the other makes nothing at all. See
//! `docs/decisions/0002-names-tags-and-the-inventory.md`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use k8s_openapi::jiff::Timestamp;
use shopkeeper_api::{Managed, Tier, exposures::ServiceExposureType};

use crate::{
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind,
        bindings::{CONFIG_MAP_SUFFIX, config_map_name},
    },
    planner::Inventory,
    resolve::{exposure_name, owner_of, secret_name, service_account},
    resource::{ResourceKey, ResourceKind},
};

/// Code of the failure of a custom resource whose names are another's.
pub const NAME_TAKEN: &str = "NameTaken";

/// A name in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Of a workload and all that is called as it is.
    Workload(String),
    /// Of a ServiceAccount.
    ServiceAccount(String),
    /// Of a Secret.
    Secret(String),
    /// Of an Ingress or an HTTPRoute. One follows the other when a Gateway takes over, and both are there meanwhile.
    Route(String),
}

/// What is called as its workload is.
const OF_WORKLOAD: [KubernetesKind; 7] = [
    KubernetesKind::Deployment,
    KubernetesKind::Service,
    KubernetesKind::HorizontalPodAutoscaler,
    KubernetesKind::PodDisruptionBudget,
    KubernetesKind::NetworkPolicy,
    KubernetesKind::ServiceMonitor,
    KubernetesKind::SecurityGroupPolicy,
];

/// What a route is, with a Gateway or without.
const OF_ROUTE: [KubernetesKind; 2] = [KubernetesKind::Ingress, KubernetesKind::HTTPRoute];

impl Name {
    /// The name that an object has. `None` for one that Shopkeeper would not call so.
    #[must_use]
    pub fn of(kind: KubernetesKind, name: &str) -> Option<Self> {
        let name = name.to_owned();
        Some(match kind {
            KubernetesKind::ServiceAccount => Self::ServiceAccount(name),
            KubernetesKind::Secret => Self::Secret(name),
            KubernetesKind::Ingress | KubernetesKind::HTTPRoute => Self::Route(name),
            KubernetesKind::ConfigMap => {
                Self::Workload(name.strip_suffix(CONFIG_MAP_SUFFIX)?.to_owned())
            }
            KubernetesKind::Deployment
            | KubernetesKind::Service
            | KubernetesKind::HorizontalPodAutoscaler
            | KubernetesKind::PodDisruptionBudget
            | KubernetesKind::NetworkPolicy
            | KubernetesKind::ServiceMonitor
            | KubernetesKind::SecurityGroupPolicy => Self::Workload(name),
        })
    }

    /// The objects that can have it.
    #[must_use]
    pub fn objects(&self) -> Vec<ResourceKey> {
        let called = |kinds: &[KubernetesKind], name: &String| -> Vec<ResourceKey> {
            let kinds = kinds.iter();
            kinds
                .map(|kind| ResourceKey::kubernetes(*kind, name.clone()))
                .collect()
        };
        match self {
            Self::Workload(name) => called(&OF_WORKLOAD, name)
                .into_iter()
                .chain([ResourceKey::kubernetes(
                    KubernetesKind::ConfigMap,
                    config_map_name(name),
                )])
                .collect(),
            Self::ServiceAccount(name) => called(&[KubernetesKind::ServiceAccount], name),
            Self::Secret(name) => called(&[KubernetesKind::Secret], name),
            Self::Route(name) => called(&OF_ROUTE, name),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = match self {
            Self::Workload(name) => ("workload", name),
            Self::ServiceAccount(name) => ("ServiceAccount", name),
            Self::Secret(name) => ("Secret", name),
            Self::Route(name) => ("route", name),
        };
        write!(f, "{what} {name}")
    }
}

/// A name that a custom resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub name: Name,
    /// The field that it follows from.
    pub field: String,
    /// Role of the component that is called so; `None` for the name of a single object.
    component: Option<String>,
}

impl Claim {
    pub(crate) fn new(name: Name, field: impl Into<String>) -> Self {
        Self {
            name,
            field: field.into(),
            component: None,
        }
    }

    /// Whether something that goes by the name is in the inventory: an object, or what AWS has for the component. Nodes and roles
    /// are made first, and who has those has the name.
    #[must_use]
    pub fn is_held_by(&self, inventory: &Inventory) -> bool {
        let of_component = |role: &str| match self.component.as_deref() {
            None => false,
            Some("") => true,
            Some(component) => role
                .strip_prefix(component)
                .is_some_and(|part| part.starts_with('.')),
        };
        let objects = self.name.objects();
        inventory.iter().any(|(key, entry)| match key.kind {
            ResourceKind::Aws(_) => of_component(&entry.role),
            ResourceKind::Kubernetes(_) => objects.contains(key),
        })
    }
}

/// The names of a component. `named` is the field that its name comes from, `field` that of the rest of it.
pub(crate) fn of_component(
    component: &str,
    role: &str,
    named: &str,
    field: &str,
    tier: &Tier<'_>,
) -> Vec<Claim> {
    let mut claims = vec![Claim {
        component: Some(role.to_owned()),
        ..Claim::new(Name::Workload(component.to_owned()), named)
    }];
    let account = Name::ServiceAccount(service_account(component, tier.workload));
    claims.push(match tier.workload.service_account_name {
        Some(_) => Claim::new(account, format!("{field}.workload.serviceAccountName")),
        None => Claim::new(account, named),
    });
    claims.extend(tier.bindings.iter().map(|binding| {
        Claim::new(
            Name::Secret(secret_name(component, binding)),
            format!("{field}.bindings[{}].secretName", binding.resource),
        )
    }));
    let exposures = tier.network.iter().flat_map(|network| &network.exposures);
    claims.extend(exposures.map(|exposure| {
        let name = exposure_name(component, exposure);
        Claim::new(
            match exposure.type_ {
                ServiceExposureType::Service => Name::Workload(name),
                ServiceExposureType::Ingress | ServiceExposureType::HTTPRoute => Name::Route(name),
            },
            format!("{field}.network.exposures[{}].name", exposure.name),
        )
    }));
    claims
}

/// Where a custom resource stands when it comes to names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who it is: `OrderService/shop/orders`.
    pub path: String,
    /// Its uid.
    pub uid: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether it is on its way out, or gone with objects that are left.
    pub ending: bool,
}

impl Standing {
    /// That of a custom resource.
    #[must_use]
    pub fn of<K: Managed>(object: &K) -> Self {
        let owner = owner_of(object);
        let meta = object.meta();
        Self {
            path: owner.path(),
            uid: owner.uid,
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            ending: meta.deletion_timestamp.is_some(),
        }
    }
}

/// Another custom resource that has or wants a name which is asked for. Each name is decided for itself: who has the one may have
/// to wait for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Who it is.
    pub standing: Standing,
    /// The name that both have or want, as the one says it who asks.
    pub claim: Claim,
    /// Whether it has something that goes by the name.
    pub has: bool,
    /// Whether its specification asks for the name. Else it only has what an earlier one asked for, which is on its way out.
    pub wants: bool,
    /// Whether the one who asks has something that goes by the name.
    pub subject_has: bool,
    /// What it waits for before it gives anything up, where that is a circle: a name that the next one has, and so on. The last one
    /// of them is the one who asks.
    pub waits_for: Vec<Wait>,
}

/// A name that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The name.
    pub name: Name,
    /// Who has it.
    pub holder: String,
}

/// Somebody who asks for a name and does not have it: it makes no step before the name is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who it is.
    pub standing: Standing,
    /// What it has itself.
    pub held: BTreeSet<Name>,
}

/// Who waits for a name that the subject has, or for somebody who does, and for what, by uid. `waiting` tells who waits for a name.
#[must_use]
pub fn circles(
    subject: &Standing,
    held: BTreeSet<Name>,
    waiting: impl Fn(&Name) -> Vec<Waiting>,
) -> BTreeMap<String, Vec<Wait>> {
    let mut found: BTreeMap<String, Vec<Wait>> = BTreeMap::new();
    let mut next = VecDeque::from([(subject.path.clone(), held, Vec::new())]);
    while let Some((holder, held, behind)) = next.pop_front() {
        for name in held {
            for other in waiting(&name) {
                let uid = other.standing.uid;
                if uid == subject.uid || found.contains_key(&uid) {
                    continue;
                }
                let mut waits = vec![Wait {
                    name: name.clone(),
                    holder: holder.clone(),
                }];
                waits.extend(behind.iter().cloned());
                found.insert(uid, waits.clone());
                next.push_back((other.standing.path, other.held, waits));
            }
        }
    }
    found
}

impl Rival {
    /// Whether the name is the rival's: who has it keeps it, else the older one gets it. That does not depend on the order in which
    /// passes run, nor on what a process remembers.
    fn wins(&self, subject: &Standing) -> bool {
        match (self.subject_has, self.has) {
            (true, false) => false,
            (false, true) => true,
            (true, true) if !self.wants => false,
            (false, false) if self.standing.ending || !self.wants => false,
            (true, true) | (false, false) => {
                let age = |standing: &Standing| (standing.created, standing.uid.clone());
                age(&self.standing) < age(subject)
            }
        }
    }

    /// Whether the name becomes free without a person.
    fn gives_up(&self) -> bool {
        self.standing.ending || (!self.wants && self.waits_for.is_empty())
    }

    fn refusal(&self, subject: &Standing) -> Failure {
        let claim = &self.claim;
        let other = &self.standing.path;
        if self.gives_up() {
            return Failure::new(
                Class::NotReady,
                format!(
                    "{}: {} belongs to {other}, which is giving it up",
                    claim.field, claim.name
                ),
            );
        }
        if !self.wants {
            return self.refusal_in_a_circle();
        }
        let why = if self.has && !self.subject_has {
            "has it already"
        } else if self.standing.created < subject.created {
            "is older"
        } else {
            "is as old, and comes first by its uid"
        };
        let remedy = if claim.field == METADATA_NAME {
            format!("delete this custom resource and make it under another name, or delete {other}")
        } else {
            format!("write another name there, or delete {other}")
        };
        Failure::new(
            Class::Invalid,
            format!(
                "{}: {} belongs to {other}, which {why}; nothing is made before that is settled",
                claim.field, claim.name
            ),
        )
        .with_remedy(remedy)
    }

    /// Each gives up what it has once it has what the next one gives up.
    fn refusal_in_a_circle(&self) -> Failure {
        let claim = &self.claim;
        let other = &self.standing.path;
        let begin = format!("{}: {} belongs to {other}", claim.field, claim.name);
        let failure = |message| Failure::new(Class::Invalid, message);
        if let [awaited] = self.waits_for.as_slice() {
            return failure(format!(
                "{begin}, which gives it up once it has {}, and that belongs to this one; neither goes on before the other",
                awaited.name
            ))
            .with_remedy(format!(
                "give this custom resource or {other} a name that neither has; once the other one has moved, the name that \
                 it had is free"
            ));
        }
        let mut circle = String::new();
        for (index, wait) in self.waits_for.iter().enumerate() {
            circle += &format!(", which gives it up once it has {}", wait.name);
            circle += &match self.waits_for.get(index + 1) {
                Some(_) => format!("; that belongs to {}", wait.holder),
                None => "; and that belongs to this one".to_owned(),
            };
        }
        failure(format!(
            "{begin}{circle}: a circle, in which none goes on before the others"
        ))
        .with_remedy(
            "give one of them a name that none of them has; once it has moved, the name that it had is free, and the others follow",
        )
    }
}

/// The field that the name of a service comes from. Nobody can edit it.
pub(crate) const METADATA_NAME: &str = "metadata.name";

/// Whether a custom resource may go on: not where a name that it asks for is somebody else's.
///
/// # Errors
/// `Invalid` with the field, the owner of the name and the remedy; `NotReady` where the name becomes free by itself.
pub fn decide(subject: &Standing, rivals: &[Rival]) -> Result<(), Failure> {
    match winner(subject, rivals) {
        Some(rival) => Err(rival.refusal(subject).with_code(NAME_TAKEN)),
        None => Ok(()),
    }
}

/// Who has a name that a custom resource asks for, where that is somebody else.
#[must_use]
pub fn winner<'a>(subject: &Standing, rivals: &'a [Rival]) -> Option<&'a Rival> {
    let won = rivals.iter().filter(|rival| rival.wins(subject));
    // What a person has to settle is told before what settles itself.
    won.min_by_key(|rival| (rival.gives_up(), rival.standing.path.clone()))
}

/// The names themselves.
#[must_use]
pub fn names(claims: &[Claim]) -> BTreeSet<Name> {
    claims.iter().map(|claim| claim.name.clone()).collect()
}
