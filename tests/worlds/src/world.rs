//! A world that carries out steps as AWS and Kubernetes do: resources take a while, take one change at a time, and refuse what
//! AWS refuses. It never sleeps: [`World::tick`] is its clock.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::status::Status;
use shopkeeper_plan::{
    allowed::Allowed,
    aws::{AwsKind, AwsResource, NodeGroup},
    blueprint::Blueprint,
    decisions,
    failure::Failure,
    inventory,
    kubernetes::{KubernetesKind, KubernetesObject},
    last_seen::LastSeen,
    observed::{
        Lifecycle, NodeGroupNodes, Observation, Observed, ObservedNode, ObservedObject,
        ObservedPod, Present, WorkloadPod,
    },
    plan::{Action, Decision, DeleteMode, Effect, Operation, Plan, ShownPlan, Step},
    planner::{Input, Inventory, Policies},
    quota::{QuotaUse, Quotas},
    resource::{ResourceKey, ResourceKind},
    sensitive::Sensitive,
};

use crate::{fixture::Wanted, invariants};

mod aws;
mod kubernetes;
mod scaling;

pub use aws::{as_reported, outputs};

/// Ticks that something slow takes.
const SLOW: u32 = 3;
/// Passes after which a world that still moves is taken to move for ever.
const BOUND: usize = 400;

/// An AWS resource in this world.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What AWS says of it.
    pub present: Present,
    /// Ticks until what is under way is done.
    busy: u32,
    /// What it is like then.
    then: Option<AwsResource>,
}

impl Thing {
    /// One that is there, and at rest.
    pub fn new(resource: AwsResource) -> Self {
        Self {
            present: Present {
                arn: aws::arn(&resource),
                outputs: outputs(&resource),
                resource,
                lifecycle: Lifecycle::Available,
                id: None,
                empty: Some(false),
                note: None,
            },
            busy: 0,
            then: None,
        }
    }
}

/// What there is, what is wanted, and what the status of the custom resource keeps.
pub struct World {
    /// What is wanted.
    pub wanted: Wanted,
    /// What there is in AWS.
    pub aws: BTreeMap<ResourceKey, Thing>,
    /// What there is in Kubernetes.
    pub kubernetes: BTreeMap<ResourceKey, ObservedObject>,
    /// What we applied last: the rest is of others.
    applied: BTreeMap<ResourceKey, KubernetesObject>,
    /// What cannot be observed now.
    pub unknown: BTreeMap<ResourceKey, Failure>,
    /// Kinds that may not be listed.
    pub unlisted: BTreeSet<KubernetesKind>,
    /// What was as desired a moment ago, of what cannot be observed now.
    pub lately: BTreeMap<ResourceKey, LastSeen>,
    /// What the account may have, and the node groups of others.
    pub quotas: QuotaUse,
    /// What AWS gives up on while it makes it, and what it says then.
    pub failing: BTreeMap<AwsKind, &'static str>,
    /// Secrets of others.
    pub secrets: BTreeMap<String, BTreeMap<String, Sensitive>>,
    /// Those that cannot be read.
    pub refused_secrets: BTreeMap<String, Failure>,
    /// Pods by node group.
    pub pods: BTreeMap<String, usize>,
    /// Those of them that were told to end.
    pub ending: BTreeMap<String, usize>,
    /// Node groups whose nodes we cordoned.
    pub cordoned: BTreeSet<String>,
    /// Node groups whose nodes somebody else cordoned.
    pub cordoned_by_others: BTreeSet<String>,
    /// Pods of Deployments that have not ended, for as long as a test wants it.
    pub left: BTreeMap<ResourceKey, Vec<WorkloadPod>>,
    /// Whether pods take until the next tick to end.
    pub slow_pods: bool,
    /// Whether pods never become ready.
    pub pods_fail: bool,
    /// What the custom resource owns, as the status keeps it.
    pub inventory: Inventory,
    /// What may be done without asking.
    pub policies: Policies,
    /// What the Platform lets be taken over.
    pub adoptable: Allowed,
    /// The hash that a person approves.
    pub approved: Option<String>,
    /// The hash that was approved last, as the status keeps it.
    pub last_approval: Option<String>,
    /// What was approved before, as the status keeps it.
    pub decisions: Vec<Decision>,
    /// The plan that people see, as the status keeps it.
    pub shown: ShownPlan,
    /// Whether the custom resource is being deleted.
    pub deleting: bool,
    /// What was done, in order: `create RdsInstance/x`.
    pub log: Vec<String>,
}

