//! The outputs that the resources of a binding have once they are there.
//!
//! What a template asks for beyond these never comes: pods that wait for it would wait for ever, so that it is refused.

use std::collections::BTreeSet;

use crate::{aws::AwsResource, failure::Failure};

use super::{Component, DataResource, Resolved, component::ResolvedBinding};

/// Refuses templates of a component's bindings with outputs that their resources never have.
pub(super) fn check(resolved: &Resolved, component: &Component) -> Result<(), Failure> {
    component
        .bindings
        .iter()
        // What an external tier has is written beside it, and checked with its Secret.
        .filter(|binding| component.external(&binding.resource).is_none())
        .try_for_each(|binding| check_binding(&resolved.data, component, binding))
}

fn check_binding(
    data: &[DataResource],
    component: &Component,
    binding: &ResolvedBinding,
) -> Result<(), Failure> {
    let promised: BTreeSet<String> = data
        .iter()
        .flat_map(|resource| of(resource, binding))
        .collect();
    for (name, template) in &binding.env {
        if let Some(output) = template
            .outputs()
            .find(|output| !promised.contains(*output))
        {
            let several: Vec<&str> = promised.iter().map(String::as_str).collect();
            let remedy = if several.is_empty() {
                format!(
                    "declare what {} is to have, or take the binding out",
                    binding.resource
                )
            } else {
                format!("use one of {}", several.join(", "))
            };
            return Err(Failure::invalid(
                &format!(
                    "{}.bindings[{}].env[{name}].template",
                    component.field(),
                    binding.resource
                ),
                &format!("{} has no output {output}", binding.resource),
                &remedy,
            ));
        }
    }
    Ok(())
}

/// What a resource adds to a binding; nothing to that of another.
fn of(resource: &DataResource, binding: &ResolvedBinding) -> Vec<String> {
    let Some(part) = resource
        .binding
        .as_ref()
        .filter(|part| part.name == binding.resource)
    else {
        return Vec::new();
    };
    promised_outputs(&resource.resource)
        .into_iter()
        .map(|output| {
            if part.prefix.is_empty() {
                output
            } else {
                format!("{}.{output}", part.prefix)
            }
        })
        .collect()
}

/// The names of the outputs that a resource has once it is there: what AWS tells of it, and what follows from that. The other side is
/// in the observers of `operator/aws` and in [`crate::build::with_derived`]; the matrix of all kinds there holds the two together.
#[must_use]
pub fn promised_outputs(resource: &AwsResource) -> Vec<String> {
    let mut outputs: Vec<String> = match resource {
        AwsResource::RdsInstance(_) => [
            "arn",
            "endpoint",
            "engine",
            "host",
            "password",
            "port",
            "scheme",
            "secretArn",
            "uri",
            "url",
            "username",
        ]
        .map(str::to_owned)
        .into(),
        AwsResource::CacheReplicationGroup(_) => [
            "arn",
            "endpoint",
            "host",
            "port",
            "readerEndpoint",
            "readerHost",
            "scheme",
            "uri",
            "url",
        ]
        .map(str::to_owned)
        .into(),
        AwsResource::CacheUser(_) => ["userArn", "username"].map(str::to_owned).into(),
        AwsResource::DynamoDbTable(_) => ["arn", "region", "tableName"].map(str::to_owned).into(),
        AwsResource::S3Bucket(_) => ["arn", "bucket", "region"].map(str::to_owned).into(),
        AwsResource::SnsTopic(_) => ["arn", "region", "topicArn", "topicName"]
            .map(str::to_owned)
            .into(),
        AwsResource::SqsQueue(_) => ["arn", "queueName", "queueUrl", "region", "url"]
            .map(str::to_owned)
            .into(),
        _ => Vec::new(),
    };
    match resource {
        AwsResource::RdsInstance(instance) if instance.database_name.is_some() => {
            outputs.push("database".to_owned());
        }
        AwsResource::CacheReplicationGroup(group) if group.user_group.is_some() => {
            outputs.push("cacheName".to_owned());
        }
        AwsResource::CacheUser(user) if user.password_current.is_some() => {
            outputs.push("password".to_owned());
        }
        AwsResource::DynamoDbTable(table) => {
            let indexes = || {
                table
                    .global_indexes
                    .keys()
                    .chain(table.local_indexes.keys())
            };
            outputs.extend(indexes().map(|index| format!("indexName.{index}")));
            outputs.extend(indexes().next().map(|_| "indexName".to_owned()));
            if table.stream.is_some() {
                outputs.push("streamArn".to_owned());
            }
        }
        _ => {}
    }
    outputs
}
