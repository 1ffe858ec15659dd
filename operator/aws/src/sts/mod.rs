//! STS: whose credentials these are.

use shopkeeper_plan::failure::{Class, Failure};

use crate::{account::Account, error::failure};

/// The account that the credentials of the process belong to, 12 digits. Needs no permission.
///
/// # Errors
/// What STS answered, classified.
pub async fn account_id(account: &Account) -> Result<String, Failure> {
    let identity = account
        .sts
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| failure(&error))?;
    identity.account.ok_or_else(|| {
        Failure::new(Class::Bug, "STS does not say which account the credentials belong to")
    })
}
