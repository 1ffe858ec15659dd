//! STS: whose credentials these are.

use shopkeeper_plan::failure::{Class, Failure};

use crate::{account::Account, error::classify};

/// The account that the credentials of the process belong to, 12 digits. AWS answers this to everybody: it needs no permission.
///
/// # Errors
/// AWS did not answer, or takes the credentials for invalid.
pub async fn account_id(account: &Account) -> Result<String, Failure> {
    const CALL: &str = "GetCallerIdentity";
    let identity = account
        .sts
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| classify(CALL, &error))?;
    identity.account.ok_or_else(|| {
        Failure::new(
            Class::Bug,
            format!("{CALL}: no word of which account the credentials belong to"),
        )
    })
}
