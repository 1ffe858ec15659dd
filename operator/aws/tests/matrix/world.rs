//! One custom resource with one resource of AWS, in the loop of the operator: observe, plan, write down, execute. What the manager does
//! for a whole one, without Kubernetes.

mod somebody_else;

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_aws::{Account, DeletionToken, Scope};
use shopkeeper_plan::{
    allowed::Allowed,
    aws::{AwsKind, AwsResource},
    blueprint::{Blueprint, Section},
    difference,
    facts::ClusterArn,
    failure::{Class, Failure},
    inventory,
    names::Owner,
    observed::{NodeGroupNodes, Observation, Observed, ObservedNode, Present},
    plan::{Action, Blocker, Operation, Plan, ShownPlan, Step},
    planner::{self, ChangePolicy, Input, Inventory, Policies},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    double::{ACCOUNT_ID, CLUSTER, REGION},
    ground::Ground,
    other_values::Values,
    specimen::Specimen,
};

/// A life ends in fewer passes than this, whatever AWS does to it.
const MOST_PASSES: usize = 300;
/// So many passes that find the same and get nothing done are the end.
const PATIENCE: usize = 12;
/// What lasts by AWS's own rules, whatever the double is told: moves its clock past it.
const SECONDS_OF_AWS: f64 = 61.0;

/// What a cell found wrong.
pub type Outcome<T = ()> = Result<T, String>;

fn cluster() -> ClusterArn {
    ClusterArn::new(ACCOUNT_ID, REGION, CLUSTER)
}

/// A custom resource, and the account it lives in.
pub struct World<'a> {
    pub ground: &'a Ground,
    pub account: Account,
    /// How its calls are told from those of others.
    pub caller: String,
    pub owner: Owner,
    pub policies: Policies,
    pub deleting: bool,
    /// What its resource rests on, and the resource, without tags of an owner.
    wishes: Vec<AwsResource>,
    inventory: Inventory,
    absent: BTreeSet<ResourceKey>,
}

impl<'a> World<'a> {
    /// One that wants a specimen. Whoever has the same `uid` is the same owner, and `name` is the custom resource's.
    pub fn new(ground: &'a Ground, specimen: &Specimen, name: &str, uid: &str) -> Self {
        let account = ground.double.account_of(&caller(uid));
        Self::of(ground, specimen, name, uid, account)
    }

    fn of(
        ground: &'a Ground,
        specimen: &Specimen,
        name: &str,
        uid: &str,
        account: Account,
    ) -> Self {
        let mut wishes = specimen.prerequisites.clone();
        wishes.push(specimen.resource.clone());
        let owner = Owner {
            kind: "OrderService".into(),
            api_version: "shopkeeper.dev/v1alpha1".into(),
            namespace: "shop".into(),
            name: name.into(),
            uid: uid.into(),
            generation: 1,
        };
        Self {
            account,
            caller: caller(uid),
            ground,
            owner,
            policies: Policies {
                changes: ChangePolicy::Automatic,
                ..Policies::default()
            },
            deleting: false,
            wishes,
            inventory: Inventory::new(),
            absent: BTreeSet::new(),
        }
    }

    /// The key of the resource that this is about.
    pub fn key(&self) -> ResourceKey {
        self.wishes.last().unwrap().key()
    }

    /// The resource, as it is wished for.
    pub fn wish(&self) -> &AwsResource {
        self.wishes.last().unwrap()
    }

    /// Wishes for other values of it.
    pub fn change(&mut self, values: &Values) {
        let changed = with(self.wish(), values);
        *self.wishes.last_mut().unwrap() = changed;
        self.owner.generation += 1;
    }

    /// As in the blueprint: with the tags of its owner. SNS has none for subscriptions.
    pub fn desired(&self, wish: &AwsResource) -> AwsResource {
        let mut desired = wish.clone();
        if desired.kind() != AwsKind::SnsSubscription {
            desired.tags_mut().extend(self.owner.tags(&cluster()));
        }
        desired
    }

    fn blueprint(&self) -> Blueprint {
        let mut blueprint = Blueprint::default();
        let mut before: Vec<ResourceKey> = Vec::new();
        for wish in &self.wishes {
            let role = format!("{}.{}", wish.kind().id(), before.len());
            let key = blueprint.aws(Section::Data, role, self.desired(wish), &before);
            before.push(key);
        }
        blueprint
    }

    pub fn scope(&self) -> Scope {
        Scope {
            account_id: ACCOUNT_ID.into(),
            region: REGION.into(),
            cluster: CLUSTER.into(),
            owner_tags: self.owner.tags(&cluster()),
        }
    }

    pub async fn look(&self, key: &ResourceKey) -> Observation {
        let ResourceKind::Aws(kind) = key.kind else {
            panic!("{key} is none of AWS");
        };
        self.account.observe(kind, &key.name, &self.scope()).await
    }

