//! The plan: the steps from what is observed to what is desired. The reconciler, the approval gate and the command line
//! read this same value.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    aws::AwsResource, failure::Failure, kubernetes::KubernetesObject, resource::ResourceKey,
};

/// What a step does to running traffic and data, from harmless to grave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Effect {
    /// Nothing that a customer of the shop could notice.
    #[default]
    None,
    /// Pods or nodes are exchanged one after the other, within the disruption budget.
    Rolling,
    /// Something restarts; connections break for seconds.
    Restart,
    /// A standby takes over; writes are refused for about a minute.
    Failover,
    /// Not reachable for minutes.
    Downtime,
    /// Data goes.
    DataLoss,
}

impl Effect {
    /// Whether `changes: ApproveDisruptive` asks first.
    #[must_use]
    pub fn is_disruptive(self) -> bool {
        self >= Self::Restart
    }

    /// Stable label for metrics and conditions.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Rolling => "Rolling",
            Self::Restart => "Restart",
            Self::Failover => "Failover",
            Self::Downtime => "Downtime",
            Self::DataLoss => "DataLoss",
        }
    }

    /// The effect with this label.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        [
            Self::None,
            Self::Rolling,
            Self::Restart,
            Self::Failover,
            Self::Downtime,
            Self::DataLoss,
        ]
        .into_iter()
        .find(|effect| effect.label() == label)
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Action {
    /// Makes it.
    Create,
    /// Changes it in place.
    Update,
    /// Deletes the one that another has replaced.
    Replace,
    /// Deletes it.
    Delete,
    /// Takes over one that was made by somebody else.
    Adopt,
    /// Leaves it in AWS and forgets it.
    Retain,
    /// Waits for AWS or Kubernetes.
    Wait,
}

/// One field that differs. Values are shortened for people; secrets never get here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Name of the field.
    pub field: String,
    /// Observed value.
    pub from: String,
    /// Desired value.
    pub to: String,
    /// What changing it does.
    pub effect: Effect,
}

/// How a resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum DeleteMode {
    /// With a last snapshot or backup where AWS has one. The executor makes sure that it exists before the data goes.
    Snapshot,
    /// With its data.
    Everything,
}

/// What the executor does for a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "operation")]
pub enum Operation {
    /// Makes an AWS resource.
    AwsCreate {
        /// What is desired.
        desired: Box<AwsResource>,
    },
    /// Changes an AWS resource: one call that brings at least one of the fields nearer.
    AwsUpdate {
        /// What is desired.
        desired: Box<AwsResource>,
        /// Names of the fields that differ (`tags` among them), in the order in which they are to be changed.
        fields: Vec<String>,
    },
    /// Puts our tags on an AWS resource that the policy lets us take over.
    AwsAdopt {
        /// What is desired.
        desired: Box<AwsResource>,
    },
    /// Deletes an AWS resource: one call that brings it nearer to its end.
    AwsDelete {
        /// How.
        mode: DeleteMode,
    },
    /// Applies a Kubernetes object.
    KubernetesApply {
        /// What is desired.
        #[serde(skip)]
        desired: Box<KubernetesObject>,
    },
    /// Deletes a Kubernetes object.
    KubernetesDelete,
    /// Moves the pods off the nodes of a node group that is about to go: cordons and evicts within disruption budgets.
    DrainNodes,
    /// Lets pods onto the nodes of a node group again that were cordoned for a drain, and by nobody else.
    UncordonNodes,
    /// Takes the resource out of the inventory and touches nothing else.
    Forget,
    /// The same with one that is not known to be ours any more; the failure says why, and what a person can do.
    LeaveBehind(Failure),
    /// Nothing.
    Wait,
}

/// Why a step cannot be taken now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Blocker {
    /// Another resource has to be ready (or gone) first.
    Resource(ResourceKey),
    /// An output of another resource is not known yet.
    Output {
        /// The other resource.
        resource: ResourceKey,
        /// The output.
        output: String,
    },
    /// A pod that may still use it has to end first. Its namespace and name.
    Pod(String),
    /// A person has to approve the plan.
    Approval,
    /// `drift: Report` asks to tell and not to repair.
    DriftReported,
    /// It was as desired a moment ago, and AWS does not answer just now.
    NotObserved(Failure),
    /// Somebody else's resource has the name, or AWS refuses the change.
    Refused(Failure),
    /// What it refers to is not there, or not as it is referred to.
    Missing(Failure),
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(key) => write!(f, "waits for {key}"),
            Self::Output { resource, output } => write!(f, "waits for {output} of {resource}"),
            Self::Pod(pod) => write!(f, "waits for pod {pod} to end"),
            Self::Approval => f.write_str("waits for approval"),
            Self::DriftReported => f.write_str("drift is reported, not repaired"),
            Self::NotObserved(failure) => write!(f, "could not be looked at: {failure}"),
            Self::Refused(failure) | Self::Missing(failure) => f.write_str(&failure.describe()),
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The resource.
    pub key: ResourceKey,
    /// What is done.
    pub action: Action,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// What it does to traffic and data.
    pub effect: Effect,
    /// Whether it can be undone.
    pub reversible: bool,
    /// Usual time until it has taken hold, in minutes.
    pub minutes: u16,
    /// Why it cannot be taken now; empty where it can.
    pub blocked_by: Vec<Blocker>,
    /// What the executor does.
    pub operation: Operation,
    /// Whether it brings back what somebody changed since it was seen to be as it is desired.
    pub is_repair: bool,
}

