//! What a workload may do with the resources it declares, and nothing else.

use serde_json::{Value, json};

use super::DataResource;
use crate::{
    aws::{AwsKind, AwsResource, CacheAuthentication},
    facts::PlatformFacts,
    observed::Observed,
    resource::ResourceKey,
};

/// What a role needs to connect to a cache with IAM.
const CONNECT: &str = "elasticache:Connect";

/// The statements of the policy for a data tier.
pub(crate) fn statements<'a>(
    platform: &PlatformFacts,
    data: impl Iterator<Item = &'a DataResource> + Clone,
) -> Vec<Value> {
    let mut statements = Vec::new();
    let (mut tables, mut streams) = (Vec::new(), Vec::new());
    let (mut topics, mut queues) = (Vec::new(), Vec::new());
    // Services that ask KMS on behalf of the caller; for the others AWS uses a grant of its own.
    let mut through_kms = std::collections::BTreeSet::new();
    for resource in data.clone() {
        match &resource.resource {
            AwsResource::DynamoDbTable(table) => {
                let arn = platform.arn("dynamodb", &format!("table/{}", table.name));
                if table.stream.is_some() {
                    streams.push(format!("{arn}/stream/*"));
                }
                tables.extend([format!("{arn}/index/*"), arn]);
                through_kms.insert("dynamodb");
            }
            AwsResource::S3Bucket(bucket) => {
                let arn = format!("arn:{}:s3:::{}", platform.partition(), bucket.name);
                statements.push(json!({"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": arn}));
                statements.push(json!({
                    "Effect": "Allow",
                    "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject", "s3:RestoreObject"],
                    "Resource": format!("{arn}/*"),
                }));
                through_kms.insert("s3");
            }
            AwsResource::SnsTopic(topic) => {
                topics.push(topic.arn.clone());
                through_kms.insert("sns");
            }
            AwsResource::SqsQueue(queue) if are_given(resource) => {
                queues.push(platform.arn("sqs", &queue.name));
                through_kms.insert("sqs");
            }
            _ => {}
        }
    }
    // All of a kind together: IAM takes 10,240 characters, and there may be as many as the schema allows.
    if !tables.is_empty() {
        statements.push(json!({
            "Effect": "Allow",
            "Action": [
                "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem",
                "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem", "dynamodb:PartiQLDelete",
                "dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate", "dynamodb:PutItem",
                "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
            ],
            "Resource": one_or_all(tables),
        }));
    }
    if !streams.is_empty() {
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"],
            "Resource": one_or_all(streams),
        }));
    }
    if !topics.is_empty() {
        statements.push(
            json!({"Effect": "Allow", "Action": "sns:Publish", "Resource": one_or_all(topics)}),
        );
    }
    if !queues.is_empty() {
        statements.push(json!({
            "Effect": "Allow",
            "Action": [
                "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
                "sqs:ReceiveMessage", "sqs:SendMessage",
            ],
            "Resource": one_or_all(queues),
        }));
    }
    if !through_kms.is_empty() {
        let services: Vec<String> = through_kms
            .iter()
            .map(|service| format!("{service}.{}.amazonaws.com", platform.region))
            .collect();
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": platform.key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": services}},
        }));
    }
    statements.extend(connecting(platform, data));
    statements
}

/// Whether pods get rights to a resource by its name. To dead letters they get none.
pub(crate) const fn are_given(resource: &DataResource) -> bool {
    match &resource.resource {
        AwsResource::DynamoDbTable(_) | AwsResource::S3Bucket(_) | AwsResource::SnsTopic(_) => true,
        AwsResource::SqsQueue(_) => resource.binding.is_some(),
        _ => false,
    }
}

/// In order, so that a list in another order is no other policy. One alone is written as AWS writes it.
fn one_or_all(mut arns: Vec<String>) -> Value {
    arns.sort_unstable();
    match arns.as_slice() {
        [one] => Value::from(one.as_str()),
        all => Value::from(all),
    }
}

/// What the user needs that the workload connects to its cache as, where it does so with IAM. AWS asks for the cache beside the
/// user.
fn connecting<'a>(
    platform: &PlatformFacts,
    mut data: impl Iterator<Item = &'a DataResource> + Clone,
) -> Option<Value> {
    let user = data.clone().find_map(|resource| match &resource.resource {
        AwsResource::CacheUser(user)
            if resource.binding.is_some() && user.authentication == CacheAuthentication::Iam =>
        {
            Some(platform.arn("elasticache", &format!("user:{}", user.id)))
        }
        _ => None,
    })?;
    let cache = data.find_map(|resource| match &resource.resource {
        AwsResource::CacheReplicationGroup(group) => {
            Some(platform.arn("elasticache", &format!("replicationgroup:{}", group.id)))
        }
        _ => None,
    })?;
    Some(json!({"Effect": "Allow", "Action": CONNECT, "Resource": [cache, user]}))
}

/// Keeps the right to connect that a role has, where the statements have none: the cache still asks for it, and the pods that run
/// would be locked out before a person agreed to the change. It comes last, as in [`statements`].
pub(crate) fn keep_connecting(statements: &mut Vec<Value>, observed: &Observed, role: &str) {
    let connects =
        |statement: &Value| [json!(CONNECT), json!([CONNECT])].contains(&statement["Action"]);
    if statements.iter().any(connects) {
        return;
    }
    let key = ResourceKey::aws(AwsKind::IamRole, role);
    if let Some(AwsResource::IamRole(role)) = observed.present(&key).map(|found| &found.resource) {
        let found = role
            .inline_policies
            .values()
            .filter_map(|policy| policy["Statement"].as_array())
            .flatten();
        statements.extend(found.filter(|statement| connects(statement)).cloned());
    }
}
