//! Roles by their tags. The Resource Groups Tagging API does not tell of roles, and IAM cannot search by tags.

use aws_sdk_iam::types::EntityType;
use shopkeeper_plan::{aws::Tags, failure::Failure};

use crate::{account::Account, error::classify};

/// Roles of a page: the most that IAM gives.
const PAGE: i32 = 1000;

/// The names of the roles of an account that have all of these tags.
pub(crate) async fn tagged_roles(account: &Account, wanted: &Tags) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut pages = account
        .iam
        .get_account_authorization_details()
        .filter(EntityType::Role)
        .max_items(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("GetAccountAuthorizationDetails", &error))?;
        for role in page.role_detail_list.unwrap_or_default() {
            let tags = role.tags.unwrap_or_default();
            let has = |(key, value): (&String, &String)| {
                tags.iter()
                    .any(|tag| tag.key == *key && tag.value == *value)
            };
            if wanted.iter().all(has) {
                names.extend(role.role_name);
            }
        }
    }
    Ok(names)
}
