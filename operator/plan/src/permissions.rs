//! What the operator itself may do in AWS: one table, from which its IAM policies are written.
//!
//! A call that is not in the table is refused by AWS in every account that uses the policy, so a test in `shopkeeper-aws` holds
//! the table against the calls that its modules make.

use serde_json::{Value, json};

use crate::{aws::AwsKind, names::CLUSTER_TAG, resolve::nodes::NODE_POLICIES};

/// Where a call may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only looks. Everything, because AWS lists without regard to tags, and what is not ours has to be seen to be left alone.
    Look,
    /// Makes or tags something, which has to be given the tag of the operator's own cluster by the same call.
    Make,
    /// Changes or deletes something that has the tag of the operator's own cluster.
    Change,
    /// Changes something that AWS cannot tell by tags. Kept to the account.
    Untagged,
}

/// One operation that the operator calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The service, as in IAM actions.
    pub service: &'static str,
    /// The operation, as in AWS's API.
    pub operation: &'static str,
    /// The IAM actions that AWS asks for, where they have other names than the operation.
    renamed: &'static [&'static str],
    /// Where it may reach.
    pub reach: Reach,
}

impl Call {
    /// The IAM actions that AWS asks for.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        let names = if self.renamed.is_empty() {
            std::slice::from_ref(&self.operation)
        } else {
            self.renamed
        };
        names
            .iter()
            .map(|name| format!("{}:{name}", self.service))
            .collect()
    }

    const fn renamed(mut self, actions: &'static [&'static str]) -> Self {
        self.renamed = actions;
        self
    }
}

const fn look(service: &'static str, operation: &'static str) -> Call {
    Call {
        service,
        operation,
        renamed: &[],
        reach: Reach::Look,
    }
}

const fn make(service: &'static str, operation: &'static str) -> Call {
    Call {
        service,
        operation,
        renamed: &[],
        reach: Reach::Make,
    }
}

const fn change(service: &'static str, operation: &'static str) -> Call {
    Call {
        service,
        operation,
        renamed: &[],
        reach: Reach::Change,
    }
}

const fn untagged(service: &'static str, operation: &'static str) -> Call {
    Call {
        service,
        operation,
        renamed: &[],
        reach: Reach::Untagged,
    }
}

/// What is called for a Platform, before there is any resource of a kind.
pub const LOOKUPS: &[Call] = &[
    look("eks", "DescribeCluster"),
    look("eks", "DescribeAddon"),
    look("ec2", "DescribeVpcs"),
    look("ec2", "DescribeSubnets"),
    look("servicequotas", "GetServiceQuota"),
];

/// What is called for resources of a kind.
#[must_use]
pub const fn calls(kind: AwsKind) -> &'static [Call] {
    match kind {
        AwsKind::KmsKey => KMS_KEY,
        AwsKind::IamRole => IAM_ROLE,
        AwsKind::NodeGroup => NODE_GROUP,
        AwsKind::PodIdentityAssociation => POD_IDENTITY_ASSOCIATION,
        AwsKind::DynamoDbTable => DYNAMODB_TABLE,
        AwsKind::ScalableTarget => SCALABLE_TARGET,
        AwsKind::CacheSubnetGroup => CACHE_SUBNET_GROUP,
        AwsKind::CacheParameterGroup => CACHE_PARAMETER_GROUP,
        AwsKind::CacheReplicationGroup => CACHE_REPLICATION_GROUP,
        AwsKind::CacheUserGroup => CACHE_USER_GROUP,
        AwsKind::CacheUser => CACHE_USER,
        AwsKind::SecretsManagerSecret => SECRETS_MANAGER_SECRET,
        AwsKind::RdsSubnetGroup => RDS_SUBNET_GROUP,
        AwsKind::RdsParameterGroup => RDS_PARAMETER_GROUP,
        AwsKind::RdsInstance => RDS_INSTANCE,
        AwsKind::S3Bucket => S3_BUCKET,
        AwsKind::SnsTopic => SNS_TOPIC,
        AwsKind::SnsSubscription => SNS_SUBSCRIPTION,
        AwsKind::SqsQueue => SQS_QUEUE,
    }
}

