//! RDS instance.

use std::time::Instant;

use async_trait::async_trait;
use aws_sdk_rds::types::DbInstance;
use shopkeeper_plan::{
    aws::RdsInstance,
    failure::{Class, Failure},
    observed::{Lifecycle, Matter, Note, Notes},
    outputs::Outputs,
    plan::DeleteMode,
    sensitive::fingerprint,
};

use super::{
    instance_changes::{STORAGE_IS_OPTIMIZED, creation, modification},
    pending::{self, Origin, interruptions_that_wait},
    plain_tags, tag,
};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct InstanceApi<'a>(pub(crate) &'a Account);

const NOT_FOUND: &[&str] = &["DBInstanceNotFound", "DBInstanceNotFoundFault"];

#[async_trait]
impl ResourceApi<RdsInstance> for InstanceApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<RdsInstance>>, Failure> {
        let Some(instance) = self.describe(name).await? else {
            self.0.rds_changes.forget(name);
            self.0.passwords.forget(&opened(name));
            return Ok(None);
        };
        let origin = self.0.rds_changes.origin(&instance, Instant::now());
        let (lifecycle, mut notes) = lifecycle(&instance, origin);
        let outputs = match self.with_password(&instance, outputs(&instance)).await {
            (outputs, None) => outputs,
            // The instance is there all the same; only what needs the password has to wait.
            (outputs, Some(failure)) => {
                notes.push(Note::danger(format!(
                    "the master password could not be read: {failure}"
                )));
                outputs
            }
        };
        Ok(Some(Found {
            lifecycle,
            arn: instance.db_instance_arn().map(str::to_owned),
            id: instance.dbi_resource_id().map(str::to_owned),
            outputs,
            note: Notes::of(notes),
            ..Found::available(resource(&instance))
        }))
    }

    async fn create(&self, desired: &RdsInstance) -> Result<(), Failure> {
        creation(&self.0.rds, desired)
            .send()
            .await
            .map_err(|error| classify("CreateDBInstance", &error))?;
        Ok(())
    }

    async fn update(
        &self,
        desired: &RdsInstance,
        found: &Found<RdsInstance>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if fields.iter().all(|field| field == "tags") {
            return tag(self.0, found.arn.as_deref(), &desired.tags).await;
        }
        let storage_is_busy = found
            .note
            .iter()
            .flat_map(Notes::matters)
            .any(|matter| *matter == Matter::StorageIsBusy);
        let call = modification(
            &self.0.rds,
            desired,
            &found.resource,
            fields,
            &interruptions_that_wait(found.note.as_ref()),
            storage_is_busy,
        )?;
        let answer = call
            .send()
            .await
            .map_err(|error| storage_may_be_busy(classify("ModifyDBInstance", &error)))?;
        self.0
            .rds_changes
            .began(answer.db_instance(), Instant::now());
        Ok(())
    }

    async fn delete(
        &self,
        found: &Found<RdsInstance>,
        mode: DeleteMode,
        token: &DeletionToken,
    ) -> Result<(), Failure> {
        if found.lifecycle == Lifecycle::Deleting {
            return Ok(());
        }
        let identifier = &found.resource.identifier;
        self.0.passwords.forget(&opened(identifier));
        if found.resource.deletion_protection {
            // RDS lifts it at once, whatever is asked. To ask for it would also apply what somebody else left for the maintenance window,
            // and restart a database that still serves.
            let call = self
                .0
                .rds
                .modify_db_instance()
                .db_instance_identifier(identifier)
                .deletion_protection(false);
            return match call.send().await {
                Ok(_) => Ok(()),
                Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
                Err(error) => Err(classify("ModifyDBInstance", &error)),
            };
        }
        let call = self
            .0
            .rds
            .delete_db_instance()
            .db_instance_identifier(identifier);
        let snapshot = (mode == DeleteMode::Snapshot).then(|| final_snapshot(found, token));
        let call = match &snapshot {
            // Automated backups are kept as well, until their retention is over: they reach back further than the snapshot.
            Some(snapshot) => call
                .skip_final_snapshot(false)
                .final_db_snapshot_identifier(snapshot)
                .delete_automated_backups(false),
            None => call
                .skip_final_snapshot(true)
                .delete_automated_backups(true),
        };
        match call.send().await {
            Ok(_) => {
                if let Some(snapshot) = snapshot {
                    tracing::info!(%identifier, %snapshot, "deleting, with a last snapshot");
                }
                Ok(())
            }
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(without_snapshot(
                classify("DeleteDBInstance", &error),
                found,
                mode,
            )),
        }
    }
}

