//! Roles as IAM describes all of an account at once. By name each takes four calls or more.

use std::collections::HashMap;

use aws_sdk_iam::types::{EntityType, RoleDetail};
use shopkeeper_plan::{
    aws::{IamRole, Tags},
    failure::Failure,
    names::OWNER_TAG,
};

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
    let resources = &mut listed.resources;
    let described = each_role(&account, |role| {
        // One that cannot be read is asked for by its name, which tells why.
        if let Some(role) = listed_as(role) {
            resources.insert(role.resource.name.clone(), role);
        }
    });
    listed.pages += described.await.map_err(|failure| unlisted(&failure)).ok()?;
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

/// Describes all roles of an account; gives how many calls that took.
pub(super) async fn each_role(
    account: &Account,
    mut tell: impl FnMut(RoleDetail),
) -> Result<usize, Failure> {
    let mut calls = 0;
    let mut pages = account
        .iam
        .get_account_authorization_details()
        .filter(EntityType::Role)
        .max_items(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("GetAccountAuthorizationDetails", &error))?;
        calls += 1;
        let roles = page.role_detail_list.unwrap_or_default();
        roles.into_iter().for_each(&mut tell);
    }
    Ok(calls)
}

/// Takes the tags of a role.
pub(super) fn tags_of(role: &mut RoleDetail) -> Tags {
    let tags = role.tags.take().unwrap_or_default();
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn listed_as(mut role: RoleDetail) -> Option<ListedRole> {
    let tags = tags_of(&mut role);
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