/// For the services whose descriptions are many and tell of settings alone: named one by one they would not fit into the policy.
const DESCRIBE: &[&str] = &["Describe*"];

const KMS_KEY: &[Call] = &[
    look("kms", "DescribeKey"),
    look("kms", "GetKeyPolicy"),
    look("kms", "GetKeyRotationStatus"),
    look("kms", "ListKeys"),
    look("kms", "ListResourceTags"),
    make("kms", "CreateKey"),
    make("kms", "TagResource"),
    // KMS takes up to five minutes to heed the tags of a new key, and these are called right after it is made. Aliases have
    // no tags at all.
    untagged("kms", "CreateAlias"),
    untagged("kms", "DeleteAlias"),
    untagged("kms", "EnableKeyRotation"),
    change("kms", "CancelKeyDeletion"),
    change("kms", "DisableKeyRotation"),
    change("kms", "EnableKey"),
    change("kms", "PutKeyPolicy"),
    change("kms", "ScheduleKeyDeletion"),
    change("kms", "UpdateKeyDescription"),
];

const IAM_ROLE: &[Call] = &[
    look("iam", "GetRole"),
    look("iam", "GetRolePolicy"),
    look("iam", "ListAttachedRolePolicies"),
    look("iam", "ListRolePolicies"),
    make("iam", "CreateRole"),
    make("iam", "TagRole"),
    change("iam", "AttachRolePolicy"),
    change("iam", "DeleteRole"),
    change("iam", "DeleteRolePolicy"),
    change("iam", "DetachRolePolicy"),
    change("iam", "PutRolePolicy"),
    change("iam", "UpdateAssumeRolePolicy"),
    change("iam", "UpdateRole"),
];

const NODE_GROUP: &[Call] = &[
    look("eks", "DescribeNodegroup"),
    look("eks", "ListNodegroups"),
    make("eks", "CreateNodegroup"),
    make("eks", "TagResource"),
    change("eks", "DeleteNodegroup"),
    change("eks", "UpdateNodegroupConfig"),
    change("eks", "UpdateNodegroupVersion"),
];

const POD_IDENTITY_ASSOCIATION: &[Call] = &[
    look("eks", "DescribePodIdentityAssociation"),
    look("eks", "ListPodIdentityAssociations"),
    make("eks", "CreatePodIdentityAssociation"),
    make("eks", "TagResource"),
    change("eks", "DeletePodIdentityAssociation"),
    change("eks", "UpdatePodIdentityAssociation"),
];

const DYNAMODB_TABLE: &[Call] = &[
    look("dynamodb", "DescribeContinuousBackups"),
    look("dynamodb", "DescribeTable"),
    look("dynamodb", "DescribeTimeToLive"),
    look("dynamodb", "ListBackups"),
    look("dynamodb", "ListTagsOfResource"),
    make("dynamodb", "CreateTable"),
    make("dynamodb", "TagResource"),
    change("dynamodb", "CreateBackup"),
    change("dynamodb", "DeleteTable"),
    change("dynamodb", "UpdateContinuousBackups"),
    change("dynamodb", "UpdateTable"),
    change("dynamodb", "UpdateTimeToLive"),
];

// The call that registers a target also changes one, and then carries no tags.
const SCALABLE_TARGET: &[Call] = &[
    look("application-autoscaling", "DescribeScalableTargets"),
    look("application-autoscaling", "DescribeScalingPolicies"),
    look("application-autoscaling", "ListTagsForResource"),
    make("application-autoscaling", "RegisterScalableTarget"),
    make("application-autoscaling", "TagResource"),
    change("application-autoscaling", "DeregisterScalableTarget"),
    change("application-autoscaling", "PutScalingPolicy"),
    change("application-autoscaling", "RegisterScalableTarget"),
];

