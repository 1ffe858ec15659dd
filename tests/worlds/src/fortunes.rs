//! What becomes of a shop: resources that go, change, fail, or turn out to be another's.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Change},
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    last_seen::LastSeen,
    names::{OWNER_TAG, OWNER_UID_TAG},
    observed::{
        Lifecycle, NodeGroupNodes, Observation, Observed, ObservedNode, ObservedObject,
        ObservedPod, Present, WorkloadPod,
    },
    planner::{
        AdoptionPolicy, ChangePolicy, DeletionPolicy, DriftPolicy, Inventory, InventoryEntry,
        Policies,
    },
    resource::{ResourceKey, ResourceKind},
};
use shopkeeper_specifications::Choices;

use crate::world::World;

/// As many as there are; beyond that they begin anew.
const FORTUNES: usize = 40;
/// Most nodes of a group.
const NODES: usize = 12;

/// How a resource is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There, and its owner's.
    Ours,
    /// Not there.
    Absent,
    /// Not looked at.
    Unseen,
    /// Nobody knows.
    Unknown,
    /// There, without the tags of an owner.
    Unowned,
    /// There, and another's.
    OfAnother,
    /// There, and of an earlier custom resource of that name.
    OfEarlier,
    /// There, and on its way out: an object of Kubernetes. Of AWS the lifecycle says so.
    Ending,
}

/// What became of one resource.
#[derive(Clone, Debug)]
pub struct Fortune {
    /// How it is found.
    pub found: Found,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// What somebody changed: which field, and how.
    drifts: Vec<(usize, u8)>,
    /// Whether the inventory has it.
    pub known: bool,
    /// Whether it holds no data.
    pub empty: Option<bool>,
    /// How many of its nodes are ready.
    ready: usize,
    /// How many of its nodes are cordoned.
    cordoned: usize,
    /// Whether AWS could not, or would not, delete it.
    stays: bool,
}

impl Fortune {
    fn any(choices: &mut Choices<'_>) -> Self {
        use Found::{Absent, Ending, OfAnother, OfEarlier, Ours, Unknown, Unowned, Unseen};
        let found = [
            Ours, Ours, Ours, Ours, Ours, Absent, Unseen, Unknown, Unowned, OfAnother, OfEarlier,
            Ending,
        ];
        Self {
            found: *choices.of(&found).unwrap(),
            lifecycle: match choices.up_to(11) {
                8 => Lifecycle::Creating,
                9 => Lifecycle::Modifying,
                10 => Lifecycle::Deleting,
                11 => Lifecycle::Failed("it does not work".into()),
                _ => Lifecycle::Available,
            },
            drifts: (0..choices.up_to(2))
                .map(|_| (choices.up_to(63), byte(choices)))
                .collect(),
            known: !choices.one_in(2),
            empty: *choices.of(&[Some(true), Some(false), None]).unwrap(),
            ready: NODES - choices.up_to(NODES),
            cordoned: choices.up_to(NODES),
            stays: choices.one_in(8),
        }
    }

    /// The resource after somebody changed such fields of it as may be.
    #[must_use]
    pub fn drifted(&self, resource: &AwsResource, may: impl Fn(&Change) -> bool) -> AwsResource {
        self.drifts
            .iter()
            .fold(resource.clone(), |resource, &(which, how)| {
                drift(&resource, which, how, &may)
            })
    }
}

fn byte(choices: &mut Choices<'_>) -> u8 {
    u8::try_from(choices.up_to(254)).unwrap()
}

/// What became of each of the resources of a world.
#[must_use]
pub fn fortunes(choices: &mut Choices<'_>) -> Vec<Fortune> {
    (0..FORTUNES).map(|_| Fortune::any(choices)).collect()
}

