//! Roles as IAM describes all of an account at once. By name each takes four calls or more.

use std::collections::HashMap;

use aws_sdk_iam::types::{EntityType, RoleDetail};
use shopkeeper_plan::{aws::IamRole, names::OWNER_TAG};

use super::role::document;
use crate::{
    account::Account,
    error::classify,
    listing::{Pages, unlisted},
};

/// Roles of a page: the most that IAM gives.
const PAGE: i32 = 1000;

/// A role as the description of all tells it.
#[derive(Clone, Debug)]
pub(crate) struct ListedRole {
    pub(super) resource: IamRole,
    pub(super) arn: String,
    pub(super) id: String,
}

/// A role, where a description of all that serves the look that is being made tells of it.
pub(super) async fn listed_role(account: &Account, name: &str) -> Option<ListedRole> {
    let list = || all(account.clone());
    account.listings.roles.find_setting(name, list).await
}

/// All roles that have the tag of an owner, whoever that is: an account has hundreds of others. Two calls tell of them, since that for
/// what a role may do leaves out its description.
async fn all(account: Account) -> Option<Pages<ListedRole>> {
    let mut listed = Pages::default();
    let mut details = account
        .iam
        .get_account_authorization_details()
        .filter(EntityType::Role)
        .max_items(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = details.next().await {
        let page = page
            .map_err(|error| unlisted(&classify("GetAccountAuthorizationDetails", &error)))
            .ok()?;
        listed.pages += 1;
        let roles = page.role_detail_list.unwrap_or_default();
        // One that cannot be read is asked for by its name, which tells why.
        listed
            .resources
            .extend(roles.into_iter().filter_map(|role| {
                let role = listed_as(role)?;
                Some((role.resource.name.clone(), role))
            }));
    }
    if listed.resources.is_empty() {
        return Some(listed);
    }
    let mut descriptions = HashMap::new();
    let mut roles = account
        .iam
        .list_roles()
        .max_items(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = roles.next().await {
        let page = page
            .map_err(|error| unlisted(&classify("ListRoles", &error)))
            .ok()?;
        listed.pages += 1;
        descriptions.extend(
            page.roles
                .into_iter()
                .map(|role| (role.role_name, role.description.unwrap_or_default())),
        );
    }
    listed
        .resources
        .retain(|name, role| match descriptions.remove(name) {
            Some(description) => {
                role.resource.description = description;
                true
            }
            // It came or went between the two.
            None => false,
        });
    Some(listed)
}

fn listed_as(role: RoleDetail) -> Option<ListedRole> {
    let tags: shopkeeper_plan::aws::Tags = role
        .tags
        .unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect();
    if !tags.contains_key(OWNER_TAG) {
        return None;
    }
    let operation = "GetAccountAuthorizationDetails";
    let resource = IamRole {
        name: role.role_name?,
        description: String::new(),
        trust_policy: document(operation, &role.assume_role_policy_document?).ok()?,
        inline_policies: role
            .role_policy_list
            .unwrap_or_default()
            .into_iter()
            .map(|policy| {
                Some((
                    policy.policy_name?,
                    document(operation, &policy.policy_document?).ok()?,
                ))
            })
            .collect::<Option<_>>()?,
        managed_policy_arns: role
            .attached_managed_policies
            .unwrap_or_default()
            .into_iter()
            .filter_map(|policy| policy.policy_arn)
            .collect(),
        tags,
    };
    Some(ListedRole {
        resource,
        arn: role.arn?,
        id: role.role_id?,
    })
}