const CACHE_SUBNET_GROUP: &[Call] = &[
    look("elasticache", "DescribeCacheSubnetGroups").renamed(DESCRIBE),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateCacheSubnetGroup"),
    change("elasticache", "DeleteCacheSubnetGroup"),
    change("elasticache", "ModifyCacheSubnetGroup"),
];

const CACHE_PARAMETER_GROUP: &[Call] = &[
    look("elasticache", "DescribeCacheParameterGroups").renamed(DESCRIBE),
    look("elasticache", "DescribeCacheParameters").renamed(DESCRIBE),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateCacheParameterGroup"),
    change("elasticache", "DeleteCacheParameterGroup"),
    change("elasticache", "ModifyCacheParameterGroup"),
    change("elasticache", "ResetCacheParameterGroup"),
];

const CACHE_REPLICATION_GROUP: &[Call] = &[
    look("elasticache", "DescribeCacheClusters").renamed(DESCRIBE),
    look("elasticache", "DescribeReplicationGroups").renamed(DESCRIBE),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateReplicationGroup"),
    change("elasticache", "DecreaseReplicaCount"),
    change("elasticache", "DeleteReplicationGroup"),
    change("elasticache", "IncreaseReplicaCount"),
    change("elasticache", "ModifyReplicationGroup"),
];

const CACHE_USER_GROUP: &[Call] = &[
    look("elasticache", "DescribeUserGroups").renamed(DESCRIBE),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateUserGroup"),
    change("elasticache", "DeleteUserGroup"),
    change("elasticache", "ModifyUserGroup"),
];

const CACHE_USER: &[Call] = &[
    look("elasticache", "DescribeUsers").renamed(DESCRIBE),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateUser"),
    change("elasticache", "DeleteUser"),
    change("elasticache", "ModifyUser"),
];

// What is in them is only read where they are ours.
const SECRETS_MANAGER_SECRET: &[Call] = &[
    look("secretsmanager", "DescribeSecret"),
    make("secretsmanager", "CreateSecret"),
    make("secretsmanager", "TagResource"),
    change("secretsmanager", "DeleteSecret"),
    change("secretsmanager", "GetSecretValue"),
    change("secretsmanager", "UpdateSecret"),
];

const RDS_SUBNET_GROUP: &[Call] = &[
    look("rds", "DescribeDBSubnetGroups").renamed(DESCRIBE),
    look("rds", "ListTagsForResource"),
    make("rds", "AddTagsToResource"),
    make("rds", "CreateDBSubnetGroup"),
    change("rds", "DeleteDBSubnetGroup"),
    change("rds", "ModifyDBSubnetGroup"),
];

const RDS_PARAMETER_GROUP: &[Call] = &[
    look("rds", "DescribeDBParameterGroups").renamed(DESCRIBE),
    look("rds", "DescribeDBParameters").renamed(DESCRIBE),
    look("rds", "ListTagsForResource"),
    make("rds", "AddTagsToResource"),
    make("rds", "CreateDBParameterGroup"),
    change("rds", "DeleteDBParameterGroup"),
    change("rds", "ModifyDBParameterGroup"),
    change("rds", "ResetDBParameterGroup"),
];

const RDS_INSTANCE: &[Call] = &[
    look("rds", "DescribeDBInstances").renamed(DESCRIBE),
    look("rds", "ListTagsForResource"),
    make("rds", "AddTagsToResource"),
    make("rds", "CreateDBInstance"),
    change("rds", "DeleteDBInstance"),
    change("rds", "ModifyDBInstance"),
];