/// What may be done without asking.
#[must_use]
pub fn policies(choices: &mut Choices<'_>) -> Policies {
    let deletion = [
        DeletionPolicy::Snapshot,
        DeletionPolicy::Retain,
        DeletionPolicy::Delete,
    ];
    let adoption = [
        AdoptionPolicy::Never,
        AdoptionPolicy::IfTagged,
        AdoptionPolicy::Adopt,
    ];
    let drift = [DriftPolicy::Repair, DriftPolicy::Report];
    let changes = [
        ChangePolicy::Automatic,
        ChangePolicy::ApproveDisruptive,
        ChangePolicy::ApproveAll,
    ];
    Policies {
        deletion: *choices.of(&deletion).unwrap(),
        adoption: *choices.of(&adoption).unwrap(),
        drift: *choices.of(&drift).unwrap(),
        changes: *choices.of(&changes).unwrap(),
    }
}

/// Changes a field to some other value of its type; leaves the resource where that gives none.
fn drift(
    resource: &AwsResource,
    which: usize,
    how: u8,
    may: impl Fn(&Change) -> bool,
) -> AwsResource {
    let fields: Vec<_> = resource
        .kind()
        .fields()
        .iter()
        .filter(|field| may(&field.change))
        .collect();
    if fields.is_empty() {
        return resource.clone();
    }
    let field = fields[which % fields.len()];
    let mut value = serde_json::to_value(resource).unwrap();
    let other = match &value[field.name] {
        Value::Bool(value) => json!(!value),
        Value::Number(number) if number.is_f64() => json!(f64::from(how)),
        Value::Number(number) => json!(number.as_i64().unwrap() + i64::from(how % 5) - 2),
        Value::String(text) if how.is_multiple_of(2) => json!(format!("{text}x")),
        Value::String(_) => json!("Redis"),
        Value::Array(list) if how.is_multiple_of(2) && !list.is_empty() => json!(list[1..]),
        Value::Array(_) => json!(["other"]),
        Value::Object(_) if how.is_multiple_of(2) => json!({}),
        Value::Object(_) => json!({"other": "1"}),
        Value::Null => json!(how),
    };
    value[field.name] = other;
    serde_json::from_value(value).unwrap_or_else(|_| resource.clone())
}

