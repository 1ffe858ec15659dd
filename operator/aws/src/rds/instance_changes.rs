//! The two calls that carry the settings of an RDS instance: the one that makes it and the one that changes it.

use aws_sdk_rds::{
    Client,
    operation::{
        create_db_instance::builders::CreateDBInstanceFluentBuilder,
        modify_db_instance::builders::ModifyDBInstanceFluentBuilder,
    },
    types::CloudwatchLogsExportConfiguration,
};
use shopkeeper_plan::{
    aws::RdsInstance,
    failure::{Class, Failure},
};

use super::rds_tags;

/// Note of an instance whose storage takes no change for hours, while everything else does.
pub(super) const STORAGE_IS_OPTIMIZED: &str =
    "RDS optimizes the storage: it takes no further change until that is done";

/// The fields that RDS wants together: it checks the size, the type and the operations a second against each other, and each
/// change of one starts an optimization during which it refuses the others.
const STORAGE_FIELDS: [&str; 3] = ["allocatedStorage", "storageType", "iops"];

/// CreateDBInstance with everything that is desired.
pub(super) fn creation(client: &Client, desired: &RdsInstance) -> CreateDBInstanceFluentBuilder {
    let insights_key = desired
        .kms_key_arn
        .clone()
        .filter(|_| desired.performance_insights);
    client
        .create_db_instance()
        .db_instance_identifier(&desired.identifier)
        .engine(&desired.engine)
        .engine_version(&desired.engine_version)
        .db_instance_class(&desired.instance_class)
        .allocated_storage(desired.allocated_storage)
        .set_max_allocated_storage(desired.max_allocated_storage)
        .storage_type(&desired.storage_type)
        .set_iops(desired.iops)
        .multi_az(desired.multi_az)
        .set_db_name(desired.database_name.clone())
        .master_username(&desired.username)
        .manage_master_user_password(true)
        .set_master_user_secret_kms_key_id(desired.kms_key_arn.clone())
        .port(desired.port)
        .db_subnet_group_name(&desired.subnet_group)
        .db_parameter_group_name(&desired.parameter_group)
        .set_vpc_security_group_ids(some_list(&desired.security_groups))
        .storage_encrypted(true)
        .set_kms_key_id(desired.kms_key_arn.clone())
        .backup_retention_period(desired.backup_retention_days)
        .set_preferred_backup_window(desired.backup_window.clone())
        .set_preferred_maintenance_window(desired.maintenance_window.clone())
        .deletion_protection(desired.deletion_protection)
        .enable_performance_insights(desired.performance_insights)
        .set_performance_insights_kms_key_id(insights_key)
        .set_enable_cloudwatch_logs_exports(some_list(&desired.log_exports))
        .auto_minor_version_upgrade(desired.auto_minor_version_upgrade)
        .set_ca_certificate_identifier(desired.ca_certificate.clone())
        .publicly_accessible(desired.publicly_accessible)
        .copy_tags_to_snapshot(desired.copy_tags_to_snapshot)
        .set_tags(Some(rds_tags(&desired.tags)))
}

/// ModifyDBInstance with all the fields that can go now, to be applied at once: whoever approved the change did not ask for
/// the maintenance window. `waiting` are fields that wait for that window and would be applied along: asking for what is there takes
/// them back.
///
/// # Errors
/// `NotReady` where none of the fields can go now.
pub(super) fn modification(
    client: &Client,
    desired: &RdsInstance,
    found: &RdsInstance,
    fields: &[String],
    waiting: &[&str],
    storage_is_busy: bool,
) -> Result<ModifyDBInstanceFluentBuilder, Failure> {
    let upgrades_major = desired.is_other_major(&found.engine_version);
    let upgrades_now = upgrades_major && fields.iter().any(|field| field == "engineVersion");
    let mut call = client
        .modify_db_instance()
        .db_instance_identifier(&desired.identifier)
        .apply_immediately(true);
    let mut held_back = Vec::new();
    let mut changes = 0_usize;
    for field in fields
        .iter()
        .map(String::as_str)
        .filter(|field| *field != "tags")
    {
        if STORAGE_FIELDS.contains(&field) && storage_is_busy {
            held_back.push(STORAGE_IS_OPTIMIZED);
            continue;
        }
        if field == "parameterGroup" && upgrades_major && !upgrades_now {
            held_back.push("the parameter group belongs to the engine version to which the instance is not upgraded yet");
            continue;
        }
        call = with_field(call, desired, found, field)?;
        changes += 1;
    }
    if changes == 0 {
        held_back.dedup();
        return Err(Failure::new(
            Class::NotReady,
            format!("ModifyDBInstance: {}", held_back.join("; ")),
        ));
    }
    for field in waiting {
        if !fields.iter().any(|changed| changed == field) {
            call = with_field(call, found, found, field)?;
        }
    }
    if upgrades_now {
        // A group of one's own belongs to one major version: RDS wants the new one in the same call.
        call = call
            .allow_major_version_upgrade(true)
            .db_parameter_group_name(&desired.parameter_group);
    }
    Ok(call)
}