// S3 heeds the tags of a bucket only where that was turned on for the bucket, which nothing can be counted on to have done.
const S3_BUCKET: &[Call] = &[
    look("s3", "GetBucketCors").renamed(&["GetBucketCORS"]),
    look("s3", "GetBucketEncryption").renamed(&["GetEncryptionConfiguration"]),
    look("s3", "GetBucketIntelligentTieringConfiguration")
        .renamed(&["GetIntelligentTieringConfiguration"]),
    look("s3", "GetBucketLifecycleConfiguration").renamed(&["GetLifecycleConfiguration"]),
    look("s3", "GetBucketLocation"),
    look("s3", "GetBucketOwnershipControls"),
    look("s3", "GetBucketPolicy"),
    look("s3", "GetBucketTagging"),
    look("s3", "GetBucketVersioning"),
    look("s3", "GetPublicAccessBlock").renamed(&["GetBucketPublicAccessBlock"]),
    look("s3", "ListMultipartUploads").renamed(&["ListBucketMultipartUploads"]),
    look("s3", "ListObjectVersions").renamed(&["ListBucketVersions"]),
    untagged("s3", "AbortMultipartUpload"),
    untagged("s3", "CreateBucket").renamed(&["CreateBucket", "TagResource"]),
    untagged("s3", "DeleteBucket"),
    untagged("s3", "DeleteBucketCors").renamed(&["PutBucketCORS"]),
    untagged("s3", "DeleteBucketIntelligentTieringConfiguration")
        .renamed(&["PutIntelligentTieringConfiguration"]),
    untagged("s3", "DeleteBucketLifecycle").renamed(&["PutLifecycleConfiguration"]),
    untagged("s3", "DeleteObjects").renamed(&["DeleteObject", "DeleteObjectVersion"]),
    untagged("s3", "DeletePublicAccessBlock").renamed(&["PutBucketPublicAccessBlock"]),
    untagged("s3", "PutBucketCors").renamed(&["PutBucketCORS"]),
    untagged("s3", "PutBucketEncryption").renamed(&["PutEncryptionConfiguration"]),
    untagged("s3", "PutBucketIntelligentTieringConfiguration")
        .renamed(&["PutIntelligentTieringConfiguration"]),
    untagged("s3", "PutBucketLifecycleConfiguration").renamed(&["PutLifecycleConfiguration"]),
    untagged("s3", "PutBucketOwnershipControls"),
    untagged("s3", "PutBucketPolicy"),
    untagged("s3", "PutBucketTagging"),
    untagged("s3", "PutBucketVersioning"),
    untagged("s3", "PutPublicAccessBlock").renamed(&["PutBucketPublicAccessBlock"]),
];

const SNS_TOPIC: &[Call] = &[
    look("sns", "GetTopicAttributes"),
    look("sns", "ListTagsForResource"),
    make("sns", "CreateTopic"),
    make("sns", "TagResource"),
    change("sns", "DeleteTopic"),
    change("sns", "SetTopicAttributes"),
];

// Subscriptions have no tags, and IAM knows no resource for the calls that change one.
const SNS_SUBSCRIPTION: &[Call] = &[
    look("sns", "GetSubscriptionAttributes"),
    look("sns", "ListSubscriptionsByTopic"),
    change("sns", "Subscribe"),
    untagged("sns", "SetSubscriptionAttributes"),
    untagged("sns", "Unsubscribe"),
];

const SQS_QUEUE: &[Call] = &[
    look("sqs", "GetQueueAttributes"),
    look("sqs", "GetQueueUrl"),
    look("sqs", "ListQueueTags"),
    make("sqs", "CreateQueue"),
    make("sqs", "TagQueue"),
    change("sqs", "DeleteQueue"),
    change("sqs", "SetQueueAttributes"),
];

/// Services whose calls make them use the Platform's key on the operator's behalf.
const USING_KEYS: [&str; 4] = ["dynamodb", "elasticache", "rds", "secretsmanager"];

/// What other services look at as the caller: Application Auto Scaling at the alarms of its policies.
const LOOKED_AT_FOR_US: [&str; 1] = ["cloudwatch:DescribeAlarms"];

/// Services that have to be allowed a role of their own in the account, the first time they are used.
const SERVICE_LINKED: [&str; 4] = [
    "dynamodb.application-autoscaling",
    "eks-nodegroup",
    "elasticache",
    "rds",
];

