//! Resource Groups Tagging API: the tags of a hundred resources in a call, where each service tells those of one.

use std::{collections::BTreeMap, future::Future};

use aws_sdk_resourcegroupstagging::types::TagFilter;
use shopkeeper_plan::{aws::Tags, failure::Failure, names::OWNER_TAG};

use crate::{
    account::Account,
    error::classify,
    listing::{Pages, unlisted},
    parts::setting,
};

mod arn;

pub(crate) use arn::key_of;

/// Resources of a page: the most that GetResources gives.
const PAGE: i32 = 100;

/// The tags of a resource: from the description of everything that has an owner, where one serves the look that is being made and
/// tells of the resource, else as its service tells them. `operation` is the call for that.
///
/// # Errors
/// Those of the call.
pub(crate) async fn tags<T, E>(
    account: &Account,
    arn: &str,
    operation: impl Into<String>,
    by_name: impl Future<Output = Result<T, E>>,
) -> Result<T, E>
where
    T: From<Tags> + Clone + Send + Sync + 'static,
{
    match listed_tags(account, arn).await {
        Some(tags) => Ok(T::from(tags)),
        None => setting(operation, by_name).await,
    }
}

/// The tags of a resource, where a description of everything that has an owner tells them.
pub(crate) async fn listed_tags(account: &Account, arn: &str) -> Option<Tags> {
    let list = || all(account.clone());
    account.listings.tags.find_setting(arn, list).await
}

/// The tags of all resources that have the tag of an owner, whoever that is. What has lost it is not in it, and is asked for by name.
async fn all(account: Account) -> Option<Pages<Tags>> {
    let owned = TagFilter::builder().key(OWNER_TAG).build();
    let mut found = Pages::default();
    let mut pages = account
        .resourcegroupstagging
        .get_resources()
        .tag_filters(owned)
        .resources_per_page(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| unlisted(&classify("GetResources", &error)))
            .ok()?;
        found.pages += 1;
        let tagged = page.resource_tag_mapping_list.unwrap_or_default();
        found
            .resources
            .extend(tagged.into_iter().filter_map(|resource| {
                let tags = resource.tags.unwrap_or_default();
                Some((
                    resource.resource_arn?,
                    tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
                ))
            }));
    }
    Some(found)
}

/// The tags of the resources that have all of these, by their ARNs. It lags behind what is made, changed and deleted.
pub(crate) async fn tagged(
    account: &Account,
    wanted: &Tags,
) -> Result<BTreeMap<String, Tags>, Failure> {
    let filters = wanted
        .iter()
        .map(|(key, value)| TagFilter::builder().key(key).values(value).build());
    let mut found = BTreeMap::new();
    let mut pages = account
        .resourcegroupstagging
        .get_resources()
        .set_tag_filters(Some(filters.collect()))
        .resources_per_page(PAGE)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("GetResources", &error))?;
        for resource in page.resource_tag_mapping_list.unwrap_or_default() {
            let tags = resource.tags.unwrap_or_default();
            if let Some(arn) = resource.resource_arn {
                found.insert(
                    arn,
                    tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
                );
            }
        }
    }
    Ok(found)
}