fn with_field(
    call: ModifyDBInstanceFluentBuilder,
    desired: &RdsInstance,
    found: &RdsInstance,
    field: &str,
) -> Result<ModifyDBInstanceFluentBuilder, Failure> {
    Ok(match field {
        "engineVersion" => call.engine_version(&desired.engine_version),
        "instanceClass" => call.db_instance_class(&desired.instance_class),
        "allocatedStorage" | "storageType" | "iops" => call
            // RDS may have grown it by itself, and cannot shrink it.
            .allocated_storage(desired.allocated_storage.max(found.allocated_storage))
            .storage_type(&desired.storage_type)
            .set_iops(desired.iops),
        // The size itself as the limit is how growing is switched off.
        "maxAllocatedStorage" => call.max_allocated_storage(
            desired
                .max_allocated_storage
                .unwrap_or_else(|| desired.allocated_storage.max(found.allocated_storage)),
        ),
        "multiAz" => call.multi_az(desired.multi_az),
        "port" => call.db_port_number(desired.port),
        "parameterGroup" => call.db_parameter_group_name(&desired.parameter_group),
        "securityGroups" => call.set_vpc_security_group_ids(some_list(&desired.security_groups)),
        "backupRetentionDays" => call.backup_retention_period(desired.backup_retention_days),
        "backupWindow" => call.set_preferred_backup_window(desired.backup_window.clone()),
        "maintenanceWindow" => {
            call.set_preferred_maintenance_window(desired.maintenance_window.clone())
        }
        "deletionProtection" => call.deletion_protection(desired.deletion_protection),
        "performanceInsights" => call
            .enable_performance_insights(desired.performance_insights)
            .set_performance_insights_kms_key_id(
                desired
                    .kms_key_arn
                    .clone()
                    .filter(|_| desired.performance_insights),
            ),
        "logExports" => call.cloudwatch_logs_export_configuration(
            CloudwatchLogsExportConfiguration::builder()
                .set_enable_log_types(Some(
                    desired
                        .log_exports
                        .difference(&found.log_exports)
                        .cloned()
                        .collect(),
                ))
                .set_disable_log_types(Some(
                    found
                        .log_exports
                        .difference(&desired.log_exports)
                        .cloned()
                        .collect(),
                ))
                .build(),
        ),
        "autoMinorVersionUpgrade" => {
            call.auto_minor_version_upgrade(desired.auto_minor_version_upgrade)
        }
        "caCertificate" => call.set_ca_certificate_identifier(desired.ca_certificate.clone()),
        "publiclyAccessible" => call.publicly_accessible(desired.publicly_accessible),
        "managedPassword" => call
            .manage_master_user_password(true)
            .set_master_user_secret_kms_key_id(desired.kms_key_arn.clone()),
        "copyTagsToSnapshot" => call.copy_tags_to_snapshot(desired.copy_tags_to_snapshot),
        other => {
            return Err(Failure::new(
                Class::Bug,
                format!("an RDS instance has no field {other} to change"),
            ));
        }
    })
}

/// An empty list would be a value of its own to RDS; left out, it is RDS's default.
fn some_list(values: &std::collections::BTreeSet<String>) -> Option<Vec<String>> {
    (!values.is_empty()).then(|| values.iter().cloned().collect())
}
