//! AWS's words, and the fields that they lead to.

use super::*;
use crate::plan::Action;

fn told(kind: AwsKind, role: &str, code: &str, said: &str) -> String {
    let key = ResourceKey::aws(kind, "octank-shop-orders");
    let step = Step {
        key,
        action: Action::Create,
        changes: Vec::new(),
        effect: crate::plan::Effect::None,
        reversible: true,
        minutes: 0,
        blocked_by: Vec::new(),
        operation: Operation::AwsAdopt {
            desired: Box::new(
                crate::aws::SnsTopic {
                    arn: String::new(),
                    name: String::new(),
                    display_name: String::new(),
                    fifo: false,
                    content_based_deduplication: false,
                    kms_key_arn: None,
                    policy: None,
                    tags: crate::aws::Tags::new(),
                }
                .into(),
            ),
        },
        is_repair: false,
    };
    let class = if code.starts_with("Insufficient") {
        Class::NotReady
    } else {
        Class::Invalid
    };
    let mut failure = Failure::new(class, format!("Create: {said}")).with_code(code);
    if is_quota(code) {
        failure = failure.with_remedy("raise the quota");
    }
    if class == Class::NotReady {
        failure = failure.with_remedy("wait for capacity");
    }
    with_remedy(&step, role, &failure).map_or_else(String::new, |failure| failure.remedy)
}

