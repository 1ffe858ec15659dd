//! Changes of an RDS instance that RDS has accepted and not applied: those that are under way, since we asked for them, and those
//! that wait for the maintenance window, since somebody else did not ask to apply them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_sdk_rds::types::{DbInstance, PendingModifiedValues};
use shopkeeper_plan::observed::{Note, Notes};

/// How the note on what waits for the maintenance window begins.
const WAITS: &str = "changes wait for the maintenance window: ";

/// What RDS was busy with when it answered our last change, by instance. Another process does not know it and makes the change
/// once more, which RDS takes for what it is.
#[derive(Debug, Default)]
pub(crate) struct ChangesUnderWay {
    changes: Mutex<HashMap<String, PendingModifiedValues>>,
}

impl ChangesUnderWay {
    /// Remembers what RDS answered to a change that is applied at once.
    pub(super) fn began(&self, instance: Option<&DbInstance>) {
        let Some((identifier, instance)) =
            instance.and_then(|instance| Some((instance.db_instance_identifier()?, instance)))
        else {
            return;
        };
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        match instance.pending_modified_values().filter(is_something) {
            Some(values) => changes.insert(identifier.to_owned(), values.clone()),
            None => changes.remove(identifier),
        };
    }

    /// Whether what is pending is what our change began.
    pub(super) fn include(&self, instance: &DbInstance) -> bool {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = instance
            .db_instance_identifier()
            .and_then(|identifier| changes.get(identifier));
        ours.is_some() && ours == instance.pending_modified_values()
    }
}

fn is_something(values: &&PendingModifiedValues) -> bool {
    **values != PendingModifiedValues::builder().build()
}

/// What is pending, for a person; `None` where nothing is. The values are left out: one of them is a password.
pub(super) fn pending(instance: &DbInstance) -> Option<String> {
    let values = instance.pending_modified_values().filter(is_something)?;
    let names: Vec<_> = [
        ("instance class", values.db_instance_class.is_some()),
        ("engine version", values.engine_version.is_some()),
        ("allocated storage", values.allocated_storage.is_some()),
        ("storage type", values.storage_type.is_some()),
        ("operations a second", values.iops.is_some()),
        ("Multi-AZ", values.multi_az.is_some()),
        ("port", values.port.is_some()),
        ("backup retention", values.backup_retention_period.is_some()),
        (
            "certificate authority",
            values.ca_certificate_identifier.is_some(),
        ),
        (
            "log exports",
            values.pending_cloudwatch_logs_exports.is_some(),
        ),
        ("master password", values.master_user_password.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, waits)| waits.then_some(name))
    .collect();
    Some(if names.is_empty() {
        "other settings".to_owned()
    } else {
        names.join(", ")
    })
}

/// The note on what waits for the maintenance window.
pub(super) fn note(waiting: &str) -> Note {
    Note::new(format!("{WAITS}{waiting}"))
}

/// The fields that wait for the maintenance window and interrupt the database when they are applied. RDS applies all that waits with
/// the first change that is to be applied at once: whoever asked for that one did not ask for these.
pub(super) fn interruptions_that_wait(notes: Option<&Notes>) -> Vec<&'static str> {
    notes
        .into_iter()
        .flat_map(Notes::iter)
        .filter_map(|note| note.text.strip_prefix(WAITS))
        .flat_map(|waiting| waiting.split(", "))
        .filter_map(|name| match name {
            "instance class" => Some("instanceClass"),
            "engine version" => Some("engineVersion"),
            "Multi-AZ" => Some("multiAz"),
            "certificate authority" => Some("caCertificate"),
            // To or from 0, which ends or begins backups.
            "backup retention" => Some("backupRetentionDays"),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_interrupts_is_not_applied_along_with_a_change_of_ours() {
        let values = PendingModifiedValues::builder()
            .db_instance_class("db.r7g.xlarge")
            .multi_az(false)
            .backup_retention_period(0)
            .build();
        let waiting = DbInstance::builder()
            .pending_modified_values(values)
            .build();
        let waiting = pending(&waiting).map(|waiting| note(&waiting).into());
        assert_eq!(
            interruptions_that_wait(waiting.as_ref()),
            ["instanceClass", "multiAz", "backupRetentionDays"]
        );
    }
}