impl Step {
    /// Whether the executor may take it now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.blocked_by.is_empty() && !matches!(self.operation, Operation::Wait)
    }

    /// Whether it would make anew what somebody deleted, and waits for a person's leave.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.action == Action::Create && self.is_repair && self.waits_for_leave()
    }

    /// Whether a person has to approve it, or to let drift be repaired.
    #[must_use]
    pub fn waits_for_leave(&self) -> bool {
        self.blocked_by
            .iter()
            .any(|blocker| matches!(blocker, Blocker::Approval | Blocker::DriftReported))
    }
}

/// A step that a person has to decide on, or has approved and that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The resource.
    pub key: ResourceKey,
    /// What is done, for people.
    pub change: String,
    /// What it does to traffic and data.
    pub effect: Effect,
    /// Whether it was approved. Otherwise it waits.
    pub approved: bool,
    /// Fingerprints of what waits or was approved, value by value.
    pub values: BTreeSet<String>,
}

/// What waits for a person, and what was approved: kept in the status until it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decisions {
    /// What a person approves: a short hash over the steps that wait, the same for the same changes whatever else is going on.
    pub hash: Option<String>,
    /// The hash that was approved last, now or before.
    pub last_approval: Option<String>,
    /// The steps, in the order of their resources.
    pub steps: Vec<Decision>,
    /// What became of what was approved, where the plan changed before it was done; for people.
    pub changed: Option<String>,
    /// That the annotation approves nothing, since it names no plan that waits; for people.
    pub outdated: Option<String>,
}

/// What the status says of the plan that was shown last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownPlan {
    /// What a person approves, where something waited.
    pub hash: Option<String>,
    /// What waited, with its values.
    pub waiting: Vec<Decision>,
    /// What became of what was approved before; see [`Decisions::changed`].
    pub changed: Option<String>,
}

impl Decisions {
    /// Those that were approved.
    pub fn approved(&self) -> impl Iterator<Item = &Decision> {
        self.steps.iter().filter(|decision| decision.approved)
    }
}

/// The steps from observed to desired, in the order of their resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The steps; resources that need none are left out.
    pub steps: Vec<Step>,
    /// How many resources are as desired.
    pub unchanged: usize,
    /// Uid and generation of the custom resource it is for: an approval is good for what was read, not for the same change
    /// asked for again later.
    pub subject: String,
    /// What a person has to decide, and has decided.
    pub decisions: Decisions,
}

impl Plan {
    /// True where nothing differs and nothing is being waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps the executor may take now.
    pub fn free_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.is_free())
    }

    /// The steps on what somebody changed, where that is told and not repaired.
    pub fn drifted(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| step.blocked_by.contains(&Blocker::DriftReported))
    }

    /// Whether nothing but a person's decision is missing: approval, leave to repair, or either for all that this one waits for.
    #[must_use]
    pub fn waits_for_a_person(&self, step: &Step) -> bool {
        self.is_held_up_by_a_person(step, &mut BTreeSet::new())
    }

    /// A leftover of a late stage waits for one of an earlier stage, and that for what is wanted. `above` is what led here, so
    /// that two that wait for each other do not count as waiting for anybody.
    fn is_held_up_by_a_person<'a>(
        &'a self,
        step: &'a Step,
        above: &mut BTreeSet<&'a ResourceKey>,
    ) -> bool {
        if step.waits_for_leave() {
            return true;
        }
        if step.blocked_by.is_empty() || !above.insert(&step.key) {
            return false;
        }
        let held_up = step.blocked_by.iter().all(|blocker| match blocker {
            Blocker::Resource(key) | Blocker::Output { resource: key, .. } => self
                .steps
                .iter()
                .any(|other| other.key == *key && self.is_held_up_by_a_person(other, above)),
            _ => false,
        });
        above.remove(&step.key);
        held_up
    }

    /// The steps that only wait for AWS to answer again; see [`Blocker::NotObserved`].
    pub fn unseen(&self) -> impl Iterator<Item = (&Step, &Failure)> {
        self.steps.iter().filter_map(|step| {
            step.blocked_by.iter().find_map(|blocker| match blocker {
                Blocker::NotObserved(failure) => Some((step, failure)),
                _ => None,
            })
        })
    }

    /// What a person approves; see [`Decisions::hash`].
    #[must_use]
    pub fn approval_hash(&self) -> Option<String> {
        self.decisions.hash.clone()
    }
}