    /// The resource, which has to be there.
    pub async fn present(&self) -> Outcome<Present> {
        match self.look(&self.key()).await {
            Observation::Present(present) => Ok(*present),
            other => Err(format!("{} is not there: {other:?}", self.key())),
        }
    }

    /// The names of fields in which it is not as desired.
    pub async fn differing(&self) -> Outcome<Vec<&'static str>> {
        let present = self.present().await?;
        let desired = self.desired(self.wish());
        Ok(difference::aws(&desired, &present.resource)
            .iter()
            .map(|difference| difference.field.name)
            .collect())
    }

    /// Says how often it exists, by the double's own memory.
    pub fn count(&self) -> usize {
        self.ground
            .double
            .inventory()
            .iter()
            .filter(|entry| {
                let kind = entry["type"].as_str().unwrap_or_default();
                if let AwsResource::SnsSubscription(subscription) = self.wish() {
                    let prefix = format!("{}:", subscription.topic_arn);
                    return kind == "subscription"
                        && entry["arn"]
                            .as_str()
                            .is_some_and(|arn| arn.starts_with(&prefix));
                }
                let ours = entry["tags"]["shopkeeper.dev/owner-uid"] == self.owner.uid.as_str();
                let rests = self.wishes.len() > 1
                    && self.wishes[..self.wishes.len() - 1].iter().any(|wish| {
                        entry["name"]
                            .as_str()
                            .is_some_and(|name| name == wish.name())
                            && kind != "replication-group"
                    });
                let saved = ["snapshot", "backup", "cache-cluster"]
                    .iter()
                    .any(|other| kind.contains(other));
                let gone = matches!(entry["status"].as_str(), Some("PendingDeletion"));
                ours && !rests && !saved && !gone
            })
            .count()
    }

    /// Whether something was saved of it.
    pub fn is_saved(&self) -> bool {
        let name = self.key().name;
        self.ground.double.inventory().iter().any(|entry| {
            let kind = entry["type"].as_str().unwrap_or_default();
            (kind.contains("snapshot") || kind.contains("backup"))
                && [&entry["name"], &entry["arn"]]
                    .iter()
                    .any(|text| text.as_str().is_some_and(|text| text.contains(&name)))
        })
    }

    /// The writes of this one since a position in the double's record.
    pub fn writes_since(&self, position: u64) -> Vec<String> {
        self.ground.double.writes_since(position, &self.caller)
    }

    async fn observe(&self, blueprint: &Blueprint) -> Observed {
        let keys: BTreeSet<ResourceKey> = blueprint
            .keys()
            .chain(self.inventory.keys())
            .cloned()
            .collect();
        let mut observed = Observed::default();
        for key in keys {
            let observation = self.look(&key).await;
            observed.aws.insert(key, observation);
        }
        for wish in &self.wishes {
            if let AwsResource::NodeGroup(group) = wish {
                let nodes = usize::try_from(group.min_size).unwrap();
                observed.nodes.insert(
                    group.name.clone(),
                    NodeGroupNodes {
                        nodes: (0..nodes)
                            .map(|nth| ObservedNode {
                                name: format!("node-{nth}"),
                                ready: true,
                                unschedulable: false,
                                cordoned_by_us: false,
                                resource_version: "1".into(),
                            })
                            .collect(),
                        pods: Vec::new(),
                    },
                );
            }
        }
        observed
    }

    fn plan_for(&self, blueprint: &Blueprint, observed: &Observed) -> Plan {
        planner::plan(&Input {
            owner: &self.owner,
            cluster: &cluster(),
            blueprint,
            observed,
            inventory: &self.inventory,
            policies: self.policies,
            adoptable: Allowed::ALL,
            approved: None,
            last_approval: None,
            decisions: &[],
            shown: &ShownPlan::default(),
            deleting: self.deleting,
        })
    }

    /// One pass. Gives its plan, with what AWS refused, and how many steps were taken.
    pub async fn pass(&mut self) -> (Plan, usize) {
        let blueprint = self.blueprint();
        let observed = self.observe(&blueprint).await;
        let mut plan = self.plan_for(&blueprint, &observed);
        self.inventory = inventory::with_intentions(&self.inventory, &plan, &blueprint, &observed);
        let mut taken = 0;
        for step in plan.steps.iter_mut().filter(|step| step.is_free()) {
            match self.take(step, &observed).await {
                Ok(()) => taken += 1,
                Err(failure) => step.blocked_by.push(Blocker::Refused(failure)),
            }
        }
        // Gone is what was not there twice, as in the manager.
        let absent = inventory::absent(&self.inventory, &observed);
        let gone = absent.intersection(&self.absent).cloned().collect();
        self.absent = absent;
        self.inventory = inventory::after(
            &self.inventory,
            &plan,
            &blueprint,
            &observed,
            &gone,
            self.deleting,
        );
        (plan, taken)
    }

    async fn take(&self, step: &Step, observed: &Observed) -> Result<(), Failure> {
        let present = || {
            observed
                .present(&step.key)
                .ok_or_else(|| Failure::new(Class::Bug, "was not observed"))
        };
        match &step.operation {
            Operation::AwsCreate { desired } => self.account.create(desired).await,
            Operation::AwsUpdate { desired, fields } => {
                self.account.update(desired, present()?, fields).await
            }
            Operation::AwsAdopt { desired } => {
                let tags = ["tags".to_owned()];
                self.account.update(desired, present()?, &tags).await
            }
            Operation::AwsDelete { mode } => {
                let token = DeletionToken::new(&self.owner.uid, &step.key, self.owner.generation);
                self.account.delete(present()?, *mode, &token).await
            }
            Operation::KubernetesApply { .. }
            | Operation::KubernetesDelete
            | Operation::DrainNodes
            | Operation::UncordonNodes => Err(Failure::new(Class::Bug, "there is no Kubernetes")),
            Operation::Forget | Operation::LeaveBehind(_) | Operation::Wait => Ok(()),
        }
    }

    /// Passes until nothing is left to do and to wait for. While reads may be stale, that has to be found so more than once.
    pub async fn settle(&mut self, times: usize) -> Outcome {
        let (mut settled, mut same) = (0, 0);
        let mut last: Option<Plan> = None;
        for _ in 0..MOST_PASSES {
            let (plan, taken) = self.pass().await;
            let done = if self.deleting {
                plan.steps.iter().all(|step| step.action == Action::Retain)
            } else {
                plan.is_empty()
            };
            settled = if done { settled + 1 } else { 0 };
            // That something is gone takes two passes to believe.
            if settled >= times.max(if self.deleting { 2 } else { 1 }) {
                return Ok(());
            }
            let is_same = last.as_ref().is_some_and(|last| last.steps == plan.steps);
            same = if is_same && !done { same + 1 } else { 0 };
            if same >= PATIENCE * times {
                return Err(format!("nothing moves: {}", told(&plan)));
            }
            if taken == 0 && !done && is_same {
                self.ground.double.advance(SECONDS_OF_AWS);
            }
            last = Some(plan);
        }
        let plan = last.unwrap_or_default();
        Err(format!(
            "not done after {MOST_PASSES} passes: {}",
            told(&plan)
        ))
    }

    /// That two more passes find nothing to do, and write nothing.
    pub async fn is_silent(&mut self) -> Outcome {
        let position = self.ground.double.position();
        let before = self.present().await?;
        for _ in 0..2 {
            let (plan, _) = self.pass().await;
            if !plan.is_empty() {
                return Err(format!("another pass would do something: {}", told(&plan)));
            }
        }
        let writes = self.writes_since(position);
        if !writes.is_empty() {
            return Err(format!("another pass writes: {writes:?}"));
        }
        let after = self.present().await?;
        (after == before)
            .then_some(())
            .ok_or_else(|| format!("it is seen otherwise each time: {before:?}, {after:?}"))
    }

    /// Passes until all is as desired, and then silence; there is one of it.
    pub async fn converge(&mut self) -> Outcome {
        self.settle(1).await?;
        let differing = self.differing().await?;
        if !differing.is_empty() {
            return Err(format!("settled, and differs in {differing:?}"));
        }
        self.is_one()
    }

    pub fn is_one(&self) -> Outcome {
        match self.count() {
            1 => Ok(()),
            count => Err(format!("there are {count} of {}", self.key())),
        }
    }

    fn specimen(&self) -> Specimen {
        let (resource, prerequisites) = self.wishes.split_last().unwrap();
        Specimen {
            prerequisites: prerequisites.to_vec(),
            resource: resource.clone(),
        }
    }

    /// The same custom resource, wishing for other values, as a process sees it that knows nothing yet.
    pub fn with(&self, values: &Values) -> World<'a> {
        let account = self.account.clone();
        let mut other = World::of(
            self.ground,
            &self.specimen(),
            &self.owner.name,
            &self.owner.uid,
            account,
        );
        other.change(values);
        other
    }

    /// Forgets what the process remembers between two passes, as after a restart.
    pub fn restart(&mut self) {
        self.account = self.ground.double.account_of(&self.caller);
        self.absent.clear();
    }
}

/// How the calls for an owner are told from those of others.
fn caller(uid: &str) -> String {
    format!("matrix-{uid}")
}

/// The same resource with other values.
pub fn with(resource: &AwsResource, values: &Values) -> AwsResource {
    let mut value = serde_json::to_value(resource).unwrap();
    for (field, other) in values {
        value[*field] = other.clone();
    }
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

/// A plan in a line.
pub fn told(plan: &Plan) -> String {
    let mut steps = BTreeMap::new();
    for step in &plan.steps {
        let fields: Vec<&str> = step
            .changes
            .iter()
            .map(|change| change.field.as_str())
            .collect();
        let blockers: Vec<String> = step.blocked_by.iter().map(ToString::to_string).collect();
        steps.insert(
            step.key.to_string(),
            format!("{:?} {fields:?} {blockers:?}", step.action),
        );
    }
    format!("{steps:?}")
}
