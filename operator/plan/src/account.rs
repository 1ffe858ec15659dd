//! Whose credentials a process has. See `docs/decisions/0026-the-account-of-the-credentials.md`.

use shopkeeper_api::Platform;

use crate::failure::{Class, Failure};

/// The code of the failure that credentials of another account are.
pub const WRONG_ACCOUNT: &str = "WrongAccount";

/// Checks that the credentials belong to the account of the Platform. In another account nothing of what was made is found, which
/// would pass for gone, and what is missing would be made there.
///
/// # Errors
/// They belong to another one.
pub fn check(platform: &Platform, credentials_of: &str) -> Result<(), Failure> {
    let declared = platform.spec.aws.account_id.as_str();
    if declared == credentials_of {
        return Ok(());
    }
    let name = platform.metadata.name.as_deref().unwrap_or_default();
    Err(Failure::new(
        Class::Denied,
        format!(
            "the operator's AWS credentials belong to account {credentials_of}, and spec.aws.accountId of Platform {name} is {declared}: \
             nothing is looked at, changed or taken down"
        ),
    )
    .with_code(WRONG_ACCOUNT)
    .with_remedy(format!(
        "give the operator credentials of account {declared} and restart it; or, if nothing was made on it yet, delete this Platform and \
         apply it with the right spec.aws.accountId, which cannot be changed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_account_is_told_with_both_and_the_remedy() {
        let platform: Platform = serde_json::from_value(serde_json::json!({
            "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "Platform", "metadata": {"name": "octank"},
            "spec": {
                "aws": {"accountId": "123456789012", "region": "eu-west-1"},
                "cluster": {"name": "octank-prod"},
                "network": {"type": "Existing"},
            },
        }))
        .unwrap();
        assert_eq!(check(&platform, "123456789012"), Ok(()));
        let failure = check(&platform, "999999999999").unwrap_err();
        assert!(failure.class.needs_a_person());
        for part in [
            "999999999999",
            "Platform octank is 123456789012",
            "To do: give the operator credentials",
        ] {
            assert!(failure.describe().contains(part), "{}", failure.describe());
        }
    }
}
