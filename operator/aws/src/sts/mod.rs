//! STS: whose credentials these are.

use shopkeeper_plan::failure::{Class, Failure};

use crate::{account::Account, error::classify};

/// Whose credentials the process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account, 12 digits.
    pub account_id: String,
    /// Name of the role, without its path; `None` for a user.
    pub role: Option<String>,
}

/// Whom the credentials of the process belong to. AWS answers this to everybody: it needs no permission.
///
/// # Errors
/// AWS did not answer, or takes the credentials for invalid.
pub async fn caller(account: &Account) -> Result<Caller, Failure> {
    const CALL: &str = "GetCallerIdentity";
    let identity = account
        .sts
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| classify(CALL, &error))?;
    let role = identity.arn().and_then(role_of).map(str::to_owned);
    let account_id = identity.account.ok_or_else(|| {
        Failure::new(
            Class::Bug,
            format!("{CALL}: no word of which account the credentials belong to"),
        )
    })?;
    Ok(Caller { account_id, role })
}

/// The name of the role in the ARN of its session: `arn:aws:sts::123456789012:assumed-role/shopkeeper/eks-session`.
fn role_of(arn: &str) -> Option<&str> {
    let (_, session) = arn.split_once(":assumed-role/")?;
    session.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_role() {
        let of_role = "arn:aws:sts::123456789012:assumed-role/shopkeeper/eks-octank-shopkeeper-1";
        assert_eq!(role_of(of_role), Some("shopkeeper"));
        assert_eq!(role_of("arn:aws:iam::123456789012:user/shopkeeper"), None);
    }
}
