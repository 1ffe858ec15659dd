//! One way to look at anything, so that a table of edits or of drifts can say where each of them shows.

use anyhow::Result;
use serde_json::Value;

use crate::{Shop, Subject};

/// A resource to look at.
#[derive(Clone, Debug)]
pub enum View {
    /// A DynamoDB table by name.
    Table(String),
    /// The autoscaling of a DynamoDB table and its indexes, by the name of the table.
    Autoscaling(String),
    /// An ElastiCache replication group by id.
    Cache(String),
    /// The user's parameters of an ElastiCache parameter group.
    CacheParameters(String),
    /// The users of a cache by their group.
    CacheUsers(String),
    /// The secret with the password of a user of a cache, by the id of the user.
    CacheSecret(String),
    /// An S3 bucket by name.
    Bucket(String),
    /// An RDS instance by identifier.
    Database(String),
    /// The user's parameters of an RDS parameter group.
    Parameters(String),
    /// An SQS queue by name.
    Queue(String),
    /// An SNS topic by ARN.
    Topic(String),
    /// An IAM role by name.
    Role(String),
    /// An EKS node group by cluster and name.
    NodeGroup(String, String),
    /// The EKS node group of a service's own, by cluster and custom resource: another one once it was replaced.
    OwnNodes(String, Subject),
    /// A KMS key by alias.
    Key(String),
    /// An object of the cluster.
    Object(Subject),
}

impl Shop {
    /// What is there now. Fails where there is nothing.
    pub async fn look(&self, view: &View) -> Result<Value> {
        match view {
            View::Table(name) => self.aws.table(name).await,
            View::Autoscaling(table) => self.aws.autoscaling(table).await,
            View::Cache(id) => self.aws.cache(id).await,
            View::CacheParameters(name) => self.aws.cache_parameters(name).await,
            View::CacheUsers(group) => self.aws.cache_users(group).await,
            View::CacheSecret(user) => self.aws.cache_secret(user).await,
            View::Bucket(name) => self.aws.bucket(name).await,
            View::Database(identifier) => self.aws.database(identifier).await,
            View::Parameters(name) => self.aws.database_parameters(name).await,
            View::Queue(name) => self.aws.queue(name).await,
            View::Topic(arn) => self.aws.topic(arn).await,
            View::Role(name) => self.aws.role(name).await,
            View::NodeGroup(cluster, name) => self.aws.node_group(cluster, name).await,
            View::OwnNodes(cluster, subject) => {
                let name = self.made(subject, "NodeGroup", "nodes").await?;
                self.aws.node_group(cluster, &name).await
            }
            View::Key(alias) => self.aws.key(alias).await,
            View::Object(subject) => {
                self.get(subject.kind, &subject.namespace, &subject.name)
                    .await
            }
        }
    }
}