/// A word for the log.
fn verb(step: &Step) -> String {
    match &step.operation {
        Operation::AwsCreate { .. } => "create".into(),
        Operation::AwsUpdate { .. } => "update".into(),
        Operation::AwsAdopt { .. } => "adopt".into(),
        Operation::AwsDelete {
            mode: DeleteMode::Snapshot,
        } => "save and delete".into(),
        Operation::AwsDelete {
            mode: DeleteMode::Everything,
        } => "delete".into(),
        Operation::KubernetesApply { .. } => "apply".into(),
        Operation::KubernetesDelete => "remove".into(),
        Operation::DrainNodes => "drain".into(),
        Operation::UncordonNodes => "uncordon".into(),
        Operation::Forget => "forget".into(),
        Operation::LeaveBehind(_) => "leave".into(),
        Operation::Wait => "wait".into(),
    }
}

impl World {
    /// A world in which there is nothing yet.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            aws: BTreeMap::new(),
            kubernetes: BTreeMap::new(),
            applied: BTreeMap::new(),
            unknown: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            lately: BTreeMap::new(),
            quotas: QuotaUse {
                fargate_profiles: None,
                allowed: Some(Quotas::default()),
                node_groups: Some(0),
            },
            failing: BTreeMap::new(),
            secrets: BTreeMap::new(),
            refused_secrets: BTreeMap::new(),
            pods: BTreeMap::new(),
            ending: BTreeMap::new(),
            cordoned: BTreeSet::new(),
            cordoned_by_others: BTreeSet::new(),
            left: BTreeMap::new(),
            slow_pods: false,
            pods_fail: false,
            inventory: Inventory::new(),
            policies: Policies::default(),
            adoptable: Allowed::default(),
            approved: None,
            last_approval: None,
            decisions: Vec::new(),
            shown: ShownPlan::default(),
            deleting: false,
            log: Vec::new(),
        }
    }

    /// A world in which everything is as wanted.
    pub fn settled(wanted: Wanted) -> Self {
        let mut world = Self::new(wanted);
        let plan = world.run();
        assert!(plan.is_empty(), "it does not settle: {plan:#?}");
        world.log.clear();
        world
    }

    /// What is wanted, as far as that is known before anything was observed.
    pub fn draft(&self) -> Blueprint {
        (self.wanted.blueprint)(&Observed::default())
    }

    fn is_unlisted(&self, key: &ResourceKey) -> bool {
        matches!(key.kind, ResourceKind::Kubernetes(kind) if self.unlisted.contains(&kind))
    }

    /// What a pass sees.
    pub fn observe(&self) -> Observed {
        let draft = self.draft();
        let mut observed = Observed {
            kubernetes: self
                .kubernetes
                .iter()
                .filter(|(key, _)| !self.is_unlisted(key))
                .map(|(key, object)| (key.clone(), object.clone()))
                .collect(),
            unlisted: self.unlisted.clone(),
            secrets: draft
                .secrets()
                .filter_map(|name| {
                    let refused = self.refused_secrets.get(name).cloned().map(Err);
                    let read = refused.or_else(|| self.secrets.get(name).cloned().map(Ok));
                    Some((name.to_owned(), read?))
                })
                .collect(),
            lately: self.lately.clone(),
            pods: self.left.clone(),
            quotas: QuotaUse {
                node_groups: self
                    .quotas
                    .node_groups
                    .map(|of_others| of_others + self.node_groups()),
                ..self.quotas
            },
            ..Observed::default()
        };
        for key in draft
            .keys()
            .chain(self.inventory.keys())
            .filter(|key| matches!(key.kind, ResourceKind::Aws(_)))
        {
            let observation = match (self.unknown.get(key), self.aws.get(key)) {
                (Some(failure), _) => Observation::Unknown(failure.clone()),
                (None, Some(thing)) => Observation::Present(Box::new(thing.present.clone())),
                (None, None) => Observation::Absent,
            };
            observed.aws.insert(key.clone(), observation);
        }
        let is_place =
            |key: &ResourceKey| matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place());
        // Only where there is a further place may it be another one that is wanted.
        let further = |key: &ResourceKey| is_place(key) && draft.get(key).is_none();
        let draft = if observed.aws.keys().any(further) {
            (self.wanted.blueprint)(&observed)
        } else {
            draft
        };
        observed.note_newer_versions(&draft);
        for key in observed.aws.keys().cloned().collect::<Vec<_>>() {
            let key = &key;
            if let Some(AwsResource::NodeGroup(group)) =
                self.aws.get(key).map(|thing| &thing.present.resource)
            {
                let mut nodes = match self.aws[key].present.lifecycle {
                    Lifecycle::Creating => NodeGroupNodes::default(),
                    _ => self.nodes_of(group),
                };
                // Only a group that is about to go is asked for its pods.
                if draft.get(key).is_some() {
                    nodes.pods.clear();
                }
                observed.nodes.insert(group.name.clone(), nodes);
            }
            if key.kind == ResourceKind::Aws(AwsKind::FargateProfile) && draft.get(key).is_none() {
                let (nodes, pods) = (Vec::new(), self.pods_on(&key.name));
                observed
                    .nodes
                    .insert(key.name.clone(), NodeGroupNodes { nodes, pods });
            }
        }
        observed
    }

    fn nodes_of(&self, group: &NodeGroup) -> NodeGroupNodes {
        let asked = group.desired_size.unwrap_or(group.min_size);
        let nodes = asked.min(group.max_size).max(group.min_size);
        NodeGroupNodes {
            nodes: (0..nodes)
                .map(|nth| ObservedNode {
                    name: format!("{}-{nth}", group.name),
                    ready: true,
                    unschedulable: self.cordoned.contains(&group.name)
                        || self.cordoned_by_others.contains(&group.name),
                    cordoned_by_us: self.cordoned.contains(&group.name),
                    resource_version: "1".into(),
                })
                .collect(),
            pods: self.pods_on(&group.name),
        }
    }

    fn pods_on(&self, place: &str) -> Vec<ObservedPod> {
        let ending = self.ending.get(place).copied().unwrap_or(0);
        let pods = self.pods.get(place).copied().unwrap_or(0);
        (0..pods)
            .map(|nth| ObservedPod {
                namespace: "shop".into(),
                name: format!("pod-{nth}"),
                uid: format!("pod-{nth}-uid"),
                is_ending: nth < ending,
            })
            .collect()
    }

    fn node_groups(&self) -> u32 {
        let groups = self
            .aws
            .keys()
            .filter(|key| key.kind == ResourceKind::Aws(AwsKind::NodeGroup));
        u32::try_from(groups.count()).unwrap()
    }

    /// The plan for what is there now, looked at closely.
    pub fn plan(&self) -> Plan {
        let observed = self.observe();
        let blueprint = (self.wanted.blueprint)(&observed);
        let input = self.input(&observed, &blueprint);
        let plan = invariants::plan(&input);
        invariants::scrutinise(&plan, &input);
        plan
    }

    /// The plan for what was observed, held against what every plan has to keep.
    pub fn plan_for(&self, observed: &Observed, blueprint: &Blueprint) -> Plan {
        invariants::plan(&self.input(observed, blueprint))
    }

    /// What the planner is given.
    pub fn input<'a>(&'a self, observed: &'a Observed, blueprint: &'a Blueprint) -> Input<'a> {
        Input {
            owner: &self.wanted.owner,
            cluster: &self.wanted.cluster,
            blueprint,
            observed,
            inventory: &self.inventory,
            policies: self.policies,
            adoptable: &self.adoptable,
            approved: self.approved.as_deref(),
            last_approval: self.last_approval.as_deref(),
            decisions: &self.decisions,
            shown: &self.shown,
            deleting: self.deleting,
        }
    }

    /// One pass; gives its plan.
    pub fn pass(&mut self) -> Plan {
        let observed = self.observe();
        let blueprint = (self.wanted.blueprint)(&observed);
        let mut plan = self.plan_for(&observed, &blueprint);
        self.write_down(&plan, &blueprint, &observed);
        self.execute(&plan);
        let gone = inventory::absent(&self.inventory, &observed);
        let after = inventory::after(
            &self.inventory,
            &plan,
            &blueprint,
            &observed,
            &gone,
            self.deleting,
        );
        decisions::settle(&mut plan, &after);
        self.decide(&plan);
        // The next pass may be that of another process: it knows what the status keeps.
        self.inventory = inventory::from_status(&Status {
            inventory: inventory::to_status(&after, &plan, &observed, &[]),
            ..Status::default()
        });
        plan
    }

    /// A pass of a process that ends after what it is about to do was written down, and after `steps` steps.
    pub fn pass_cut_short(&mut self, steps: usize) {
        let observed = self.observe();
        let blueprint = (self.wanted.blueprint)(&observed);
        let plan = self.plan_for(&observed, &blueprint);
        self.write_down(&plan, &blueprint, &observed);
        for step in plan.free_steps().take(steps) {
            self.take(step);
        }
    }

    /// What is written into the status before anything is done.
    fn write_down(&mut self, plan: &Plan, blueprint: &Blueprint, observed: &Observed) {
        self.inventory = inventory::with_intentions(&self.inventory, plan, blueprint, observed);
        self.decide(plan);
    }

    fn decide(&mut self, plan: &Plan) {
        let status = Status {
            plan: decisions::to_status(plan, &self.wanted.owner),
            ..Status::default()
        };
        self.decisions = decisions::from_status(&status, &self.wanted.owner);
        self.shown = decisions::shown(&status, &self.wanted.owner);
        self.last_approval.clone_from(&plan.decisions.last_approval);
    }

    /// Carries out what is free to run.
    pub fn execute(&mut self, plan: &Plan) {
        for step in plan.free_steps() {
            self.take(step);
        }
    }

    /// Passes until nothing is done any more; gives the last plan.
    pub fn run(&mut self) -> Plan {
        for _ in 0..BOUND {
            let plan = self.pass();
            let idle = plan.free_steps().all(|step| step.action == Action::Retain);
            if idle && !self.tick() {
                return self.plan();
            }
            if self.deleting && plan.steps.iter().all(|step| step.action == Action::Retain) {
                return plan;
            }
        }
        panic!(
            "it moves for ever: {:#?}\n{:#?}",
            &self.log[self.log.len().saturating_sub(20)..],
            self.plan()
        );
    }

    /// Runs, and approves everything that asks for it.
    pub fn run_approving(&mut self) -> Plan {
        for _ in 0..BOUND {
            let plan = self.run();
            match plan.approval_hash() {
                Some(hash) => self.approved = Some(hash),
                None => return plan,
            }
        }
        panic!("it asks for ever: {:#?}", self.plan());
    }

    /// Lets time pass. Whether anything came of it.
    pub fn tick(&mut self) -> bool {
        let mut moved = false;
        let mut gone = Vec::new();
        for (key, thing) in &mut self.aws {
            if thing.busy == 0 {
                continue;
            }
            moved = true;
            thing.busy -= 1;
            if thing.busy > 0 {
                continue;
            }
            if thing.present.lifecycle == Lifecycle::Deleting {
                gone.push(key.clone());
                continue;
            }
            let fails = match key.kind {
                ResourceKind::Aws(kind) if thing.present.lifecycle == Lifecycle::Creating => {
                    self.failing.get(&kind)
                }
                _ => None,
            };
            thing.present.lifecycle = match fails {
                Some(reason) => Lifecycle::Failed((*reason).to_owned()),
                None => Lifecycle::Available,
            };
            if let Some(resource) = thing.then.take() {
                thing.present.resource = resource;
            }
            thing.present.outputs = outputs(&thing.present.resource);
        }
        for key in gone {
            self.vanish(&key);
        }
        moved |= self.scale_tables();
        self.tick_kubernetes() || moved
    }

    /// Carries out one step.
    pub fn take(&mut self, step: &Step) {
        let key = &step.key;
        if !matches!(step.operation, Operation::Wait) {
            self.log
                .push(format!("{} {}/{}", verb(step), key.kind.id(), key.name));
        }
        match &step.operation {
            Operation::AwsCreate { desired } => self.create(key, desired),
            Operation::AwsUpdate { desired, fields } => self.update(key, desired, fields),
            Operation::AwsAdopt { desired } => self.update(key, desired, &["tags".to_owned()]),
            Operation::AwsDelete { mode } => self.delete(key, *mode),
            Operation::KubernetesApply { desired } => self.apply(key, desired),
            Operation::KubernetesDelete => self.remove(key),
            Operation::DrainNodes => self.drain(key),
            Operation::UncordonNodes => drop(self.cordoned.remove(&key.name)),
            Operation::Forget | Operation::LeaveBehind(_) | Operation::Wait => {}
        }
    }

    /// The key of the only resource of a kind whose name contains `part`.
    pub fn key(&self, kind: AwsKind, part: &str) -> ResourceKey {
        let mut found: Vec<_> = self
            .aws
            .keys()
            .filter(|key| key.kind == ResourceKind::Aws(kind) && key.name.contains(part))
            .cloned()
            .collect();
        assert_eq!(found.len(), 1, "{} of {part}: {found:?}", kind.id());
        found.remove(0)
    }

    /// The kinds of AWS resources that there are.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.aws.keys().map(|key| key.kind.id()).collect();
        kinds.dedup();
        kinds
    }

    /// An AWS resource that there is.
    pub fn thing(&mut self, key: &ResourceKey) -> &mut Thing {
        self.aws.get_mut(key).expect("it exists")
    }

    /// Position in the log of the first entry that begins so.
    pub fn at(&self, entry: &str) -> usize {
        self.log
            .iter()
            .position(|line| line.starts_with(entry))
            .unwrap_or_else(|| panic!("no `{entry}` in {:#?}", self.log))
    }
}

/// The gravest effect of any step.
pub fn gravest(plan: &Plan) -> Effect {
    let effects = plan.steps.iter().map(|step| step.effect);
    effects.max().unwrap_or_default()
}
