//! The calls for each kind, and where each may reach.

use super::{Call, Reach};
use crate::aws::AwsKind;

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

/// What is called for a Platform, before there is any resource of a kind, and for resources of all kinds together.
pub const LOOKUPS: &[Call] = &[
    look("eks", "DescribeCluster"),
    look("eks", "DescribeAddon"),
    look("ec2", "DescribeVpcs"),
    look("ec2", "DescribeSubnets"),
    look("iam", "GetOpenIDConnectProvider"),
    look("servicequotas", "GetServiceQuota"),
    look("cloudtrail", "LookupEvents"),
    look("tag", "GetResources"),
];

/// What is called for resources of a kind.
#[must_use]
pub const fn calls(kind: AwsKind) -> &'static [Call] {
    match kind {
        AwsKind::KmsKey => KMS_KEY,
        AwsKind::IamRole => IAM_ROLE,
        AwsKind::NodeGroup => NODE_GROUP,
        AwsKind::FargateProfile => FARGATE_PROFILE,
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
    look("iam", "GetAccountAuthorizationDetails"),
    look("iam", "GetRole"),
    look("iam", "GetRolePolicy"),
    look("iam", "ListAttachedRolePolicies"),
    look("iam", "ListRolePolicies"),
    look("iam", "ListRoles"),
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
    look("eks", "DescribeUpdate"),
    look("eks", "ListNodegroups"),
    make("eks", "CreateNodegroup"),
    make("eks", "TagResource"),
    change("eks", "DeleteNodegroup"),
    change("eks", "UpdateNodegroupConfig"),
    change("eks", "UpdateNodegroupVersion"),
];

const FARGATE_PROFILE: &[Call] = &[
    look("eks", "DescribeFargateProfile"),
    look("eks", "ListFargateProfiles"),
    make("eks", "CreateFargateProfile"),
    make("eks", "TagResource"),
    change("eks", "DeleteFargateProfile"),
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
    look("dynamodb", "GetResourcePolicy"),
    look("dynamodb", "ListBackups"),
    look("dynamodb", "ListTagsOfResource"),
    make("dynamodb", "CreateTable"),
    make("dynamodb", "TagResource"),
    change("dynamodb", "CreateBackup"),
    change("dynamodb", "DeleteResourcePolicy"),
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
    look("elasticache", "DescribeCacheSubnetGroups"),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateCacheSubnetGroup"),
    change("elasticache", "DeleteCacheSubnetGroup"),
    change("elasticache", "ModifyCacheSubnetGroup"),
];

const CACHE_PARAMETER_GROUP: &[Call] = &[
    look("elasticache", "DescribeCacheParameterGroups"),
    look("elasticache", "DescribeCacheParameters"),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateCacheParameterGroup"),
    change("elasticache", "DeleteCacheParameterGroup"),
    change("elasticache", "ModifyCacheParameterGroup"),
    change("elasticache", "ResetCacheParameterGroup"),
];

const CACHE_REPLICATION_GROUP: &[Call] = &[
    look("elasticache", "DescribeCacheClusters"),
    look("elasticache", "DescribeReplicationGroups"),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateReplicationGroup"),
    change("elasticache", "DecreaseReplicaCount"),
    change("elasticache", "DeleteReplicationGroup"),
    change("elasticache", "IncreaseReplicaCount"),
    change("elasticache", "ModifyReplicationGroup"),
];

const CACHE_USER_GROUP: &[Call] = &[
    look("elasticache", "DescribeUserGroups"),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateUserGroup"),
    change("elasticache", "DeleteUserGroup"),
    change("elasticache", "ModifyUserGroup"),
];

const CACHE_USER: &[Call] = &[
    look("elasticache", "DescribeUsers"),
    look("elasticache", "ListTagsForResource"),
    make("elasticache", "AddTagsToResource"),
    make("elasticache", "CreateUser"),
    change("elasticache", "DeleteUser"),
    change("elasticache", "ModifyUser"),
];

// What is in them is only read where they are ours.
const SECRETS_MANAGER_SECRET: &[Call] = &[
    look("secretsmanager", "DescribeSecret"),
    look("secretsmanager", "GetResourcePolicy"),
    make("secretsmanager", "CreateSecret"),
    make("secretsmanager", "TagResource"),
    change("secretsmanager", "DeleteResourcePolicy"),
    change("secretsmanager", "DeleteSecret"),
    change("secretsmanager", "GetSecretValue"),
    change("secretsmanager", "UpdateSecret"),
];

const RDS_SUBNET_GROUP: &[Call] = &[
    look("rds", "DescribeDBSubnetGroups"),
    look("rds", "ListTagsForResource"),
    make("rds", "AddTagsToResource"),
    make("rds", "CreateDBSubnetGroup"),
    change("rds", "DeleteDBSubnetGroup"),
    change("rds", "ModifyDBSubnetGroup"),
];

const RDS_PARAMETER_GROUP: &[Call] = &[
    look("rds", "DescribeDBParameterGroups"),
    look("rds", "DescribeDBParameters"),
    look("rds", "ListTagsForResource"),
    make("rds", "AddTagsToResource"),
    make("rds", "CreateDBParameterGroup"),
    change("rds", "DeleteDBParameterGroup"),
    change("rds", "ModifyDBParameterGroup"),
    change("rds", "ResetDBParameterGroup"),
];

const RDS_INSTANCE: &[Call] = &[
    look("rds", "DescribeDBInstances"),
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