/// What is observed of a settled world that met these fortunes, and what its inventory is then.
#[must_use]
pub fn observed(world: &World, fortunes: &[Fortune]) -> (Observed, Inventory) {
    let mut observed = Observed {
        quotas: world.quotas,
        ..Observed::default()
    };
    let mut inventory = Inventory::new();
    for ((key, thing), fortune) in world.aws.iter().zip(fortunes.iter().cycle()) {
        if let Some(observation) = observation(key, &thing.present, fortune) {
            observed.aws.insert(key.clone(), observation);
        }
        if fortune.found == Found::Unknown && fortune.known {
            observed.lately.insert(key.clone(), LastSeen::default());
        }
        if fortune.stays {
            if fortune.known {
                observed.not_yet.insert(key.clone());
            } else {
                observed.refused_deletions.insert(key.clone());
            }
        }
        if key.kind == ResourceKind::Aws(AwsKind::NodeGroup) {
            observed.nodes.insert(key.name.clone(), nodes(fortune));
        }
        if fortune.known {
            let entry = world.inventory.get(key);
            let applied = entry.and_then(|entry| fortune.empty.and(entry.applied.clone()));
            let role = entry.map_or_else(String::new, |entry| entry.role.clone());
            let entry = InventoryEntry {
                adopted: false,
                role,
                applied,
                remade_for: None,
            };
            inventory.insert(key.clone(), entry);
        }
    }
    for ((key, object), fortune) in world.kubernetes.iter().zip(fortunes.iter().rev().cycle()) {
        let mut object: ObservedObject = object.clone();
        object.ours = fortune.found != Found::OfAnother;
        if fortune.found == Found::Ending {
            object.body["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if !fortune.drifts.is_empty() {
            object.body["spec"] = json!({"replicas": fortune.cordoned});
        }
        if let (true, Some(entry)) = (fortune.known, world.inventory.get(key)) {
            inventory.insert(key.clone(), entry.clone());
        }
        let ResourceKind::Kubernetes(kind) = key.kind else {
            continue;
        };
        if kind == KubernetesKind::Deployment && !fortune.drifts.is_empty() {
            observed.pods.insert(key.clone(), pods(key, fortune));
        }
        match fortune.found {
            Found::Absent => {}
            Found::Unseen => drop(observed.unlisted.insert(kind)),
            _ => drop(observed.kubernetes.insert(key.clone(), object)),
        }
    }
    // Of a kind that may not be listed nothing is known.
    let unlisted = observed.unlisted.clone();
    observed.kubernetes.retain(
        |key, _| !matches!(key.kind, ResourceKind::Kubernetes(kind) if unlisted.contains(&kind)),
    );
    (observed, inventory)
}

/// What AWS says of a resource. `None` where it was not asked.
fn observation(key: &ResourceKey, before: &Present, fortune: &Fortune) -> Option<Observation> {
    let mut present = before.clone();
    present.resource = fortune.drifted(&present.resource, |_| true);
    present.lifecycle = fortune.lifecycle.clone();
    present.empty = fortune.empty;
    if key.kind == ResourceKind::Aws(AwsKind::SnsSubscription) {
        // Without an ARN it is not confirmed. It has no tags.
        if fortune.empty.is_none() {
            present.arn = None;
        }
    } else {
        let tags = present.resource.tags_mut();
        match fortune.found {
            Found::Unowned => {
                tags.remove(OWNER_UID_TAG);
                tags.remove(OWNER_TAG);
            }
            Found::OfAnother => {
                tags.remove(OWNER_UID_TAG);
                tags.insert(OWNER_TAG.into(), "OrderService/other/orders".into());
            }
            Found::OfEarlier => drop(tags.insert(OWNER_UID_TAG.into(), "earlier".into())),
            _ => {}
        }
    }
    match fortune.found {
        Found::Unseen => None,
        Found::Unknown => Some(Observation::Unknown(Failure::new(
            Class::Transient,
            "no answer",
        ))),
        Found::Absent => Some(Observation::Absent),
        _ => Some(Observation::Present(Box::new(present))),
    }
}

fn nodes(fortune: &Fortune) -> NodeGroupNodes {
    NodeGroupNodes {
        nodes: (0..NODES)
            .map(|nth| ObservedNode {
                name: format!("node-{nth}"),
                ready: nth < fortune.ready,
                unschedulable: nth < fortune.cordoned,
                cordoned_by_us: fortune.cordoned == 3 && nth == 0,
                resource_version: "1".into(),
            })
            .collect(),
        pods: (0..usize::from(fortune.known) * fortune.cordoned)
            .map(|nth| ObservedPod {
                namespace: "shop".into(),
                name: format!("pod-{nth}"),
                uid: format!("pod-{nth}-uid"),
                is_ending: fortune.empty == Some(true),
            })
            .collect(),
    }
}

fn pods(deployment: &ResourceKey, fortune: &Fortune) -> Vec<WorkloadPod> {
    (0..fortune.ready % 4)
        .map(|nth| WorkloadPod {
            name: format!("{}-{nth}", deployment.name),
            version: format!("version-{}", nth % 2),
            node: fortune.known.then(|| format!("node-{nth}")),
            replica_set: fortune.empty.map(|_| format!("{}-v", deployment.name)),
            is_ending: nth.is_multiple_of(2) || fortune.known,
            is_overdue: nth == 1,
        })
        .collect()
}

/// The same, where whatever is listed was listed the other way round.
#[must_use]
pub fn listed_otherwise(observed: &Observed) -> Observed {
    let mut other = observed.clone();
    for of_group in other.nodes.values_mut() {
        of_group.nodes.reverse();
        of_group.pods.reverse();
    }
    for pods in other.pods.values_mut() {
        pods.reverse();
    }
    other
}