/// Services that roles of ours are given to: EKS for nodes, Pod Identity for pods.
const PASSED_TO: [&str; 3] = [
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
];

/// The operator's IAM policies by name: `look`, which reads, and `change`. Two, because one would be longer than IAM lets a managed
/// policy be.
///
/// Its own cluster is told by the tag `eks-cluster-name` of its session: EKS Pod Identity gives it to every session, and for
/// IRSA it has to be on the role.
#[must_use]
pub fn policies() -> [(&'static str, Value); 2] {
    let own = "${aws:PrincipalTag/eks-cluster-name}";
    let everything = json!("*");
    // IAM knows no resource for some of these calls, and then no account of it either.
    let account =
        json!({"StringEqualsIfExists": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}});
    let statements = [
        statement(
            "Look",
            actions(Reach::Look)
                .into_iter()
                .chain(LOOKED_AT_FOR_US.map(str::to_owned))
                .collect(),
            &everything,
            None,
        ),
        statement(
            "MakeWithTheTagOfThisCluster",
            actions(Reach::Make),
            &everything,
            Some(json!({"StringEquals": {format!("aws:RequestTag/{CLUSTER_TAG}"): own}})),
        ),
        statement(
            "ChangeWhatHasTheTagOfThisCluster",
            actions(Reach::Change)
                .into_iter()
                .filter(|action| action != "iam:AttachRolePolicy")
                .collect(),
            &everything,
            Some(json!({"StringEquals": {format!("aws:ResourceTag/{CLUSTER_TAG}"): own}})),
        ),
        // A role of ours must not be given more than nodes need by a policy that somebody else wrote.
        statement(
            "AttachNodePolicies",
            vec!["iam:AttachRolePolicy".to_owned()],
            &everything,
            Some(json!({
                "StringEquals": {format!("aws:ResourceTag/{CLUSTER_TAG}"): own},
                "ArnLike": {"iam:PolicyARN": NODE_POLICIES.map(|name| format!("arn:*:iam::aws:policy/{name}"))},
            })),
        ),
        statement(
            "WhatAwsCannotTellByTags",
            actions(Reach::Untagged),
            &everything,
            Some(account.clone()),
        ),
        // Named in the same requests as resources of ours: AWS's default groups, a user group that makes room for
        // ours, and the last snapshot that is not made yet.
        statement(
            "NamedBesideOurs",
            [
                "elasticache:DeleteReplicationGroup",
                "elasticache:ModifyReplicationGroup",
                "rds:DeleteDBInstance",
                "rds:ModifyDBInstance",
            ]
            .map(str::to_owned)
            .to_vec(),
            &json!([
                "arn:*:elasticache:*:*:parametergroup:default*",
                "arn:*:elasticache:*:*:snapshot:*",
                "arn:*:elasticache:*:*:usergroup:*",
                "arn:*:rds:*:*:og:default*",
                "arn:*:rds:*:*:pg:default*",
                "arn:*:rds:*:*:snapshot:*",
            ]),
            None,
        ),
        statement(
            "PassRoles",
            vec!["iam:PassRole".to_owned()],
            &everything,
            Some(json!({"StringEquals": {"iam:PassedToService": PASSED_TO}})),
        ),
        statement(
            "ServiceLinkedRoles",
            vec!["iam:CreateServiceLinkedRole".to_owned()],
            &json!("arn:*:iam::*:role/aws-service-role/*"),
            Some(
                json!({"StringEquals": {"iam:AWSServiceName": SERVICE_LINKED.map(|service| format!("{service}.amazonaws.com"))}}),
            ),
        ),
        // Application Auto Scaling makes the alarms of its policies with a role of its own, and refuses whoever could not make them
        // in its place.
        statement(
            "AlarmsThroughAutoscaling",
            ["DeleteAlarms", "PutMetricAlarm"]
                .map(|action| format!("cloudwatch:{action}"))
                .to_vec(),
            &json!("arn:*:cloudwatch:*:*:alarm:TargetTracking*"),
            Some(
                json!({"StringEquals": {"aws:CalledViaLast": "application-autoscaling.amazonaws.com"}}),
            ),
        ),
        // RDS makes, rotates and tags the secret of a master password as the caller; the operator reads it for bindings.
        statement(
            "MasterPasswords",
            [
                "CreateSecret",
                "GetSecretValue",
                "RotateSecret",
                "TagResource",
            ]
            .map(|action| format!("secretsmanager:{action}"))
            .to_vec(),
            &json!("arn:*:secretsmanager:*:*:secret:rds!*"),
            Some(account),
        ),
        statement(
            "KeysThroughServices",
            [
                "CreateGrant",
                "Decrypt",
                "Encrypt",
                "GenerateDataKey*",
                "ReEncrypt*",
            ]
            .map(|action| format!("kms:{action}"))
            .to_vec(),
            &everything,
            Some(
                json!({"StringLike": {"kms:ViaService": USING_KEYS.map(|service| format!("{service}.*.amazonaws.com*"))}}),
            ),
        ),
    ];
    let (look, change): (Vec<Value>, Vec<Value>) = statements
        .into_iter()
        .partition(|statement| statement["Sid"] == "Look");
    let document = |statements| json!({"Version": "2012-10-17", "Statement": statements});
    [("look", document(look)), ("change", document(change))]
}

