//! Which resource an ARN names.

use shopkeeper_plan::{
    aws::{AwsKind, Tags},
    resource::ResourceKey,
};

use crate::{account::Scope, kms::ALIAS_TAG};

/// The key of the resource of an account, region and cluster that has this ARN and these tags. `None` for what is elsewhere, for what we
/// make none of (a snapshot, a node of a cache), and for what its ARN does not name: an association.
pub(crate) fn key_of(arn: &str, tags: &Tags, scope: &Scope) -> Option<ResourceKey> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, region, account, resource] = parts[..] else {
        return None;
    };
    // The ARN of a bucket has neither.
    if service != "s3" && (region != scope.region || account != scope.account_id) {
        return None;
    }
    let (kind, name) = match service {
        "kms" => (AwsKind::KmsKey, tags.get(ALIAS_TAG)?.as_str()),
        "s3" => (AwsKind::S3Bucket, resource),
        "sns" => (AwsKind::SnsTopic, resource),
        "sqs" => (AwsKind::SqsQueue, resource),
        "dynamodb" => (AwsKind::DynamoDbTable, resource.strip_prefix("table/")?),
        "secretsmanager" => {
            // Secrets Manager appends a hyphen and six characters. RDS makes secrets of its own for its instances.
            let name = resource.strip_prefix("secret:")?;
            let (name, appended) = name.rsplit_once('-')?;
            if appended.len() != 6 || name.starts_with("rds!") {
                return None;
            }
            (AwsKind::SecretsManagerSecret, name)
        }
        "rds" | "elasticache" => {
            let (kind, name) = resource.split_once(':')?;
            let kind = match (service, kind) {
                ("rds", "db") => AwsKind::RdsInstance,
                ("rds", "subgrp") => AwsKind::RdsSubnetGroup,
                ("rds", "pg") => AwsKind::RdsParameterGroup,
                ("elasticache", "replicationgroup") => AwsKind::CacheReplicationGroup,
                ("elasticache", "subnetgroup") => AwsKind::CacheSubnetGroup,
                ("elasticache", "parametergroup") => AwsKind::CacheParameterGroup,
                ("elasticache", "user") => AwsKind::CacheUser,
                ("elasticache", "usergroup") => AwsKind::CacheUserGroup,
                _ => return None,
            };
            (kind, name)
        }
        "eks" => {
            let mut parts = resource.split('/');
            let kind = match parts.next()? {
                "nodegroup" => AwsKind::NodeGroup,
                "fargateprofile" => AwsKind::FargateProfile,
                _ => return None,
            };
            if parts.next()? != scope.cluster {
                return None;
            }
            (kind, parts.next()?)
        }
        _ => return None,
    };
    // A subscription, a backup or stream of a table, an object of a bucket.
    let is_part_of_another = match kind {
        AwsKind::SnsTopic | AwsKind::SqsQueue => name.contains(':'),
        AwsKind::DynamoDbTable | AwsKind::S3Bucket => name.contains('/'),
        _ => false,
    };
    (!is_part_of_another && !name.is_empty()).then(|| ResourceKey::aws(kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(arn: &str) -> Option<String> {
        let scope = Scope {
            account_id: "123456789012".into(),
            region: "eu-west-1".into(),
            cluster: "octank-prod".into(),
            owner_tags: Tags::new(),
        };
        let tags = Tags::from([(ALIAS_TAG.to_owned(), "alias/shopkeeper-octank".to_owned())]);
        key_of(arn, &tags, &scope).map(|key| format!("{}/{}", key.kind.id(), key.name))
    }

    #[test]
    fn a_resource_that_we_make_is_named_by_its_arn() {
        for (arn, key) in [
            (
                "kms:eu-west-1:123456789012:key/1234",
                "KmsKey/alias/shopkeeper-octank",
            ),
            (
                "dynamodb:eu-west-1:123456789012:table/carts",
                "DynamoDbTable/carts",
            ),
            (
                "elasticache:eu-west-1:123456789012:replicationgroup:carts",
                "CacheReplicationGroup/carts",
            ),
            (
                "elasticache:eu-west-1:123456789012:usergroup:carts",
                "CacheUserGroup/carts",
            ),
            ("rds:eu-west-1:123456789012:db:orders", "RdsInstance/orders"),
            (
                "rds:eu-west-1:123456789012:subgrp:orders",
                "RdsSubnetGroup/orders",
            ),
            ("s3:::media", "S3Bucket/media"),
            ("sns:eu-west-1:123456789012:buy", "SnsTopic/buy"),
            (
                "sqs:eu-west-1:123456789012:fulfilment",
                "SqsQueue/fulfilment",
            ),
            (
                "secretsmanager:eu-west-1:123456789012:secret:carts/app-Ab12Cd",
                "SecretsManagerSecret/carts/app",
            ),
            (
                "eks:eu-west-1:123456789012:nodegroup/octank-prod/carts-123456/uuid",
                "NodeGroup/carts-123456",
            ),
            (
                "eks:eu-west-1:123456789012:fargateprofile/octank-prod/carts-123456/uuid",
                "FargateProfile/carts-123456",
            ),
        ] {
            assert_eq!(
                named(&format!("arn:aws:{arn}")).as_deref(),
                Some(key),
                "{arn}"
            );
        }
    }

    #[test]
    fn what_is_elsewhere_or_no_resource_of_ours_is_not() {
        for arn in [
            "arn:aws:dynamodb:us-east-1:123456789012:table/carts",
            "arn:aws:dynamodb:eu-west-1:999999999999:table/carts",
            "arn:aws:dynamodb:eu-west-1:123456789012:table/carts/backup/01",
            "arn:aws:rds:eu-west-1:123456789012:snapshot:orders-final",
            "arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-1",
            "arn:aws:elasticache:eu-west-1:123456789012:cluster:carts-001",
            "arn:aws:elasticache:eu-west-1:123456789012:snapshot:carts-final",
            "arn:aws:sns:eu-west-1:123456789012:buy:1234",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1234-Ab12Cd",
            "arn:aws:eks:eu-west-1:123456789012:nodegroup/another/carts-123456/uuid",
            "arn:aws:eks:eu-west-1:123456789012:podidentityassociation/octank-prod/a-1",
            "arn:aws:ec2:eu-west-1:123456789012:instance/i-1",
            "no arn",
        ] {
            assert_eq!(named(arn), None, "{arn}");
        }
    }
}
