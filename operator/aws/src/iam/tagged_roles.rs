//! Roles by their tags. The Resource Groups Tagging API does not tell of roles, and IAM cannot search by tags.

use shopkeeper_plan::{aws::Tags, failure::Failure};

use super::listed_role::{each_role, tags_of};
use crate::{account::Account, owned::has};

/// The names of the roles of an account that have all of these tags.
pub(crate) async fn tagged_roles(account: &Account, wanted: &Tags) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    each_role(account, |mut role| {
        if has(&tags_of(&mut role), wanted) {
            names.extend(role.role_name);
        }
    })
    .await?;
    Ok(names)
}
