//! What somebody changes behind Shopkeeper's back is set back, or only told of, as the policy says.
//!
//! Proves for AWS and for the cluster that a change made outside is repaired at the next look, field by field; and that under
//! `drift: Report` it is told of in the condition Ready with the reason Drifted, and nothing is written. What held data and is gone
//! is not made anew before a person has approved that, and under `Report` not at all.

mod catalog;
mod lost;
mod objects;
mod orders;
mod reported;

use anyhow::{Context as _, Result, ensure};
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, includes, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "drift";

/// A change behind Shopkeeper's back.
struct Drift<'a> {
    what: &'static str,
    made: LocalBoxFuture<'a, Result<()>>,
    view: View,
}

#[tokio::test]
async fn drift_is_repaired() -> Result<()> {
    let shop = Shop::open("drift").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        (
            "drift of a catalog is repaired",
            catalog::of_a_catalog(&shop).boxed_local(),
        ),
        (
            "drift of orders is repaired",
            orders::of_orders(&shop).boxed_local(),
        ),
        (
            "drift of objects of the cluster is repaired",
            objects::of_objects(&shop).boxed_local(),
        ),
        (
            "drift is only told",
            reported::only_told(&shop).boxed_local(),
        ),
        ("a lost table", lost::asked_for(&shop).boxed_local()),
        (
            "a lost table under Report",
            lost::only_told(&shop).boxed_local(),
        ),
        (
            "drift of the platform is repaired",
            of_the_platform(&shop).boxed_local(),
        ),
    ])
    .await?;
    shop.close().await
}

/// A policy that lets another account in.
fn for_others(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Others", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": action,
        "Resource": resource,
    }]})
}

/// Makes each drift, has Shopkeeper look, and waits until everything is as it was before.
async fn repaired(shop: &Shop, subject: &Subject, drifts: Vec<Drift<'_>>) -> Result<()> {
    for (index, Drift { what, made, view }) in drifts.into_iter().enumerate() {
        let before = shop.look(&view).await?;
        made.await
            .with_context(|| format!("making the drift of {what}"))?;
        if !matches!(view, View::Object(_)) {
            let drifted = shop.look(&view).await;
            ensure!(
                drifted.is_err() || drifted? != before,
                "the drift of {what} cannot be seen"
            );
            // Changes in the cluster are seen by watches; for AWS somebody has to look.
            shop.request_pass(subject, &format!("2026-11-24T10:00:{index:02}Z"))
                .await?;
        }
        shop.until(
            &format!("the drift of {what} is repaired"),
            PATIENCE,
            async || {
                let now = shop.look(&view).await?;
                match view {
                    // The rest of an object tells of its history.
                    View::Object(_) => includes(
                        what,
                        &now,
                        &json!({"spec": before["spec"], "data": before["data"]}),
                    ),
                    _ => includes(what, &now, &before).and_then(|()| includes(what, &before, &now)),
                }
            },
        )
        .await?;
        shop.until_ready(subject).await?;
    }
    Ok(())
}

async fn of_the_platform(shop: &Shop) -> Result<()> {
    let subject = Subject::new("Platform", "", "octank");
    shop.until_ready(&subject).await?;
    let alias = "alias/shopkeeper-octank";
    let key = shop.aws.key(alias).await?["arn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let kms = &shop.aws.kms;
    let drifts = vec![
        Drift {
            what: "the key's rotation",
            made: async {
                let call = kms.disable_key_rotation().key_id(&key);
                call.send().await.map(drop).map_err(Into::into)
            }
            .boxed_local(),
            view: View::Key(alias.to_owned()),
        },
        Drift {
            what: "who may use the key: CloudFront no longer",
            made: async {
                let policy = shop.aws.key(alias).await?["policy"].to_string();
                let closed = policy.replace("distribution/*", "distribution/NONE");
                let call = kms.put_key_policy().key_id(&key).policy(closed);
                call.send().await.map(drop).map_err(Into::into)
            }
            .boxed_local(),
            view: View::Key(alias.to_owned()),
        },
    ];
    repaired(shop, &subject, drifts).await
}
