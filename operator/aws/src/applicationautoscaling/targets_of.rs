//! The scalable targets of tables.

use std::collections::BTreeSet;

use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use shopkeeper_plan::{aws::ScalableTarget, failure::Failure};

use crate::{account::Account, error::classify};

/// The names of the scalable targets of these tables and of their indexes. Application Auto Scaling finds those of a table, and not those
/// of its indexes, by its name: all of DynamoDB's are read, fifty a page.
pub(crate) async fn targets_of(
    account: &Account,
    tables: &BTreeSet<String>,
) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    if tables.is_empty() {
        return Ok(names);
    }
    let mut pages = account
        .applicationautoscaling
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Dynamodb)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("DescribeScalableTargets", &error))?;
        for target in page.scalable_targets.unwrap_or_default() {
            let name = format!(
                "{}|{}",
                target.resource_id,
                target.scalable_dimension.as_str()
            );
            // One of a dimension that we do not scale has no name.
            let table = ScalableTarget::parse_name(&name)
                .and_then(|_| ScalableTarget::table_of(&name))
                .map(|(table, _)| table.to_owned());
            if table.is_some_and(|table| tables.contains(&table)) {
                names.push(name);
            }
        }
    }
    Ok(names)
}
