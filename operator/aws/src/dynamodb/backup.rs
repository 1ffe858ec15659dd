//! The last backup of a table before it is deleted.

use aws_sdk_dynamodb::types as sdk;
use shopkeeper_plan::{
    aws::DynamoDbTable,
    failure::{Class, Failure},
};

use super::classify;
use crate::{
    account::Account,
    error::is_code,
    request::final_name,
    resource::{ClientToken, Found},
};

/// Longest name of a backup, in characters.
const LONGEST_NAME: usize = 255;

/// Makes the last backup once, found again by its name. `Ok` where it is available, or the table is gone.
///
/// # Errors
/// `NotReady` while DynamoDB makes it.
pub(super) async fn ensure(
    account: &Account,
    found: &Found<DynamoDbTable>,
    token: &ClientToken,
) -> Result<(), Failure> {
    let table = &found.resource.name;
    let name = final_name(table, token, LONGEST_NAME);
    match find(account, found, &name).await? {
        Some(sdk::BackupStatus::Available) => Ok(()),
        Some(_) => Err(not_ready(&name)),
        None => match account
            .dynamodb
            .create_backup()
            .table_name(table)
            .backup_name(&name)
            .send()
            .await
        {
            Ok(_) => Err(not_ready(&name)),
            Err(error) if is_code(&error, super::table::MISSING) => Ok(()),
            Err(error) => Err(classify("CreateBackup", &error)),
        },
    }
}

/// The state of the backup with that name. One that was made of an earlier table of the same name does not count.
async fn find(
    account: &Account,
    found: &Found<DynamoDbTable>,
    name: &str,
) -> Result<Option<sdk::BackupStatus>, Failure> {
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
        let backup = page.backup_summaries().iter().find(|backup| {
            backup.backup_name() == Some(name)
                && backup.table_id() == found.id.as_deref()
                && backup.backup_status() != Some(&sdk::BackupStatus::Deleted)
        });
        if let Some(backup) = backup {
            return Ok(backup.backup_status.clone());
        }
        start = page.last_evaluated_backup_arn;
        if start.is_none() {
            return Ok(None);
        }
    }
}

fn not_ready(name: &str) -> Failure {
    Failure::new(
        Class::NotReady,
        format!("the last backup {name} is being made"),
    )
}
