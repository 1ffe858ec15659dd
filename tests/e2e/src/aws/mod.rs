//! AWS as the owner of the account sees it: clients of the SDKs, and resources as JSON in AWS's own names.
//!
//! JSON, so that a scenario can compare many fields at once and a failure names the one that is wrong. Each view has the
//! fields that some scenario looks at.

mod cache_users;
mod compute;
mod data;
mod messaging;
mod scaling;

use std::collections::BTreeMap;

use anyhow::Result;
use aws_config::{AppName, SdkConfig};
use serde_json::{Value, json};

/// How the scenarios' own calls name themselves in the record of calls.
pub(crate) const APPLICATION: &str = "app/shopkeeper-e2e";

/// Clients for every service that the operator uses.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Application Auto Scaling.
    pub applicationautoscaling: aws_sdk_applicationautoscaling::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EKS.
    pub eks: aws_sdk_eks::Client,
    /// ElastiCache.
    pub elasticache: aws_sdk_elasticache::Client,
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// KMS.
    pub kms: aws_sdk_kms::Client,
    /// RDS.
    pub rds: aws_sdk_rds::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Secrets Manager.
    pub secretsmanager: aws_sdk_secretsmanager::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// STS.
    pub sts: aws_sdk_sts::Client,
}

impl Aws {
    /// Clients that name themselves as the scenarios'.
    pub fn new(config: &SdkConfig) -> Result<Self> {
        let config = config
            .to_builder()
            .app_name(AppName::new("shopkeeper-e2e")?)
            .build();
        Ok(Self {
            applicationautoscaling: aws_sdk_applicationautoscaling::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            eks: aws_sdk_eks::Client::new(&config),
            elasticache: aws_sdk_elasticache::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            kms: aws_sdk_kms::Client::new(&config),
            rds: aws_sdk_rds::Client::new(&config),
            // A bucket in the host name would need a name server that knows it.
            s3: aws_sdk_s3::Client::from_conf(
                aws_sdk_s3::config::Builder::from(&config)
                    .force_path_style(true)
                    .build(),
            ),
            secretsmanager: aws_sdk_secretsmanager::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
        })
    }
}

/// Tags as one object.
fn tags<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    json!(pairs.into_iter().collect::<BTreeMap<_, _>>())
}

/// A policy document; those of IAM come percent-encoded (RFC 3986).
fn document(text: &str) -> Result<Value> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8()?;
    Ok(serde_json::from_str(&decoded)?)
}
