//! The outputs of a binding: what AWS reported of its resources, with what follows from it.

use crate::{
    aws::{AwsResource, TransitEncryption},
    blueprint::MissingOutput,
    kubernetes::bindings::Description,
    observed::Observed,
    outputs::{Output, Outputs},
    resolve::{DataResource, Resolved},
    resource::ResourceKey,
    sensitive::Sensitive,
    template::percent_encode,
};

/// What no binding to a database may lack. The password is read apart from the database: without this, one that cannot be read
/// for a moment would be taken out of the Secret.
const REQUIRED: [&str; 4] = ["host", "port", "username", "password"];

/// All outputs of a binding.
///
/// # Errors
/// The resources that do not exist yet, and the outputs that a database has not got yet.
pub(super) fn gather(
    resolved: &Resolved,
    binding: &str,
    observed: &Observed,
) -> Result<Outputs, Vec<MissingOutput>> {
    let mut outputs = Outputs::new();
    let mut missing = Vec::new();
    for resource in parts(resolved, binding) {
        let key = resource.key();
        let prefix = resource
            .binding
            .as_ref()
            .map(|part| part.prefix.as_str())
            .unwrap_or_default();
        match observed.outputs(&key) {
            Some(found) => {
                let absent = REQUIRED.iter().filter(|name| {
                    found.get(name).is_none()
                        && matches!(resource.resource, AwsResource::RdsInstance(_))
                });
                missing.extend(absent.map(|name| MissingOutput {
                    resource: key.clone(),
                    output: (*name).to_owned(),
                }));
                missing.extend(not_in_force(&resource.resource, &key, observed));
                outputs.merge(prefix, &with_derived(&resource.resource, found));
            }
            None => missing.push(MissingOutput {
                resource: key,
                output: "outputs".to_owned(),
            }),
        }
    }
    if missing.is_empty() {
        Ok(with_credentials(outputs))
    } else {
        Err(missing)
    }
}

/// Whether every resource asks of its clients what is declared, and nothing else from before.
pub(super) fn are_in_force(resolved: &Resolved, observed: &Observed) -> bool {
    resolved
        .data
        .iter()
        .all(|resource| not_in_force(&resource.resource, &resource.key(), observed).is_none())
}

/// What clients of a cache have to send is not told before the cache asks for it, which may wait for a person: until then
/// their pods stay as they are.
fn not_in_force(
    desired: &AwsResource,
    key: &ResourceKey,
    observed: &Observed,
) -> Option<MissingOutput> {
    let found = observed.present(key).map(|present| &present.resource);
    let output = match (desired, found) {
        (
            AwsResource::CacheReplicationGroup(desired),
            Some(AwsResource::CacheReplicationGroup(found)),
        ) => (desired.user_group != found.user_group).then_some("username"),
        (AwsResource::CacheUser(desired), Some(AwsResource::CacheUser(found))) => {
            let is_known = desired.password_current.is_none()
                || observed
                    .outputs(key)
                    .is_some_and(|outputs| outputs.get("password").is_some());
            (desired.authentication != found.authentication || !is_known).then_some("password")
        }
        _ => None,
    };
    output.map(|output| MissingOutput {
        resource: key.clone(),
        output: output.to_owned(),
    })
}

/// The address of a cache with the name and the password of its user in it.
fn with_credentials(outputs: Outputs) -> Outputs {
    let (Some(host), Some(port), Some("rediss"), Some(username)) = (
        outputs.plain("host"),
        outputs.plain("port"),
        outputs.plain("scheme"),
        outputs.plain("username"),
    ) else {
        return outputs;
    };
    let Some(Output::Secret(password)) = outputs.get("password") else {
        return outputs;
    };
    let uri = format!(
        "rediss://{}:{}@{host}:{port}",
        percent_encode(username),
        percent_encode(password.expose())
    );
    outputs.with_secret("uri", Sensitive::new(uri))
}

fn parts<'a>(resolved: &'a Resolved, binding: &'a str) -> impl Iterator<Item = &'a DataResource> {
    resolved.data.iter().filter(move |resource| {
        resource
            .binding
            .as_ref()
            .is_some_and(|part| part.name == binding)
    })
}

/// The resource to name where an output of a binding is missing.
pub(super) fn main_resource(resolved: &Resolved, binding: &str) -> Option<ResourceKey> {
    parts(resolved, binding).next().map(DataResource::key)
}

/// Type and provider of a binding, by the Service Binding specification.
pub(super) fn description(resolved: &Resolved, binding: &str) -> Description {
    let (r#type, provider) = match parts(resolved, binding)
        .next()
        .map(|resource| &resource.resource)
    {
        Some(AwsResource::RdsInstance(instance)) => (
            if instance.engine == "postgres" {
                "postgresql"
            } else {
                "mysql"
            },
            "aws-rds",
        ),
        Some(AwsResource::DynamoDbTable(_)) => ("dynamodb", "aws-dynamodb"),
        Some(AwsResource::CacheReplicationGroup(_)) => ("redis", "aws-elasticache"),
        Some(AwsResource::S3Bucket(_)) => ("s3", "aws-s3"),
        Some(AwsResource::SnsTopic(_) | AwsResource::SqsQueue(_)) => ("messaging", "aws-sns-sqs"),
        _ => ("aws", "aws"),
    };
    Description {
        r#type,
        provider: provider.to_owned(),
    }
}

/// The outputs of a resource as AWS tells them, with the addresses that follow from host, port and credentials.
#[must_use]
pub fn with_derived(resource: &AwsResource, found: &Outputs) -> Outputs {
    let mut outputs = found.clone();
    match resource {
        AwsResource::RdsInstance(instance) => {
            let scheme = match instance.engine.as_str() {
                "postgres" => "postgresql",
                engine => engine,
            };
            outputs = outputs.with("scheme", scheme);
            if let (Some(host), Some(port), Some(username)) = (
                found.plain("host"),
                found.plain("port"),
                found.plain("username"),
            ) {
                let database = found.plain("database").unwrap_or_default();
                outputs = outputs.with("url", format!("{scheme}://{host}:{port}/{database}"));
                if let Some(Output::Secret(password)) = found.get("password") {
                    let uri = format!(
                        "{scheme}://{}:{}@{host}:{port}/{database}",
                        percent_encode(username),
                        percent_encode(password.expose())
                    );
                    outputs = outputs.with_secret("uri", Sensitive::new(uri));
                }
            }
        }
        AwsResource::CacheReplicationGroup(group) => {
            let scheme = if group.transit_encryption == TransitEncryption::Disabled {
                "redis"
            } else {
                "rediss"
            };
            outputs = outputs.with("scheme", scheme);
            if let (Some(host), Some(port)) = (found.plain("host"), found.plain("port")) {
                let url = format!("{scheme}://{host}:{port}");
                outputs = outputs.with("url", url.clone()).with("uri", url);
                // What a token is signed for.
                if group.user_group.is_some() {
                    outputs = outputs.with("cacheName", group.id.clone());
                }
                if let Some(reader) = found.plain("readerHost") {
                    outputs = outputs.with("readerEndpoint", format!("{reader}:{port}"));
                }
            }
        }
        AwsResource::SqsQueue(_) => outputs = outputs.with_optional("url", found.plain("queueUrl")),
        _ => {}
    }
    outputs
}