/// What AWS says of each, word for word, and the field that it is about.
#[test]
fn what_aws_says_leads_to_the_field() {
    use AwsKind::{
        CacheParameterGroup, CacheReplicationGroup, CacheSubnetGroup, DynamoDbTable,
        FargateProfile, IamRole, NodeGroup, PodIdentityAssociation, RdsInstance, RdsParameterGroup,
        S3Bucket, SnsSubscription, SnsTopic, SqsQueue,
    };
    for (kind, role, code, said, field) in [
        (
            RdsInstance,
            "database",
            "InvalidParameterValue",
            "Invalid DB Instance class: db.z9z.colossal",
            "spec.database.rds.instanceClass",
        ),
        (
            RdsInstance,
            "database",
            "InvalidParameterCombination",
            "RDS does not support creating a DB instance with the following combination: DBInstanceClass=db.m4.large, Engine=postgres, \
             EngineVersion=13.3, LicenseModel=postgresql-license. For supported combinations of instance class and database engine \
             version, see the documentation.",
            "spec.database.rds.instanceClass",
        ),
        (
            PodIdentityAssociation,
            "identity.association",
            "InvalidParameterException",
            "Role provided in the request does not exist.",
            "spec.identity.existing.roleArn",
        ),
        (
            RdsInstance,
            "database",
            "InvalidParameterCombination",
            "Cannot find version 9.6 for postgres",
            "spec.database.rds.version",
        ),
        (
            RdsInstance,
            "database",
            "InvalidParameterCombination",
            "Cannot upgrade postgres from 17.2 to 16.1",
            "spec.database.rds.version",
        ),
        (
            RdsInstance,
            "database",
            "InsufficientDBInstanceCapacity",
            "none left",
            "spec.database.rds.instanceClass",
        ),
        (
            RdsInstance,
            "database",
            "KMSKeyNotAccessibleFault",
            "The specified KMS key is not enabled",
            "spec.encryption of the Platform",
        ),
        (
            RdsInstance,
            "database",
            "Odd",
            "something new",
            "spec.database.rds by",
        ),
        (
            RdsParameterGroup,
            "database.parameters",
            "InvalidParameterValue",
            "ParameterGroupFamily postgres99 is not a valid parameter group family.",
            "spec.database.rds.version",
        ),
        (
            RdsParameterGroup,
            "database.parameters",
            "InvalidParameterValue",
            "Could not find parameter with name: max_conections",
            "spec.database.rds.parameters",
        ),
        (
            CacheSubnetGroup,
            "cache.subnets",
            "InvalidParameterValue",
            "Some input subnets do not exist",
            "spec.network.existing.privateSubnets of the Platform",
        ),
        (
            CacheParameterGroup,
            "cache.parameters",
            "InvalidParameterValue",
            "CacheParameterGroupFamily valkey99 is not a valid parameter group family.",
            "spec.cache.version",
        ),
        (
            CacheReplicationGroup,
            "cache",
            "InvalidParameterValue",
            "Invalid Cache Node Type: cache.z9.huge.",
            "spec.cache.nodeType",
        ),
        (
            CacheReplicationGroup,
            "cache",
            "InvalidParameterValue",
            "Cannot find version 99.1 for valkey",
            "spec.cache.version",
        ),
        (
            DynamoDbTable,
            "products",
            "ValidationException",
            "One or more parameter values were invalid: Unknown AttributeDefinitions",
            "spec.products.keys",
        ),
        (
            DynamoDbTable,
            "tables.stock",
            "ValidationException",
            "TimeToLive is already enabled",
            "spec.tables[stock].table.timeToLive",
        ),
        (
            AwsKind::ScalableTarget,
            "tables.stock.indexes.by-sku.autoscale.read",
            "ValidationException",
            "too few",
            "spec.tables[stock].table.indexes[by-sku].provisioned.autoscale.read by",
        ),
        (
            S3Bucket,
            "media",
            "BucketAlreadyExists",
            "The requested bucket name is not available.",
            "spec.media.bucketName",
        ),
        (
            SnsTopic,
            "topics.buy",
            "InvalidParameter",
            "Invalid parameter: Topic Name",
            "spec.notifications.topics[buy] by",
        ),
        (
            SnsSubscription,
            "topics.buy.subscribers.1",
            "InvalidParameter",
            "Invalid parameter: Invalid SMS endpoint: 12",
            "spec.notifications.topics[buy].subscribers[1].sms",
        ),
        (
            SqsQueue,
            "queues.work.dead",
            "InvalidAttributeValue",
            "Invalid value",
            "spec.notifications.queues[work] by",
        ),
        (
            NodeGroup,
            "frontends.web.nodes",
            "InvalidParameterException",
            "The following supplied instance types do not exist: [m4.large]",
            "spec.frontends[web].nodes.nodeGroup.instanceTypes",
        ),
        (
            NodeGroup,
            "nodes",
            "InvalidParameterException",
            "Requested release version 1.99.0-20260101 is not valid for kubernetes version 1.36",
            "spec.nodes.nodeGroup.releaseVersion",
        ),
        (
            FargateProfile,
            "nodes",
            "InvalidParameterException",
            "Subnet subnet-1 provided in Fargate Profile is not a private subnet",
            "spec.nodes.fargate.subnets",
        ),
        (
            IamRole,
            "identity.role",
            "MalformedPolicyDocument",
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            "spec.identity.statements",
        ),
        (
            IamRole,
            "identity.role",
            "LimitExceeded",
            "Maximum policy size of 10240 bytes exceeded for role octank-shop-orders",
            "spec.identity.statements: write fewer",
        ),
        (
            IamRole,
            "nodes.role",
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            "spec.nodes by",
        ),
        // What cannot be changed is written anew.
        (
            RdsInstance,
            "database",
            "InvalidParameterValue",
            "MasterUsername admin cannot be used as it is a reserved word used by the engine",
            "take spec.database and its binding out, apply, and write them again",
        ),
        (
            RdsInstance,
            "database",
            "InvalidParameterValue",
            "DBName order cannot be used as it is a reserved word used by the engine",
            "take spec.database and its binding out, apply, and write them again",
        ),
        (
            S3Bucket,
            "media",
            "BucketAlreadyExists",
            "The requested bucket name is not available.",
            "take spec.media and its binding out, apply, and write them again",
        ),
        (
            SnsSubscription,
            "topics.buy.subscribers.0",
            "InvalidParameter",
            "Invalid parameter: FilterPolicy: Filter policy is too complex",
            "their numbers, multiplied, are at most 150",
        ),
    ] {
        let remedy = told(kind, role, code, said);
        assert!(remedy.contains(field), "{said}: {remedy}");
    }
}

#[test]
fn words_are_in_small_letters_and_no_row_is_hidden_by_one_before() {
    for (at, Row(part, words, ..)) in ROWS.iter().enumerate() {
        for word in *words {
            assert_eq!(*word, word.to_lowercase());
            let first = ROWS.iter().position(|Row(other, words, ..)| {
                other == part && words.iter().any(|other| word.contains(other))
            });
            assert_eq!(first, Some(at), "{part:?} {word}");
        }
    }
}

#[test]
fn a_quota_of_the_account_is_no_mistake_of_the_specification() {
    for (kind, role, code) in [
        (AwsKind::RdsInstance, "database", "InstanceQuotaExceeded"),
        (
            AwsKind::RdsParameterGroup,
            "database.parameters",
            "DBParameterGroupQuotaExceeded",
        ),
        (
            AwsKind::CacheSubnetGroup,
            "cache.subnets",
            "CacheSubnetGroupQuotaExceeded",
        ),
    ] {
        assert_eq!(told(kind, role, code, "you have too many"), "", "{code}");
    }
}
