//! A world that carries out steps as AWS and Kubernetes do: resources take a while, take one change at a time, and refuse what
//! AWS refuses. It never sleeps: [`World::tick`] is its clock.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Change},
    blueprint::Blueprint,
    failure::Failure,
    kubernetes::{KubernetesKind, KubernetesObject},
    observed::{Lifecycle, NodeGroupNodes, Observation, Observed, ObservedObject, Present},
    outputs::Outputs,
    plan::{Action, DeleteMode, Operation, Plan, Step},
    planner::{Input, Inventory, InventoryEntry, Policies},
    resource::{ResourceKey, ResourceKind},
    sensitive::Sensitive,
};

use crate::{
    fixture::Wanted,
    invariants::{self, CANARY},
};

/// Ticks that something slow takes.
const SLOW: u32 = 3;
/// Passes after which a world that still moves is taken to move for ever.
const BOUND: usize = 400;

/// An AWS resource in this world.
#[derive(Clone, Debug)]
pub struct Thing {
    pub present: Present,
    /// Ticks until what is under way is done.
    busy: u32,
    /// What it is like then.
    then: Option<AwsResource>,
}

impl Thing {
    pub fn new(resource: AwsResource) -> Self {
        Self {
            present: Present {
                arn: arn(&resource),
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

pub struct World {
    pub wanted: Wanted,
    pub aws: BTreeMap<ResourceKey, Thing>,
    pub kubernetes: BTreeMap<ResourceKey, ObservedObject>,
    /// What cannot be observed now.
    pub unknown: BTreeMap<ResourceKey, Failure>,
    /// Pods by node group.
    pub pods: BTreeMap<String, usize>,
    pub inventory: Inventory,
    pub policies: Policies,
    pub approved: Option<String>,
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
        Operation::Forget => "forget".into(),
        Operation::Wait => "wait".into(),
    }
}

impl World {
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            aws: BTreeMap::new(),
            kubernetes: BTreeMap::new(),
            unknown: BTreeMap::new(),
            pods: BTreeMap::new(),
            inventory: Inventory::new(),
            policies: Policies::default(),
            approved: None,
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

    pub fn draft(&self) -> Blueprint {
        (self.wanted.blueprint)(&Observed::default())
    }

    pub fn observe(&self) -> Observed {
        let draft = self.draft();
        let mut observed = Observed {
            kubernetes: self.kubernetes.clone(),
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
            if let Some(AwsResource::NodeGroup(group)) =
                self.aws.get(key).map(|thing| &thing.present.resource)
            {
                let lifecycle = &self.aws[key].present.lifecycle;
                let nodes = if *lifecycle == Lifecycle::Creating {
                    0
                } else {
                    usize::try_from(group.min_size).unwrap()
                };
                // Only a group that is about to go is asked for its pods.
                let pods = if draft.get(key).is_none() {
                    self.pods.get(&group.name).copied().unwrap_or(0)
                } else {
                    0
                };
                observed.nodes.insert(
                    group.name.clone(),
                    NodeGroupNodes {
                        ready: nodes,
                        total: nodes,
                        pods,
                    },
                );
            }
        }
        observed
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

    pub fn plan_for(&self, observed: &Observed, blueprint: &Blueprint) -> Plan {
        invariants::plan(&self.input(observed, blueprint))
    }

    pub fn input<'a>(&'a self, observed: &'a Observed, blueprint: &'a Blueprint) -> Input<'a> {
        Input {
            owner: &self.wanted.owner,
            cluster: &self.wanted.cluster,
            blueprint,
            observed,
            inventory: &self.inventory,
            policies: self.policies,
            approved: self.approved.as_deref(),
            deleting: self.deleting,
        }
    }

    /// One pass; gives its plan.
    pub fn pass(&mut self) -> Plan {
        let observed = self.observe();
        let blueprint = (self.wanted.blueprint)(&observed);
        let plan = self.plan_for(&observed, &blueprint);
        let intended = with_intentions(&self.inventory, &plan, &blueprint);
        self.inventory = intended;
        self.execute(&plan);
        self.inventory = after(&self.inventory, &plan, &blueprint, &observed);
        plan
    }

    /// A pass of a process that ends after what it is about to do was written down, and after `steps` steps.
    pub fn pass_cut_short(&mut self, steps: usize) {
        let observed = self.observe();
        let blueprint = (self.wanted.blueprint)(&observed);
        let plan = self.plan_for(&observed, &blueprint);
        self.inventory = with_intentions(&self.inventory, &plan, &blueprint);
        for step in plan.free_steps().take(steps) {
            self.take(step);
        }
    }

    pub fn execute(&mut self, plan: &Plan) {
        for step in plan.free_steps() {
            self.take(step);
        }
    }

    /// Passes until nothing is done any more; gives the last plan.
    pub fn run(&mut self) -> Plan {
        for _ in 0..BOUND {
            let plan = self.pass();
            let idle = plan
                .free_steps()
                .all(|step| matches!(step.operation, Operation::Forget));
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

    /// What an autoscaler does.
    pub fn scale(&mut self, deployment: &str, replicas: u32) {
        let key = ResourceKey::kubernetes(KubernetesKind::Deployment, deployment);
        let body = &mut self.kubernetes.get_mut(&key).expect("it exists").body;
        body["spec"]["replicas"] = json!(replicas);
        set_replicas(body, "kube-controller-manager", "Update");
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
            thing.present.lifecycle = Lifecycle::Available;
            if let Some(resource) = thing.then.take() {
                thing.present.resource = resource;
            }
            thing.present.outputs = outputs(&thing.present.resource);
        }
        for key in gone {
            self.vanish(&key);
        }
        self.tick_kubernetes() || moved
    }

    fn tick_kubernetes(&mut self) -> bool {
        let mut moved = false;
        let before = self.kubernetes.len();
        self.kubernetes.retain(|_, object| !object.is_terminating());
        moved |= self.kubernetes.len() != before;
        let fewest: BTreeMap<String, Value> = self
            .kubernetes
            .iter()
            .filter(|(key, _)| {
                key.kind == ResourceKind::Kubernetes(KubernetesKind::HorizontalPodAutoscaler)
            })
            .map(|(key, object)| (key.name.clone(), object.body["spec"]["minReplicas"].clone()))
            .collect();
        let group = self
            .aws
            .iter()
            .filter(|(_, thing)| thing.present.lifecycle == Lifecycle::Available)
            .find_map(|(_, thing)| match &thing.present.resource {
                AwsResource::NodeGroup(group) => Some(group.name.clone()),
                _ => None,
            });
        for (key, object) in &mut self.kubernetes {
            let status = match key.kind {
                ResourceKind::Kubernetes(KubernetesKind::Deployment) => {
                    let running = object.body["spec"]["replicas"].as_u64();
                    if let Some(least) = fewest.get(&key.name)
                        && running < least.as_u64()
                    {
                        object.body["spec"]["replicas"] = least.clone();
                        moved = true;
                        set_replicas(&mut object.body, "kube-controller-manager", "Update");
                    }
                    let replicas = object.body["spec"]["replicas"].clone();
                    if let (Some(group), true) = (&group, self.pods.values().sum::<usize>() == 0) {
                        self.pods.insert(
                            group.clone(),
                            usize::try_from(replicas.as_u64().unwrap()).unwrap(),
                        );
                    }
                    json!({
                        "observedGeneration": object.body["metadata"]["generation"],
                        "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas,
                    })
                }
                ResourceKind::Kubernetes(KubernetesKind::Ingress) => {
                    json!({"loadBalancer": {"ingress": [{"hostname": "alb.example"}]}})
                }
                _ => continue,
            };
            moved |= object.body["status"] != status;
            object.body["status"] = status;
        }
        moved
    }

    fn take(&mut self, step: &Step) {
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
            Operation::Forget | Operation::Wait => {}
        }
    }

    fn has(&self, kind: AwsKind, name: &str) -> bool {
        self.aws
            .get(&ResourceKey::aws(kind, name))
            .is_some_and(|thing| {
                matches!(
                    thing.present.lifecycle,
                    Lifecycle::Available | Lifecycle::Modifying
                )
            })
    }

    /// What AWS refuses to make a resource without.
    fn check_needs(&self, desired: &AwsResource) {
        let role_of = |arn: &str| arn.rsplit('/').next().unwrap().to_owned();
        let met = match desired {
            AwsResource::RdsInstance(instance) => {
                self.has(AwsKind::RdsSubnetGroup, &instance.subnet_group)
                    && self.has(AwsKind::RdsParameterGroup, &instance.parameter_group)
            }
            AwsResource::CacheReplicationGroup(group) => {
                let parameters = group
                    .parameter_group
                    .as_ref()
                    .filter(|name| !name.starts_with("default."));
                self.has(AwsKind::CacheSubnetGroup, &group.subnet_group)
                    && parameters.is_none_or(|name| self.has(AwsKind::CacheParameterGroup, name))
            }
            AwsResource::NodeGroup(group) => {
                self.has(AwsKind::IamRole, &role_of(&group.node_role_arn))
            }
            AwsResource::PodIdentityAssociation(association) => {
                self.has(AwsKind::IamRole, &role_of(&association.role_arn))
            }
            AwsResource::SnsSubscription(subscription) => self.has(
                AwsKind::SnsTopic,
                subscription.topic_arn.rsplit(':').next().unwrap(),
            ),
            AwsResource::SqsQueue(queue) => queue.redrive.as_ref().is_none_or(|redrive| {
                self.has(
                    AwsKind::SqsQueue,
                    redrive.dead_letter_arn.rsplit(':').next().unwrap(),
                )
            }),
            _ => true,
        };
        assert!(
            met,
            "AWS refuses to make {} before what it needs",
            desired.key()
        );
    }

    fn create(&mut self, key: &ResourceKey, desired: &AwsResource) {
        assert!(!self.aws.contains_key(key), "{key} exists");
        self.check_needs(desired);
        let mut resource = as_reported(desired);
        let mut thing = Thing::new(resource.clone());
        match &mut resource {
            // Each of these has further settings that creating it does not take.
            AwsResource::S3Bucket(bucket) => {
                bucket.versioning = false;
                bucket.policy = None;
                bucket.lifecycle.clear();
                bucket.intelligent_tiering = None;
                bucket.cors.clear();
            }
            AwsResource::DynamoDbTable(table) => {
                table.point_in_time_recovery.enabled = false;
                table.time_to_live_attribute = None;
            }
            AwsResource::IamRole(role) => {
                role.inline_policies.clear();
                role.managed_policy_arns.clear();
            }
            AwsResource::KmsKey(found) => {
                found.alias = None;
                found.rotation = false;
            }
            AwsResource::SnsSubscription(subscription)
                if subscription.protocol.needs_confirmation() =>
            {
                subscription.filter_policy = None;
                subscription.raw_delivery = false;
                subscription.dead_letter_arn = None;
                thing.present.arn = None;
            }
            _ => {}
        }
        thing.present.empty = Some(true);
        if let ResourceKind::Aws(kind) = key.kind
            && kind.usual_minutes() > 0
        {
            thing.present.lifecycle = Lifecycle::Creating;
            thing.present.outputs = Outputs::new();
            thing.busy = SLOW;
        }
        thing.present.resource = resource;
        self.aws.insert(key.clone(), thing);
    }

    fn update(&mut self, key: &ResourceKey, desired: &AwsResource, fields: &[String]) {
        let thing = self.aws.get_mut(key).expect("it exists");
        assert!(
            thing.present.arn.is_some(),
            "SNS does not change {key} before it is confirmed"
        );
        let table = desired.kind().fields();
        for field in fields {
            let known = table.iter().find(|known| known.name == field);
            let refused = known.is_some_and(|known| {
                matches!(
                    known.change,
                    Change::Refused { .. } | Change::Replace | Change::CreateOnly
                )
            });
            assert!(
                !refused && (known.is_some() || field == "tags"),
                "AWS cannot change {field} of {key}"
            );
        }
        // RDS, SQS and EKS take all of them at once; the others one in a call.
        let at_once = matches!(
            desired.kind(),
            AwsKind::RdsInstance | AwsKind::SqsQueue | AwsKind::NodeGroup
        ) && !fields.contains(&"tags".to_owned());
        let taken = if at_once { fields } else { &fields[..1] };
        let mut resource = serde_json::to_value(&thing.present.resource).unwrap();
        let wanted = serde_json::to_value(as_reported(desired)).unwrap();
        let mut minutes = 0;
        for field in taken {
            if field == "tags" {
                let tags = wanted["tags"].as_object().unwrap().clone();
                resource["tags"].as_object_mut().unwrap().extend(tags);
                continue;
            }
            resource[field] = wanted[field].clone();
            minutes += match table
                .iter()
                .find(|known| known.name == field)
                .unwrap()
                .change
            {
                Change::InPlace { minutes, .. } | Change::GrowOnly { minutes, .. } => minutes,
                _ => 0,
            };
        }
        let resource: AwsResource = serde_json::from_value(resource).unwrap();
        if minutes == 0 {
            thing.present.outputs = outputs(&resource);
            thing.present.resource = resource;
        } else {
            thing.present.lifecycle = Lifecycle::Modifying;
            thing.busy = SLOW;
            thing.then = Some(resource);
        }
    }

    /// What AWS refuses to delete something under.
    fn check_unused(&self, key: &ResourceKey) {
        for (other, thing) in &self.aws {
            let uses = match (&thing.present.resource, key.kind) {
                (
                    AwsResource::RdsInstance(instance),
                    ResourceKind::Aws(AwsKind::RdsSubnetGroup),
                ) => instance.subnet_group == key.name,
                (
                    AwsResource::RdsInstance(instance),
                    ResourceKind::Aws(AwsKind::RdsParameterGroup),
                ) => instance.parameter_group == key.name,
                (
                    AwsResource::CacheReplicationGroup(group),
                    ResourceKind::Aws(AwsKind::CacheSubnetGroup),
                ) => group.subnet_group == key.name,
                (
                    AwsResource::CacheReplicationGroup(group),
                    ResourceKind::Aws(AwsKind::CacheParameterGroup),
                ) => group.parameter_group.as_ref() == Some(&key.name),
                (AwsResource::NodeGroup(group), ResourceKind::Aws(AwsKind::IamRole)) => {
                    group.node_role_arn.ends_with(&format!("/{}", key.name))
                }
                _ => false,
            };
            assert!(!uses, "AWS refuses to delete {key}, which {other} uses");
        }
    }

    fn delete(&mut self, key: &ResourceKey, mode: DeleteMode) {
        self.check_unused(key);
        let pods = self.pods.get(&key.name).copied().unwrap_or(0);
        assert!(
            pods == 0 || key.kind != ResourceKind::Aws(AwsKind::NodeGroup),
            "{pods} pods go down with {key}"
        );
        let thing = self.aws.get_mut(key).expect("it exists");
        assert!(
            thing.present.arn.is_some(),
            "{key} cannot be deleted before it is confirmed"
        );
        match &mut thing.present.resource {
            AwsResource::RdsInstance(instance) if instance.deletion_protection => {
                instance.deletion_protection = false;
                return;
            }
            AwsResource::DynamoDbTable(table) if table.deletion_protection => {
                table.deletion_protection = false;
                return;
            }
            AwsResource::S3Bucket(_) if thing.present.empty == Some(false) => {
                assert_eq!(mode, DeleteMode::Everything, "{key} is not empty");
                thing.present.empty = Some(true);
                return;
            }
            _ => {}
        }
        let ResourceKind::Aws(kind) = key.kind else {
            unreachable!()
        };
        if kind.usual_minutes() == 0 {
            self.vanish(key);
        } else {
            thing.present.lifecycle = Lifecycle::Deleting;
            thing.busy = SLOW;
        }
    }

    fn vanish(&mut self, key: &ResourceKey) {
        let gone = self.aws.remove(key);
        if let Some(AwsResource::SnsTopic(topic)) = gone.map(|thing| thing.present.resource) {
            self.aws.retain(|_, thing| !matches!(&thing.present.resource, AwsResource::SnsSubscription(other) if other.topic_arn == topic.arn));
        }
    }

    fn apply(&mut self, key: &ResourceKey, desired: &KubernetesObject) {
        let existing = self.kubernetes.get(key);
        let mut body = existing.map_or_else(|| json!({}), |object| object.body.clone());
        let generation = body["metadata"]["generation"].as_u64().unwrap_or(0);
        let spec_before = body.get("spec").cloned();
        merge(&mut body, &desired.comparable());
        if desired.kind == KubernetesKind::Deployment {
            apply_replicas(
                &mut body,
                &desired.to_apply(existing.map(|object| &object.body)),
            );
        }
        with_defaults(desired.kind, &mut body);
        let changed = body.get("spec").cloned() != spec_before;
        body["metadata"]["generation"] = json!(generation + u64::from(changed));
        body["metadata"]["uid"] = json!(format!("{}-{}", key.kind.id(), key.name));
        let ours = body["metadata"]["ownerReferences"][0]["uid"] == json!(self.wanted.owner.uid);
        self.kubernetes.insert(
            key.clone(),
            ObservedObject {
                uid: body["metadata"]["uid"].as_str().unwrap().to_owned(),
                body,
                ours,
            },
        );
    }

    fn remove(&mut self, key: &ResourceKey) {
        match key.kind {
            // The finalizer of the controller holds it until its load balancer is gone.
            ResourceKind::Kubernetes(KubernetesKind::Ingress) => {
                self.kubernetes.get_mut(key).expect("it exists").body["metadata"]["deletionTimestamp"] =
                    json!("2026-01-01T00:00:00Z");
            }
            ResourceKind::Kubernetes(KubernetesKind::Deployment) => {
                self.pods.clear();
                self.kubernetes.remove(key);
            }
            _ => drop(self.kubernetes.remove(key)),
        }
    }

    /// One pod moves, as a disruption budget wants it.
    fn drain(&mut self, key: &ResourceKey) {
        let other = self
            .aws
            .iter()
            .filter(|(other, thing)| {
                *other != key && thing.present.lifecycle == Lifecycle::Available
            })
            .find_map(|(_, thing)| match &thing.present.resource {
                AwsResource::NodeGroup(group) => Some(group.name.clone()),
                _ => None,
            })
            .unwrap_or_else(|| panic!("the pods of {key} have nowhere to go"));
        *self.pods.get_mut(&key.name).expect("it has pods") -= 1;
        *self.pods.entry(other).or_default() += 1;
        for (_, object) in self
            .kubernetes
            .iter_mut()
            .filter(|(key, _)| key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment))
        {
            let available = object.body["status"]["availableReplicas"].as_i64().unwrap();
            object.body["status"]["availableReplicas"] = json!(available - 1);
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

    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.aws.keys().map(|key| key.kind.id()).collect();
        kinds.dedup();
        kinds
    }

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

/// A resource as AWS reports it once it is as desired: versions in full, and values of its own where none are declared.
pub fn as_reported(desired: &AwsResource) -> AwsResource {
    let mut resource = desired.clone();
    match &mut resource {
        AwsResource::RdsInstance(instance) => {
            if !instance.engine_version.contains('.') {
                instance.engine_version.push_str(".6");
            }
            instance.iops.get_or_insert(3000);
            instance
                .backup_window
                .get_or_insert_with(|| "02:00-02:30".into());
            instance
                .maintenance_window
                .get_or_insert_with(|| "sun:04:00-sun:04:30".into());
        }
        AwsResource::NodeGroup(group) => {
            group.version.get_or_insert_with(|| "1.36".into());
            group
                .release_version
                .get_or_insert_with(|| "1.36.0-20260101".into());
        }
        AwsResource::CacheReplicationGroup(group) => {
            group
                .snapshot_window
                .get_or_insert_with(|| "04:00-05:00".into());
            group
                .maintenance_window
                .get_or_insert_with(|| "sun:05:00-sun:06:00".into());
        }
        AwsResource::SnsTopic(topic) => {
            topic
                .policy
                .get_or_insert_with(|| json!({"Id": "__default_policy_ID"}));
        }
        _ => {}
    }
    resource
        .tags_mut()
        .entry("aws:cloudformation:none".into())
        .or_default();
    if matches!(resource, AwsResource::SnsSubscription(_)) {
        resource.tags_mut().clear();
    }
    resource
}

fn arn(resource: &AwsResource) -> Option<String> {
    Some(format!(
        "arn:aws:{}:{}",
        resource.kind().id(),
        resource.name()
    ))
}

/// What a resource tells those that use it.
pub fn outputs(resource: &AwsResource) -> Outputs {
    match resource {
        AwsResource::RdsInstance(instance) => Outputs::new()
            .with("host", format!("{}.rds.example", instance.identifier))
            .with("port", instance.port.to_string())
            .with(
                "endpoint",
                format!("{}.rds.example:{}", instance.identifier, instance.port),
            )
            .with("username", instance.username.clone())
            .with_optional("database", instance.database_name.clone())
            .with_secret("password", Sensitive::new(CANARY)),
        AwsResource::DynamoDbTable(table) => Outputs::new()
            .with("tableName", table.name.clone())
            .with("region", "eu-west-1"),
        AwsResource::CacheReplicationGroup(group) => Outputs::new()
            .with("host", format!("{}.cache.example", group.id))
            .with("port", group.port.to_string())
            .with("readerHost", format!("{}-ro.cache.example", group.id)),
        AwsResource::S3Bucket(bucket) => Outputs::new()
            .with("bucket", bucket.name.clone())
            .with("region", bucket.region.clone()),
        AwsResource::SnsTopic(topic) => Outputs::new()
            .with("arn", topic.arn.clone())
            .with("topicArn", topic.arn.clone()),
        AwsResource::SqsQueue(queue) => Outputs::new()
            .with("queueUrl", format!("https://sqs.example/{}", queue.name))
            .with("queueName", queue.name.clone()),
        _ => Outputs::new(),
    }
}

/// A server-side apply: maps are merged, lists are taken as they are sent.
fn merge(body: &mut Value, desired: &Value) {
    match (body, desired) {
        (Value::Object(body), Value::Object(desired)) => {
            for (name, value) in desired {
                merge(body.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (body, desired) => *body = desired.clone(),
    }
}

/// Who is known to have set the replicas of a Deployment.
fn set_replicas(body: &mut Value, manager: &str, operation: &str) {
    body["metadata"]["managedFields"] = json!([
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]);
}

/// A server-side apply gives up the replicas that it set before and leaves out now: then they are the default.
fn apply_replicas(body: &mut Value, sent: &Value) {
    if let Some(version) = sent["metadata"].get("resourceVersion") {
        assert_eq!(
            Some(version),
            body["metadata"].get("resourceVersion"),
            "it was changed meanwhile"
        );
    }
    match sent["spec"].get("replicas") {
        Some(replicas) => {
            body["spec"]["replicas"] = replicas.clone();
            set_replicas(body, "shopkeeper", "Apply");
        }
        None if body.pointer("/metadata/managedFields/0/manager") == Some(&json!("shopkeeper")) => {
            body["spec"]["replicas"] = json!(1);
            body["metadata"]["managedFields"] = json!([]);
        }
        None => {}
    }
}

/// What the API server adds.
fn with_defaults(kind: KubernetesKind, body: &mut Value) {
    body["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    match kind {
        KubernetesKind::Deployment => {
            body["spec"]["revisionHistoryLimit"] = json!(10);
            if body["spec"].get("replicas").is_none() {
                body["spec"]["replicas"] = json!(1);
            }
            let pod = &mut body["spec"]["template"]["spec"];
            pod["restartPolicy"] = json!("Always");
            pod["dnsPolicy"] = json!("ClusterFirst");
            for container in pod["containers"].as_array_mut().unwrap() {
                container["terminationMessagePath"] = json!("/dev/termination-log");
            }
        }
        KubernetesKind::Service => {
            body["spec"]["clusterIP"] = json!("10.100.0.1");
            body["spec"]["sessionAffinity"] = json!("None");
        }
        _ => {}
    }
}

// The inventory, as the manager keeps it in the status.

/// With what the plan is about to make or adopt.
fn with_intentions(inventory: &Inventory, plan: &Plan, blueprint: &Blueprint) -> Inventory {
    let mut intended = inventory.clone();
    for step in plan.free_steps() {
        if matches!(
            step.operation,
            Operation::AwsCreate { .. } | Operation::AwsAdopt { .. }
        ) && let Some(node) = blueprint.get(&step.key)
        {
            intended
                .entry(step.key.clone())
                .or_insert_with(|| InventoryEntry {
                    role: node.role.clone(),
                    applied: None,
                });
        }
    }
    intended
}

/// After a pass.
fn after(
    intended: &Inventory,
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
) -> Inventory {
    let mut next = Inventory::new();
    for (key, entry) in intended {
        let step = plan.steps.iter().find(|step| step.key == *key);
        let wanted = blueprint.get(key).is_some();
        let gone = match key.kind {
            ResourceKind::Aws(_) => matches!(observed.aws.get(key), Some(Observation::Absent)),
            ResourceKind::Kubernetes(_) => !observed.kubernetes.contains_key(key),
        };
        let being_made =
            step.is_some_and(|step| matches!(step.action, Action::Create | Action::Adopt));
        let handed_back = step.is_some_and(|step| step.action == Action::Retain && step.is_free());
        if (gone && !being_made && !wanted) || handed_back {
            continue;
        }
        next.insert(key.clone(), entry.clone());
    }
    for (key, node) in blueprint.iter() {
        let there = match key.kind {
            ResourceKind::Aws(_) => next.contains_key(key),
            ResourceKind::Kubernetes(_) => observed
                .kubernetes
                .get(key)
                .is_some_and(|object| object.ours),
        };
        if !there {
            continue;
        }
        let entry = next.entry(key.clone()).or_insert_with(|| InventoryEntry {
            role: node.role.clone(),
            applied: None,
        });
        entry.role = node.role.clone();
        // Only what was seen to be as desired counts as applied: what is being made or changed was not.
        if !plan.steps.iter().any(|step| step.key == *key) {
            entry.applied = node.intent();
        }
    }
    next
}