impl InstanceApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<DbInstance>, Failure> {
        let call = self.0.rds.describe_db_instances();
        let all = pages!(
            "DescribeDBInstances",
            call,
            db_instances,
            db_instance_identifier
        );
        if let Some(instance) = self.0.listings.rds_instances.find(name, all).await {
            return Ok(Some(instance));
        }
        match call.db_instance_identifier(name).send().await {
            Ok(answer) => Ok(answer.db_instances.unwrap_or_default().into_iter().next()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeDBInstances", &error)),
        }
    }

    /// Adds the master password, where RDS has put one into Secrets Manager.
    async fn with_password(
        &self,
        instance: &DbInstance,
        outputs: Outputs,
    ) -> (Outputs, Option<Failure>) {
        let Some(secret) = instance.master_user_secret() else {
            return (outputs, None);
        };
        let Some(arn) = secret.secret_arn() else {
            return (outputs, None);
        };
        let outputs = outputs.with("secretArn", arn);
        let opened = opened(instance.db_instance_identifier().unwrap_or_default());
        match secret.secret_status() {
            Some("creating") | None => return (outputs, None),
            // Some time during the rotation the old password stops working.
            Some("rotating") => self.0.passwords.forget(&opened),
            Some(_) => {}
        }
        let client = &self.0.secretsmanager;
        match self.0.passwords.read(client, &opened, arn).await {
            Ok(password) => (outputs.with_secret("password", password.value), None),
            Err(failure) => (outputs, Some(failure)),
        }
    }
}

/// What a master password opens. No secret of ours is called so.
fn opened(identifier: &str) -> String {
    format!("RDS instance {identifier}")
}

/// The name of the last snapshot: the same for each try, and another for each instance that ever had the identifier, since
/// the snapshot of the one before is still there.
fn final_snapshot(found: &Found<RdsInstance>, token: &DeletionToken) -> String {
    let instance = format!(
        "{}\n{}",
        token.as_str(),
        found.id.as_deref().unwrap_or_default()
    );
    format!(
        "{}-final-{}",
        found.resource.identifier,
        &fingerprint(instance.as_bytes())[..8]
    )
}

/// RDS takes no snapshot of an instance that failed, and says only that its state is wrong: waiting does not help.
fn without_snapshot(mut failure: Failure, found: &Found<RdsInstance>, mode: DeleteMode) -> Failure {
    if mode == DeleteMode::Snapshot
        && failure.class == Class::NotReady
        && matches!(found.lifecycle, Lifecycle::Failed(_))
    {
        failure.class = Class::Invalid;
        failure.remedy =
            "repair the instance, or set the deletion policy to Delete, which takes no snapshot"
                .to_owned();
    }
    failure
}

/// For some hours after a change of the storage RDS refuses the next one, with the code for any wrong combination.
fn storage_may_be_busy(mut failure: Failure) -> Failure {
    let message = failure.message.to_lowercase();
    if failure.code.as_deref() == Some("InvalidParameterCombination")
        && message.contains("storage")
        && message.contains("optimiz")
    {
        failure.class = Class::NotReady;
    }
    failure
}

