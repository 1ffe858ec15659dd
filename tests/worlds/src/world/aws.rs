//! What AWS does with a step, and what it refuses.

use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, CacheAuthentication, Change, password_secret},
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
    resource::{ResourceKey, ResourceKind},
    sensitive::Sensitive,
};

use super::{SLOW, Thing, World};
use crate::invariants::CANARY;

impl World {
    pub(super) fn has(&self, kind: AwsKind, name: &str) -> bool {
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
        // A role that nobody asks us to make is one of the user's own.
        let has_role = |arn: &str| {
            let name = arn.rsplit('/').next().unwrap();
            self.has(AwsKind::IamRole, name)
                || self
                    .draft()
                    .get(&ResourceKey::aws(AwsKind::IamRole, name))
                    .is_none()
        };
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
                let users = group.user_group.as_ref();
                self.has(AwsKind::CacheSubnetGroup, &group.subnet_group)
                    && users.is_none_or(|name| self.has(AwsKind::CacheUserGroup, name))
                    && parameters.is_none_or(|name| self.has(AwsKind::CacheParameterGroup, name))
            }
            AwsResource::CacheUserGroup(group) => group
                .users
                .iter()
                .all(|id| self.has(AwsKind::CacheUser, id)),
            AwsResource::CacheUser(user) => {
                user.password_current.is_none()
                    || self.has(AwsKind::SecretsManagerSecret, &password_secret(&user.id))
            }
            AwsResource::NodeGroup(group) => has_role(&group.node_role_arn),
            AwsResource::FargateProfile(profile) => has_role(&profile.pod_execution_role_arn),
            AwsResource::PodIdentityAssociation(association) => has_role(&association.role_arn),
            // What would be sent to a queue that is not there yet would be lost, which SNS does not mind.
            AwsResource::SnsSubscription(subscription) => {
                let last = |arn: &str| arn.rsplit(':').next().unwrap().to_owned();
                self.has(AwsKind::SnsTopic, &last(&subscription.topic_arn))
                    && subscription
                        .dead_letter_arn
                        .as_ref()
                        .is_none_or(|arn| self.has(AwsKind::SqsQueue, &last(arn)))
            }
            AwsResource::ScalableTarget(target) => self
                .scaled_table(target)
                .is_some_and(|table| desired.can_rest_on(&table.into())),
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

    pub(super) fn create(&mut self, key: &ResourceKey, desired: &AwsResource) {
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
                found.rotation_period_days = None;
            }
            AwsResource::ScalableTarget(target) => {
                target.target_utilization = None;
                target.scale_in_cooldown_seconds = 0;
                target.scale_out_cooldown_seconds = 0;
                target.scale_in_disabled = false;
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
        // Another one than those that had the name before.
        thing.present.id = Some(self.log.len().to_string());
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

    pub(super) fn update(&mut self, key: &ResourceKey, desired: &AwsResource, fields: &[String]) {
        if fields
            .iter()
            .any(|field| field == "capacity" || field == "globalIndexes")
        {
            self.check_unscaled(key, desired);
        }
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
            resource[field] = desired
                .on_the_way(&thing.present.resource, field)
                .unwrap_or_else(|| wanted[field].clone());
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
                (
                    AwsResource::CacheReplicationGroup(group),
                    ResourceKind::Aws(AwsKind::CacheUserGroup),
                ) => group.user_group.as_ref() == Some(&key.name),
                // ElastiCache takes other users out of their groups; we do not leave that to it.
                (AwsResource::CacheUserGroup(group), ResourceKind::Aws(AwsKind::CacheUser)) => {
                    group.users.contains(&key.name)
                }
                (
                    AwsResource::CacheUser(user),
                    ResourceKind::Aws(AwsKind::SecretsManagerSecret),
                ) => {
                    user.authentication == CacheAuthentication::Password
                        && user.password_current.is_some()
                        && password_secret(&user.id) == key.name
                }
                (AwsResource::FargateProfile(profile), ResourceKind::Aws(AwsKind::IamRole)) => {
                    profile
                        .pod_execution_role_arn
                        .ends_with(&format!("/{}", key.name))
                }
                (AwsResource::NodeGroup(group), ResourceKind::Aws(AwsKind::IamRole)) => {
                    group.node_role_arn.ends_with(&format!("/{}", key.name))
                }
                _ => false,
            };
            assert!(!uses, "AWS refuses to delete {key}, which {other} uses");
        }
    }

    pub(super) fn delete(&mut self, key: &ResourceKey, mode: DeleteMode) {
        self.check_unused(key);
        let pods = self.pods.get(&key.name).copied().unwrap_or(0);
        assert!(
            pods == 0 || !matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place()),
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

    /// Somebody else deletes it, and whatever ran on it is gone.
    pub fn lose(&mut self, key: &ResourceKey) {
        if self.aws.contains_key(key) {
            self.vanish(key);
            self.pods.remove(&key.name);
        }
    }

    pub(super) fn vanish(&mut self, key: &ResourceKey) {
        let gone = self.aws.remove(key);
        self.cordoned.remove(&key.name);
        self.cordoned_by_others.remove(&key.name);
        if let Some(AwsResource::SnsTopic(topic)) = gone.map(|thing| thing.present.resource) {
            self.aws.retain(|_, thing| !matches!(&thing.present.resource, AwsResource::SnsSubscription(other) if other.topic_arn == topic.arn));
        }
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
        // Without a password there is none that could be an old one.
        AwsResource::CacheUser(user) if user.authentication != CacheAuthentication::Password => {
            user.password_current = Some(true);
        }
        AwsResource::NodeGroup(group) => {
            group.desired_size.get_or_insert(group.min_size);
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
        // DynamoDB does not say who sets them.
        AwsResource::DynamoDbTable(table) => table.autoscaled.clear(),
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

pub(super) fn arn(resource: &AwsResource) -> Option<String> {
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
        AwsResource::CacheUser(user) => {
            let outputs = Outputs::new().with("username", user.user_name.clone());
            if user.authentication == CacheAuthentication::Password
                && user.password_current == Some(true)
            {
                outputs.with_secret("password", Sensitive::new(CANARY))
            } else {
                outputs
            }
        }
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
