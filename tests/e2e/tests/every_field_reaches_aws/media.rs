//! The bucket of a catalog, and its further tables.

use anyhow::Result;
use serde_json::json;
use shopkeeper_e2e::{Definition, Shop, Subject, View};

use super::{Approval, Edited, Fields, NAMESPACE, edit, workload};

const DISTRIBUTION: &str = "arn:aws:cloudfront::123456789012:distribution/E1FIELDSEXAMPL";

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("CatalogService", NAMESPACE, "media");
    let keys = json!({"partition": {"name": "id", "type": "String"}});
    let specification = json!({
        "workload": workload("catalog"),
        "nodes": {"type": "None"},
        // Not `{}`: what a server-side apply leaves of that, once it had members, is null.
        "media": {"versioning": "Enabled"},
        "tables": [{"name": "visits", "table": {"keys": keys}}],
    });
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    edited
        .refused(&[("/media/bucketName", json!("others"), "immutable")])
        .await?;
    let bucket = View::Bucket(shop.made(&edited.subject, "S3Bucket", "media").await?);
    let visits = View::Table("octank-fields-media-visits".to_owned());
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/media/archiveAfterInactiveDays",
                    json!(200),
                    &bucket,
                    json!({"tierings": [{"days": 200, "tier": "ARCHIVE_ACCESS"}, {}]}),
                ),
                edit(
                    "/media/deepArchiveAfterInactiveDays",
                    json!(400),
                    &bucket,
                    json!({"tierings": [{}, {"days": 400, "tier": "DEEP_ARCHIVE_ACCESS"}]}),
                ),
                edit(
                    "/media/noncurrentVersionDays",
                    json!(60),
                    &bucket,
                    json!({"noncurrentDays": 60}),
                ),
                edit(
                    "/media/cors",
                    json!([{
                        "allowedOrigins": ["https://www.octank.example"],
                        "allowedMethods": ["GET", "PUT"],
                        "allowedHeaders": ["x-trace"],
                        "maxAgeSeconds": 600,
                    }]),
                    &bucket,
                    json!({"cors": [{
                        "origins": ["https://www.octank.example"],
                        "methods": ["GET", "PUT"],
                        "headers": ["x-trace"],
                        "maxAge": 600,
                    }]}),
                ),
                edit(
                    "/media/cloudFrontDistributionArns",
                    json!([DISTRIBUTION]),
                    &bucket,
                    json!({"policy": {"Statement": [{"Sid": "TlsOnly"}, {
                        "Sid": "CloudFront",
                        "Condition": {"StringEquals": {"AWS:SourceArn": [DISTRIBUTION]}},
                    }]}}),
                ),
                edit(
                    "/tables/-",
                    json!({"name": "carts", "table": {"keys": keys}}),
                    &View::Table("octank-fields-media-carts".to_owned()),
                    json!({"status": "ACTIVE", "keys": ["id"]}),
                ),
                edit(
                    "/tables/0/table/deletionProtection",
                    json!("Disabled"),
                    &visits,
                    json!({"deletionProtection": false}),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/media/versioning",
                    json!("Disabled"),
                    &bucket,
                    json!({"versioning": "Suspended"}),
                ),
                edit(
                    "/tables/0/table/recoveryPeriodDays",
                    json!(7),
                    &visits,
                    json!({"recoveryDays": 7}),
                ),
            ],
        )
        .await?;
    edited.taken_back(Approval::Needed, &[]).await?;
    Ok(edited.done())
}
