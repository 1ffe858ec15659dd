//! Changes of an RDS instance that RDS has accepted and not applied: those that are under way, since we asked for them, and those
//! that wait for the maintenance window, since somebody else did not ask to apply them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_rds::types::{DbInstance, PendingModifiedValues};
use serde_json::{Value, json};
use shopkeeper_plan::observed::{Matter, Note, Notes};

/// For how long RDS may leave an instance available without applying what was to be applied at once. It begins within minutes; what it
/// is at work on does not count, however long that takes.
const IN_GOOD_TIME: Duration = Duration::from_secs(30 * 60);

/// After this time an entry is of no use: the instance is not looked at any more.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// The fields that interrupt the database when they change; backups too, to or from 0, which ends or begins them.
const INTERRUPTING: [&str; 5] = [
    "instanceClass",
    "engineVersion",
    "multiAz",
    "caCertificate",
    "backupRetentionDays",
];

/// Whose what is pending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Our change began it.
    Ours,
    /// Likewise, and RDS has not applied it in good time.
    OursInVain,
    /// Somebody else's; or that of an earlier process, which is made once more.
    Others,
}

#[derive(Debug)]
struct UnderWay {
    values: PendingModifiedValues,
    /// Since when RDS could have applied them: since it accepted them, or was at work last.
    since: Instant,
}

/// What RDS was busy with when it answered our last change, by instance. Another process does not know it and makes the change
/// once more, which RDS takes for what it is.
#[derive(Debug, Default)]
pub(crate) struct ChangesUnderWay {
    changes: Mutex<HashMap<String, UnderWay>>,
}

impl ChangesUnderWay {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, UnderWay>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what RDS answered to a change that is applied at once.
    pub(super) fn began(&self, instance: Option<&DbInstance>, now: Instant) {
        let Some((identifier, instance)) =
            instance.and_then(|instance| Some((instance.db_instance_identifier()?, instance)))
        else {
            return;
        };
        let mut changes = self.lock();
        changes.retain(|_, under_way| now.duration_since(under_way.since) < FORGOTTEN);
        let before = changes.remove(identifier);
        if let Some(values) = instance.pending_modified_values().filter(is_something) {
            // A change of something else does not make what is late less late.
            let since = before
                .filter(|before| is_part_of(values, &before.values))
                .map_or(now, |before| before.since);
            let values = values.clone();
            changes.insert(identifier.to_owned(), UnderWay { values, since });
        }
    }

    /// Whose what is pending is. What RDS has applied by now is forgotten.
    pub(super) fn origin(&self, instance: &DbInstance, now: Instant) -> Origin {
        let Some(identifier) = instance.db_instance_identifier() else {
            return Origin::Others;
        };
        let mut changes = self.lock();
        let Some(pending) = instance.pending_modified_values().filter(is_something) else {
            changes.remove(identifier);
            return Origin::Others;
        };
        match changes.get_mut(identifier) {
            Some(ours) if is_part_of(pending, &ours.values) => {
                if instance.db_instance_status() != Some("available") {
                    ours.since = now;
                }
                if now.duration_since(ours.since) < IN_GOOD_TIME {
                    Origin::Ours
                } else {
                    Origin::OursInVain
                }
            }
            _ => Origin::Others,
        }
    }

    /// Forgets an instance that is gone.
    pub(super) fn forget(&self, identifier: &str) {
        self.lock().remove(identifier);
    }
}

fn is_something(values: &&PendingModifiedValues) -> bool {
    **values != PendingModifiedValues::builder().build()
}

/// Whether all that is pending was among what we began: RDS applies the values one after the other.
fn is_part_of(pending: &PendingModifiedValues, ours: &PendingModifiedValues) -> bool {
    let mut rest = ours.clone();
    macro_rules! only {
        ($($field:ident)+) => {
            $(if pending.$field.is_none() {
                rest.$field = None;
            })+
        };
    }
    only!(
        db_instance_class allocated_storage master_user_password port backup_retention_period multi_az engine_version
        license_model iops storage_throughput db_instance_identifier storage_type ca_certificate_identifier
        db_subnet_group_name pending_cloudwatch_logs_exports processor_features automation_mode
        resume_full_automation_mode_time multi_tenant iam_database_authentication_enabled dedicated_log_volume engine
        additional_storage_volumes
    );
    rest == *pending
}

/// What is pending: its name for people, the field, and the value, which is null where it is not to be shown (one of them is a
/// password).
#[derive(Debug, PartialEq)]
pub(super) struct Pending(Vec<(&'static str, Option<&'static str>, Value)>);

/// What is pending; `None` where nothing is.
pub(super) fn pending(instance: &DbInstance) -> Option<Pending> {
    let values = instance.pending_modified_values().filter(is_something)?;
    let hidden = |waits: bool| waits.then_some(Value::Null);
    let mut pending: Vec<_> = [
        (
            "instance class",
            "instanceClass",
            values.db_instance_class().map(Value::from),
        ),
        (
            "engine version",
            "engineVersion",
            values.engine_version().map(Value::from),
        ),
        (
            "allocated storage",
            "allocatedStorage",
            values.allocated_storage().map(Value::from),
        ),
        (
            "storage type",
            "storageType",
            values.storage_type().map(Value::from),
        ),
        (
            "operations a second",
            "iops",
            values.iops().map(Value::from),
        ),
        ("Multi-AZ", "multiAz", values.multi_az().map(Value::from)),
        ("port", "port", values.port().map(Value::from)),
        (
            "backup retention",
            "backupRetentionDays",
            values.backup_retention_period().map(|days| json!(days)),
        ),
        (
            "certificate authority",
            "caCertificate",
            values.ca_certificate_identifier().map(Value::from),
        ),
        (
            "log exports",
            "logExports",
            hidden(values.pending_cloudwatch_logs_exports.is_some()),
        ),
        (
            "master password",
            "managedPassword",
            hidden(values.master_user_password.is_some()),
        ),
    ]
    .into_iter()
    .filter_map(|(name, field, value)| Some((name, Some(field), value?)))
    .collect();
    if pending.is_empty() {
        pending.push(("other settings", None, Value::Null));
    }
    Some(Pending(pending))
}