fn resource(instance: &DbInstance) -> RdsInstance {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    RdsInstance {
        identifier: text(instance.db_instance_identifier()),
        engine: text(instance.engine()),
        engine_version: text(instance.engine_version()),
        instance_class: text(instance.db_instance_class()),
        allocated_storage: instance.allocated_storage().unwrap_or_default(),
        max_allocated_storage: instance.max_allocated_storage(),
        storage_type: text(instance.storage_type()),
        iops: instance.iops(),
        multi_az: instance.multi_az().unwrap_or_default(),
        database_name: instance.db_name().map(str::to_owned),
        username: text(instance.master_username()),
        // The instance's own port is 0 in the answer; it has an endpoint once it was made.
        port: instance
            .endpoint()
            .and_then(|endpoint| endpoint.port())
            .or(instance.db_instance_port())
            .unwrap_or_default(),
        subnet_group: text(
            instance
                .db_subnet_group()
                .and_then(|group| group.db_subnet_group_name()),
        ),
        parameter_group: text(
            instance
                .db_parameter_groups()
                .iter()
                .find_map(|group| group.db_parameter_group_name()),
        ),
        security_groups: instance
            .vpc_security_groups()
            .iter()
            .filter(|group| group.status() != Some("removing"))
            .filter_map(|group| group.vpc_security_group_id())
            .map(str::to_owned)
            .collect(),
        kms_key_arn: instance.kms_key_id().map(str::to_owned),
        backup_retention_days: instance.backup_retention_period().unwrap_or_default(),
        backup_window: instance.preferred_backup_window().map(str::to_owned),
        maintenance_window: instance.preferred_maintenance_window().map(str::to_owned),
        deletion_protection: instance.deletion_protection().unwrap_or_default(),
        performance_insights: instance.performance_insights_enabled().unwrap_or_default(),
        log_exports: instance
            .enabled_cloudwatch_logs_exports()
            .iter()
            .cloned()
            .collect(),
        auto_minor_version_upgrade: instance.auto_minor_version_upgrade().unwrap_or_default(),
        ca_certificate: instance.ca_certificate_identifier().map(str::to_owned),
        publicly_accessible: instance.publicly_accessible().unwrap_or_default(),
        managed_password: instance.master_user_secret().is_some(),
        copy_tags_to_snapshot: instance.copy_tags_to_snapshot().unwrap_or_default(),
        tags: plain_tags(instance.tag_list()),
    }
}

fn outputs(instance: &DbInstance) -> Outputs {
    let outputs = Outputs::new()
        .with_optional("arn", instance.db_instance_arn())
        .with_optional("engine", instance.engine())
        .with_optional("database", instance.db_name())
        .with_optional("username", instance.master_username());
    match instance
        .endpoint()
        .and_then(|endpoint| Some((endpoint.address()?, endpoint.port()?)))
    {
        Some((host, port)) => outputs
            .with("host", host)
            .with("port", port.to_string())
            .with("endpoint", format!("{host}:{port}")),
        None => outputs,
    }
}