/// Every action of one reach, once each.
fn actions(reach: Reach) -> Vec<String> {
    let kinds = AwsKind::ALL.iter().flat_map(|kind| calls(*kind));
    let mut actions: Vec<String> = LOOKUPS
        .iter()
        .chain(kinds)
        .filter(|call| call.reach == reach)
        .flat_map(Call::actions)
        .collect();
    actions.sort();
    actions.dedup();
    actions
}

fn statement(id: &str, actions: Vec<String>, resource: &Value, condition: Option<Value>) -> Value {
    let mut statement =
        json!({"Sid": id, "Effect": "Allow", "Action": actions, "Resource": resource});
    if let (Some(condition), Some(fields)) = (condition, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), condition);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IAM counts the characters of a managed policy without white space, and refuses more.
    const LONGEST_POLICY: usize = 6144;

    #[test]
    fn each_policy_fits_into_a_managed_policy() {
        for (name, policy) in policies() {
            let length = policy
                .to_string()
                .chars()
                .filter(|character| !character.is_whitespace())
                .count();
            assert!(length <= LONGEST_POLICY, "{name}: {length}");
        }
    }

    #[test]
    fn nothing_is_changed_by_the_policy_that_looks() {
        let [(name, look), _] = policies();
        assert_eq!(name, "look");
        let actions = look["Statement"][0]["Action"].as_array().unwrap();
        assert!(actions.len() > 30);
        for action in actions {
            let (_, operation) = action.as_str().unwrap().split_once(':').unwrap();
            let looks = ["Describe", "Get", "List"];
            assert!(
                looks.iter().any(|verb| operation.starts_with(verb)),
                "{action}"
            );
        }
    }

    #[test]
    fn nothing_is_deleted_without_the_tag_but_what_has_none() {
        let deletes = |reach| {
            actions(reach)
                .into_iter()
                .filter(|action| action.contains(":Delete"))
                .collect::<Vec<_>>()
        };
        assert!(deletes(Reach::Make).is_empty() && deletes(Reach::Look).is_empty());
        assert_eq!(
            deletes(Reach::Untagged),
            [
                "kms:DeleteAlias",
                "s3:DeleteBucket",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion"
            ]
        );
    }

    #[test]
    fn every_kind_is_looked_at_made_and_deleted() {
        for kind in AwsKind::ALL {
            let reaches = |reach| calls(*kind).iter().any(|call| call.reach == reach);
            assert!(reaches(Reach::Look), "{kind:?}");
            assert!(calls(*kind).len() >= 5, "{kind:?}");
        }
    }
}
