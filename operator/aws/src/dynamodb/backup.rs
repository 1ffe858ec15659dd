//! The last backup of a table before it is deleted.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types as sdk;
use shopkeeper_plan::{
    aws::DynamoDbTable,
    failure::{Class, Failure},
};

use super::classify;
use crate::{
    account::Account,
    error::{is_code, is_unanswered},
    request::final_name,
    resource::{DeletionToken, Found},
};

/// Longest name of a backup, in characters.
const LONGEST_NAME: usize = 255;

/// How old the last backup may be when the table goes. What is written after it is lost.
const OLDEST: Duration = Duration::from_secs(60 * 60);
/// Each backup that was of no use, since DynamoDB did not delete the table, doubles the age that the next one may have, up to this:
/// a deletion that somebody forbids for weeks would else be paid for with a backup an hour.
const OLDEST_AFTER_MANY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes the last backup, found again by its name, which holds what it is made for: the token of one deletion. `Ok` where a recent one
/// is available, or the table is gone.
///
/// # Errors
/// `NotReady` while DynamoDB makes it.
pub(super) async fn ensure(
    account: &Account,
    found: &Found<DynamoDbTable>,
    token: &DeletionToken,
) -> Result<(), Failure> {
    let table = &found.resource.name;
    let name = final_name(table, token, LONGEST_NAME);
    let purpose = format!("{name}\n{}", found.id.as_deref().unwrap_or_default());
    let backups = all(account, found, &name).await?;
    match last(&backups, SystemTime::now()) {
        Some(sdk::BackupStatus::Available) => return Ok(()),
        Some(_) => return Err(not_ready(&name)),
        None if account.made.lately(&purpose).is_some() => return Err(not_ready(&name)),
        None => {}
    }
    let answer = account
        .dynamodb
        .create_backup()
        .table_name(table)
        .backup_name(&name)
        .send()
        .await;
    match answer {
        Ok(_) => {
            tracing::info!(%table, backup = %name, "making the last backup");
            account.made.remember(&purpose, None);
            Err(not_ready(&name))
        }
        Err(error) if is_code(&error, super::table::MISSING) => Ok(()),
        Err(error) => {
            if is_unanswered(&error) {
                account.made.remember(&purpose, None);
            }
            Err(classify("CreateBackup", &error))
        }
    }
}

/// The backups with that name. One that was made of an earlier table of the same name does not count.
async fn all(
    account: &Account,
    found: &Found<DynamoDbTable>,
    name: &str,
) -> Result<Vec<sdk::BackupSummary>, Failure> {
    let mut backups = Vec::new();
    let mut start = None;
    loop {
        let page = account
            .dynamodb
            .list_backups()
            .table_name(&found.resource.name)
            .backup_type(sdk::BackupTypeFilter::User)
            .set_exclusive_start_backup_arn(start)
            .send()
            .await
            .map_err(|error| classify("ListBackups", &error))?;
        backups.extend(
            page.backup_summaries
                .unwrap_or_default()
                .into_iter()
                .filter(|backup| {
                    backup.backup_name() == Some(name)
                        && backup.table_id() == found.id.as_deref()
                        && backup.backup_status() != Some(&sdk::BackupStatus::Deleted)
                }),
        );
        start = page.last_evaluated_backup_arn;
        if start.is_none() {
            return Ok(backups);
        }
    }
}

/// The state of the newest of the backups for one deletion, unless it is too old to be the last one.
fn last(backups: &[sdk::BackupSummary], now: SystemTime) -> Option<sdk::BackupStatus> {
    let made = |backup: &sdk::BackupSummary| {
        let date = backup.backup_creation_date_time()?;
        SystemTime::try_from(*date).ok()
    };
    let newest = backups.iter().max_by_key(|backup| made(backup))?;
    let state = newest.backup_status.clone()?;
    if state == sdk::BackupStatus::Creating {
        return Some(state);
    }
    let earlier = u32::try_from(backups.len() - 1).unwrap_or(u32::MAX);
    let oldest = OLDEST
        .saturating_mul(2_u32.saturating_pow(earlier))
        .min(OLDEST_AFTER_MANY);
    // One from the future was made by a clock that is ahead of ours.
    let age = now.duration_since(made(newest)?).unwrap_or_default();
    (age <= oldest).then_some(state)
}

fn not_ready(name: &str) -> Failure {
    Failure::new(
        Class::NotReady,
        format!("the last backup {name} is being made"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Backups of these ages in minutes, looked at now.
    fn of_ages(ages: &[u64], state: sdk::BackupStatus) -> Option<sdk::BackupStatus> {
        let now = SystemTime::now();
        let backups: Vec<_> = ages
            .iter()
            .map(|minutes| {
                let made = now - Duration::from_secs(minutes * 60);
                sdk::BackupSummary::builder()
                    .backup_status(state.clone())
                    .backup_creation_date_time(made.into())
                    .build()
            })
            .collect();
        last(&backups, now)
    }

    #[test]
    fn an_old_backup_is_not_the_last_one() {
        let available = |ages: &[u64]| of_ages(ages, sdk::BackupStatus::Available).is_some();
        assert!(available(&[1]) && available(&[59]));
        assert!(!available(&[61]), "what was written since would be lost");
        assert!(
            available(&[5, 61]) && available(&[61, 5]),
            "the newest counts"
        );
        assert!(!available(&[]));
    }

    #[test]
    fn a_deletion_that_is_refused_for_weeks_makes_one_a_day() {
        let available = |ages: &[u64]| of_ages(ages, sdk::BackupStatus::Available).is_some();
        assert!(available(&[110, 180]) && !available(&[130, 200]));
        let many: Vec<u64> = (0..40).map(|nth| 23 * 60 + nth * 1440).collect();
        assert!(available(&many));
        let older: Vec<u64> = many.iter().map(|age| age + 120).collect();
        assert!(!available(&older));
    }

    #[test]
    fn one_that_is_being_made_is_waited_for() {
        let state = of_ages(&[600], sdk::BackupStatus::Creating);
        assert_eq!(state, Some(sdk::BackupStatus::Creating));
    }
}