/// The lifecycle, and what a person should know beside it. `origin` is that of what is pending.
fn lifecycle(instance: &DbInstance, origin: Origin) -> (Lifecycle, Vec<Note>) {
    let status = instance.db_instance_status().unwrap_or("unknown");
    let mut notes = Vec::new();
    let waiting = pending::pending(instance);
    let lifecycle = match status {
        "creating" => Lifecycle::Creating,
        // Asked for, and not begun yet.
        "available" if waiting.is_some() && origin == Origin::Ours => Lifecycle::Modifying,
        "available" => Lifecycle::Available,
        "storage-optimization" => {
            notes.push(Note::new(STORAGE_IS_OPTIMIZED).about(Matter::StorageIsBusy));
            Lifecycle::Available
        }
        // It serves reads at best, and more storage is the way out, which RDS takes in this state.
        "storage-full" => {
            notes.push(Note::outage(
                "the storage is full",
                "raise storage of the database, or its maxStorage, so that RDS raises it by itself",
            ));
            Lifecycle::Available
        }
        "deleting" | "delete-precheck" => Lifecycle::Deleting,
        "failed"
        | "restore-error"
        | "insufficient-capacity"
        | "inaccessible-encryption-credentials"
        | "inaccessible-encryption-credentials-recoverable" => {
            Lifecycle::Failed(format!("RDS reports the instance as {status}"))
        }
        _ if status.starts_with("incompatible-") => {
            Lifecycle::Failed(format!("RDS reports the instance as {status}"))
        }
        // RDS starts it again by itself after 7 days; until then it takes no change.
        "stopped" => {
            notes.push(Note::outage(
                "the instance was stopped",
                "start it in RDS; after 7 days RDS does",
            ));
            Lifecycle::Modifying
        }
        // backing-up, modifying, upgrading, rebooting, maintenance, configuring-...: busy, and over by itself.
        _ => {
            notes.push(Note::new(format!("RDS is at work: {status}")));
            Lifecycle::Modifying
        }
    };
    notes.extend(waiting.map(|waiting| match (&lifecycle, origin) {
        (Lifecycle::Available, Origin::OursInVain) => waiting.in_vain(),
        // Somebody made them without asking to apply them.
        (Lifecycle::Available, _) => waiting.for_the_window(),
        _ => waiting.under_way(),
    }));
    notes.extend(
        instance
            .db_parameter_groups()
            .iter()
            .filter(|group| group.parameter_apply_status() == Some("pending-reboot"))
            .map(|group| {
                Note::new(format!(
                    "parameters of {} take hold with the next reboot",
                    group.db_parameter_group_name().unwrap_or("the group")
                ))
            }),
    );
    (lifecycle, notes)
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::{DbParameterGroupStatus, PendingModifiedValues};

    use super::*;

    fn in_status(status: &str) -> DbInstance {
        DbInstance::builder().db_instance_status(status).build()
    }

    #[test]
    fn statuses_have_their_place_in_the_lifecycle() {
        for (status, expected) in [
            ("creating", Lifecycle::Creating),
            ("available", Lifecycle::Available),
            ("storage-optimization", Lifecycle::Available),
            ("storage-full", Lifecycle::Available),
            ("backing-up", Lifecycle::Modifying),
            ("configuring-log-exports", Lifecycle::Modifying),
            ("stopped", Lifecycle::Modifying),
            ("deleting", Lifecycle::Deleting),
        ] {
            assert_eq!(
                lifecycle(&in_status(status), Origin::Others).0,
                expected,
                "{status}"
            );
        }
        for status in ["failed", "incompatible-network", "incompatible-parameters"] {
            assert!(
                matches!(
                    lifecycle(&in_status(status), Origin::Others).0,
                    Lifecycle::Failed(_)
                ),
                "{status}"
            );
        }
    }

    #[test]
    fn a_pending_change_of_ours_makes_an_available_instance_busy_and_one_of_others_waits() {
        let pending = PendingModifiedValues::builder()
            .db_instance_class("db.r7g.large")
            .build();
        let instance = DbInstance::builder()
            .db_instance_status("available")
            .pending_modified_values(pending)
            .build();
        let (state, notes) = lifecycle(&instance, Origin::Ours);
        assert_eq!(state, Lifecycle::Modifying);
        assert_eq!(notes, [Note::new("changes on their way: instance class")]);
        let (state, notes) = lifecycle(&instance, Origin::Others);
        assert_eq!(state, Lifecycle::Available);
        let waits = "changes wait for the maintenance window: instance class";
        assert_eq!(notes[0].text, waits);
        // It takes changes again, and tells what it did not apply.
        let (state, notes) = lifecycle(&instance, Origin::OursInVain);
        assert_eq!(state, Lifecycle::Available);
        let values = [("instanceClass", "db.r7g.large".into())].into();
        assert_eq!(notes[0].matter, Some(Matter::NotApplied(values)));
    }

    #[test]
    fn an_empty_list_of_pending_changes_is_none() {
        let pending = PendingModifiedValues::builder().build();
        let instance = DbInstance::builder()
            .db_instance_status("available")
            .pending_modified_values(pending)
            .build();
        assert_eq!(
            lifecycle(&instance, Origin::Others),
            (Lifecycle::Available, vec![])
        );
    }

    #[test]
    fn parameters_that_wait_for_a_reboot_are_noted() {
        let group = DbParameterGroupStatus::builder()
            .db_parameter_group_name("orders")
            .parameter_apply_status("pending-reboot")
            .build();
        let instance = DbInstance::builder()
            .db_instance_status("available")
            .db_parameter_groups(group)
            .build();
        let (state, notes) = lifecycle(&instance, Origin::Others);
        assert_eq!(state, Lifecycle::Available);
        assert!(notes[0].text.contains("orders"), "{notes:?}");
    }

    #[test]
    fn storage_that_is_being_optimized_is_waited_for() {
        let refusal = Failure::new(
            Class::Invalid,
            "ModifyDBInstance: the previous storage change is being optimized.",
        );
        assert_eq!(
            storage_may_be_busy(refusal.clone().with_code("InvalidParameterCombination")).class,
            Class::NotReady
        );
        assert_eq!(
            storage_may_be_busy(refusal.with_code("InvalidParameterValue")).class,
            Class::Invalid
        );
    }
}