impl Pending {
    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, ..)| *name).collect();
        names.join(", ")
    }

    fn values(&self) -> String {
        let values: Vec<_> = self
            .0
            .iter()
            .map(|(name, _, value)| match value {
                Value::Null => (*name).to_owned(),
                Value::String(text) => format!("{name} {text}"),
                value => format!("{name} {value}"),
            })
            .collect();
        values.join(", ")
    }

    /// The note on what RDS is at work on.
    pub(super) fn under_way(&self) -> Note {
        Note::new(format!("changes on their way: {}", self.names()))
    }

    /// The note on what waits for the maintenance window.
    pub(super) fn for_the_window(&self) -> Note {
        let fields = self.0.iter().filter_map(|(_, field, _)| *field).collect();
        Note::new(format!(
            "changes wait for the maintenance window: {}",
            self.names()
        ))
        .about(Matter::WaitsForWindow(fields))
    }

    /// The note on what RDS was asked to apply at once, and has not.
    pub(super) fn in_vain(&self) -> Note {
        let values = self
            .0
            .iter()
            .filter_map(|(_, field, value)| Some(((*field)?, value.clone())))
            .collect::<BTreeMap<_, _>>();
        Note::danger(format!(
            "RDS accepted changes and has not applied them for {} minutes: {}",
            IN_GOOD_TIME.as_secs() / 60,
            self.values()
        ))
        .about(Matter::NotApplied(values))
    }
}

/// The fields that wait for the maintenance window and interrupt the database when they are applied. RDS applies all that waits with
/// the first change that is to be applied at once: whoever asked for that one did not ask for these.
pub(super) fn interruptions_that_wait(notes: Option<&Notes>) -> Vec<&'static str> {
    notes
        .into_iter()
        .flat_map(Notes::matters)
        .filter_map(|matter| match matter {
            Matter::WaitsForWindow(fields) => Some(fields),
            _ => None,
        })
        .flatten()
        .copied()
        .filter(|field| INTERRUPTING.contains(field))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(values: PendingModifiedValues) -> DbInstance {
        DbInstance::builder()
            .db_instance_identifier("orders")
            .db_instance_status("available")
            .pending_modified_values(values)
            .build()
    }

    fn class_and_zones() -> PendingModifiedValues {
        PendingModifiedValues::builder()
            .db_instance_class("db.r7g.xlarge")
            .multi_az(true)
            .build()
    }

    #[test]
    fn what_interrupts_is_not_applied_along_with_a_change_of_ours() {
        let values = PendingModifiedValues::builder()
            .db_instance_class("db.r7g.xlarge")
            .multi_az(false)
            .backup_retention_period(0)
            .port(5433)
            .build();
        let waiting = pending(&waiting(values)).map(|waiting| waiting.for_the_window().into());
        assert_eq!(
            interruptions_that_wait(waiting.as_ref()),
            ["backupRetentionDays", "instanceClass", "multiAz"]
        );
    }

    #[test]
    fn what_is_left_of_our_change_is_still_ours_and_another_value_is_not() {
        let (changes, now) = (ChangesUnderWay::default(), Instant::now());
        changes.began(Some(&waiting(class_and_zones())), now);
        assert_eq!(
            changes.origin(&waiting(class_and_zones()), now),
            Origin::Ours
        );
        let left = PendingModifiedValues::builder().multi_az(true).build();
        assert_eq!(changes.origin(&waiting(left), now), Origin::Ours);
        for other in [
            PendingModifiedValues::builder().multi_az(false).build(),
            PendingModifiedValues::builder()
                .multi_az(true)
                .port(1)
                .build(),
        ] {
            assert_eq!(changes.origin(&waiting(other), now), Origin::Others);
        }
        // All of it was applied: the same again is somebody else's.
        let applied = DbInstance::builder()
            .db_instance_identifier("orders")
            .build();
        changes.origin(&applied, now);
        assert_eq!(
            changes.origin(&waiting(class_and_zones()), now),
            Origin::Others
        );
        assert!(changes.lock().is_empty());
    }

    #[test]
    fn a_change_that_is_never_applied_is_told_after_half_an_hour() {
        let (changes, start) = (ChangesUnderWay::default(), Instant::now());
        let instance = waiting(class_and_zones());
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        changes.began(Some(&instance), start);
        assert_eq!(changes.origin(&instance, after(29)), Origin::Ours);
        // RDS is at work, which may take hours.
        let mut busy = instance.clone();
        busy.db_instance_status = Some("modifying".to_owned());
        assert_eq!(changes.origin(&busy, after(90)), Origin::Ours);
        assert_eq!(changes.origin(&instance, after(119)), Origin::Ours);
        assert_eq!(changes.origin(&instance, after(120)), Origin::OursInVain);
        // Asking for less of it once more does not begin anew.
        let left = waiting(PendingModifiedValues::builder().multi_az(true).build());
        changes.began(Some(&left), after(121));
        assert_eq!(changes.origin(&left, after(121)), Origin::OursInVain);
        changes.forget("orders");
        assert_eq!(changes.origin(&left, after(121)), Origin::Others);
        let note = pending(&instance).unwrap().in_vain();
        assert_eq!(
            note.text,
            "RDS accepted changes and has not applied them for 30 minutes: instance class db.r7g.xlarge, Multi-AZ true"
        );
    }
}
