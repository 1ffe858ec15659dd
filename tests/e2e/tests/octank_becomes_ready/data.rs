//! Keys, tables, caches, buckets, databases and messages.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, equals, includes};

use super::{catalog, orders, platform, platform_key, seeded, tags};

/// R20, R21, R22.
pub async fn the_key_is_right(shop: &Shop) -> Result<()> {
    let key = shop.aws.key("alias/shopkeeper-octank").await?;
    let expected = json!({"arn": platform_key(shop).await?, "state": "Enabled", "rotation": true, "rotationDays": 365, "tags": tags(shop, &platform()).await?});
    includes("the key", &key, &expected)?;
    // SNS sends into encrypted queues, and CloudFront reads encrypted objects.
    includes(
        "who may use the key",
        &key["policy"]["Statement"],
        &json!([
            {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
            {
                "Principal": {"Service": "sns.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            },
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"StringLike": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/*"}},
            },
        ]),
    )?;
    let platform = shop.get("Platform", "", "octank").await?;
    includes(
        "the platform's status",
        &platform["status"]["network"],
        &json!({"vpcId": seeded(shop, "vpc")?, "cidr": "10.0.0.0/16"}),
    )?;
    let expected = json!({"arn": seeded(shop, "cluster_arn")?, "version": seeded(shop, "cluster_version")?, "podIdentityAgent": "ACTIVE"});
    includes(
        "the platform's cluster",
        &platform["status"]["cluster"],
        &expected,
    )
}

/// R3, R4, R11, R12.
pub async fn the_catalog_has_its_data(shop: &Shop) -> Result<()> {
    let (key, tags) = (platform_key(shop).await?, tags(shop, &catalog()).await?);
    let table = shop.made(&catalog(), "DynamoDbTable", "products").await?;
    equals(
        "the table's name",
        table.as_str(),
        "octank-shop-catalog-products",
    )?;
    let expected = json!({
        "status": "ACTIVE",
        "keys": ["id"],
        "attributes": {"id": "S", "category": "S", "price": "N"},
        "indexes": {"by-category": {"status": "ACTIVE", "keys": ["category", "price"], "projection": "ALL"}},
        "billing": "PAY_PER_REQUEST",
        "class": "STANDARD",
        "encryption": "KMS",
        "key": key,
        "deletionProtection": true,
        "recovery": "ENABLED",
        "recoveryDays": 35,
        "tags": tags,
    });
    includes("the table", &shop.aws.table(&table).await?, &expected)?;

    let cache = shop
        .made(&catalog(), "CacheReplicationGroup", "cache")
        .await?;
    let expected = json!({
        "status": "available",
        "engine": "valkey",
        "nodeType": "cache.r7g.large",
        "members": 3,
        "multiAZ": "enabled",
        "failover": "enabled",
        "transitEncryption": true,
        "transitEncryptionMode": "required",
        "atRestEncryption": true,
        "key": key,
        "subnetGroup": cache,
        "snapshotRetention": 1,
        "userGroups": [cache],
        "tags": tags,
    });
    includes("the cache", &shop.aws.cache(&cache).await?, &expected)?;
    equals(
        "the subnets of the cache",
        json!(shop.aws.cache_subnets(&cache).await?),
        seeded(shop, "private_subnets")?,
    )?;

    let users = shop.aws.cache_users(&cache).await?;
    let expected = json!({
        "status": "active",
        "caches": [cache],
        "users": {
            "octank-shop-catalog-app": {
                "status": "active",
                "name": "octank-shop-catalog-app",
                "access": "on ~* &* +@all",
                "authentication": "password",
                "passwords": 1,
                "tags": tags,
            },
            // Whoever does not authenticate.
            "octank-shop-catalog-default": {
                "name": "default",
                "access": "off -@all",
                "authentication": "password",
                "tags": tags,
            },
        },
        "tags": tags,
    });
    includes("the users of the cache", &users, &expected)?;
    equals(
        "the users of the cache",
        users["users"].as_object().map(serde_json::Map::len),
        Some(2),
    )?;
    includes(
        "the secret of the cache",
        &shop.aws.cache_secret("octank-shop-catalog-app").await?,
        &json!({"key": key, "tags": tags}),
    )?;

    let bucket = shop.made(&catalog(), "S3Bucket", "media").await?;
    let view = shop.aws.bucket(&bucket).await?;
    let expected = json!({
        "versioning": "Enabled",
        "encryption": "aws:kms",
        "key": key,
        "publicAccessBlocked": true,
        "ownership": "BucketOwnerEnforced",
        // Archived by days without access, to which everything has to be in Intelligent-Tiering from its first day.
        "transitions": [{"days": 0, "class": "INTELLIGENT_TIERING"}],
        "tierings": [{"id": "shopkeeper-archive", "status": "Enabled", "days": 180, "tier": "ARCHIVE_ACCESS"}],
        "tags": tags,
    });
    includes("the bucket", &view, &expected)?;
    let objects = format!("arn:aws:s3:::{bucket}/*");
    let expected = json!({"Version": "2012-10-17", "Statement": [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [format!("arn:aws:s3:::{bucket}"), objects],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "CloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": objects,
            "Condition": {"StringEquals": {"AWS:SourceArn": ["arn:aws:cloudfront::123456789012:distribution/E2OCTANKEXAMPL"]}},
        },
    ]});
    equals("the bucket's policy", &view["policy"], &expected)
}

/// R13, R18.
pub async fn the_orders_have_their_data(shop: &Shop) -> Result<()> {
    let (key, tags) = (platform_key(shop).await?, tags(shop, &orders()).await?);
    let database = shop.made(&orders(), "RdsInstance", "database").await?;
    equals(
        "the database's name",
        database.as_str(),
        "octank-shop-orders",
    )?;
    let expected = json!({
        "status": "available",
        "engine": "postgres",
        "class": "db.r7g.large",
        "storage": 200,
        "storageType": "gp3",
        "encrypted": true,
        "key": key,
        "multiAZ": true,
        "public": false,
        "database": "orders",
        "username": "shopkeeper",
        "managedPassword": true,
        "passwordKey": key,
        "subnetGroup": "octank-shop-orders",
        "subnets": seeded(shop, "private_subnets")?,
        "parameterGroup": "octank-shop-orders-postgres17",
        "securityGroups": [seeded(shop, "cluster_security_group")?],
        "backupRetention": 14,
        "deletionProtection": true,
        "performanceInsights": true,
        "copyTagsToSnapshot": true,
        "port": 5432,
        "tags": tags,
    });
    let view = shop.aws.database(&database).await?;
    includes("the database", &view, &expected)?;
    ensure!(
        view["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("17.")),
        "the version is {}",
        view["version"]
    );

    let queue = shop
        .aws
        .queue(
            &shop
                .made(&orders(), "SqsQueue", "queues.fulfilment")
                .await?,
        )
        .await?;
    let dead = shop
        .aws
        .queue(
            &shop
                .made(&orders(), "SqsQueue", "queues.fulfilment.dead")
                .await?,
        )
        .await?;
    let topic_arn =
        |name: &str| format!("arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-{name}");
    let expected = json!({
        "key": key,
        "redrive": {"deadLetterTargetArn": dead["arn"], "maxReceiveCount": 5},
        "policy": {"Statement": [{
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue["arn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": [topic_arn("buy")]}},
        }]},
        "tags": tags,
    });
    includes("the queue", &queue, &expected)?;
    includes(
        "the dead letters",
        &dead,
        &json!({"key": key, "redrive": null, "retention": "1209600", "tags": tags}),
    )?;

    let buy = shop.aws.topic(&topic_arn("buy")).await?;
    includes("the topic buy", &buy, &json!({"key": key, "tags": tags}))?;
    let subscriptions = buy["subscriptions"]
        .as_object()
        .context("the topic has no subscriptions")?;
    equals("the subscriptions of buy", subscriptions.len(), 2)?;
    let to_queue = format!("sqs {}", queue["arn"].as_str().unwrap_or_default());
    let dead_letters = buy["subscriptions"][&to_queue]["deadLetters"].clone();
    equals(
        "the dead letters of the subscription",
        dead_letters,
        dead["arn"].clone(),
    )?;
    ensure!(
        subscriptions.contains_key("email sales@octank.example"),
        "nobody in sales hears of sales: {subscriptions:?}"
    );
    let sell = shop.aws.topic(&topic_arn("sell")).await?;
    includes(
        "the topic sell",
        &sell,
        &json!({"key": key, "subscriptions": {}}),
    )?;
    let ship = shop.aws.topic(&topic_arn("ship")).await?;
    ensure!(
        ship["subscriptions"]["sms +15550100"].is_object(),
        "no SMS when something ships: {ship}"
    );
    let dead = shop.made(&orders(), "SqsQueue", "topics.ship.dead").await?;
    let dead = shop.aws.queue(&dead).await?;
    let expected = json!({
        "key": key,
        "redrive": null,
        "retention": "1209600",
        "policy": {"Statement": [{
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": dead["arn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": [topic_arn("ship")]}},
        }]},
        "tags": tags,
    });
    includes("the dead letters of ship", &dead, &expected)?;
    equals(
        "where SNS puts what no telephone takes",
        &ship["subscriptions"]["sms +15550100"]["deadLetters"],
        &dead["arn"],
    )?;
    people_are_not_named(shop).await
}

/// The number and the address of those who are told stand in AWS and in the specification, and nowhere else.
async fn people_are_not_named(shop: &Shop) -> Result<()> {
    let orders = shop.get("OrderService", "shop", "orders").await?;
    let status = orders["status"].to_string();
    for shortened in ["|sms|+1•••00 #", "|email|s•••@octank.example #"] {
        ensure!(
            status.contains(shortened),
            "no subscription is {shortened}: {status}"
        );
    }
    let events = serde_json::to_string(&shop.list("Event", "shop", "").await?)?;
    let operator = shop.operator.as_ref().context("the operator runs")?;
    for (place, text) in [
        ("the status", status),
        ("an event", events),
        ("the log", operator.log()?),
    ] {
        for person in ["15550100", "sales@octank"] {
            ensure!(!text.contains(person), "{place} names {person}");
        }
    }
    Ok(())
}
