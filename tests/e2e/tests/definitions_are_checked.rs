//! An operator with definitions that are missing or older than it is says so, does nothing, and goes on by itself once they are right.

use anyhow::{Context as _, Result, ensure};
use shopkeeper_e2e::{
    OPERATOR_NAMESPACE, PATIENCE, Shop, Subject, equals, get, read_example, says,
};
use shopkeeper_localenv::LocalEnvironment;

/// What an older version of the definition would not have, as a JSON pointer.
const ADDED_SINCE: &str =
    "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/platform";
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");

#[tokio::test]
async fn definitions_are_checked() -> Result<()> {
    let mut shop = Shop::prepare("definitions").await?;
    let subject = Subject::new("Platform", "", "octank");
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    make_older(&shop).await?;
    shop.environment
        .kubectl(&["delete", "crd", "storefronts.shopkeeper.dev"])
        .await?;

    let port = shop.environment.reserve_port()?;
    let address = format!("127.0.0.1:{port}");
    let operator = shop.environment.start_operator_with(
        "operator",
        &[
            "run",
            "--metrics-address",
            &address,
            "--log-format",
            "text",
            "--namespace",
            OPERATOR_NAMESPACE,
        ],
        &[("NO_COLOR", "1")],
    )?;
    operator
        .wait_for_log("is older than this operator", PATIENCE)
        .await?;
    let pid = operator.pid();
    shop.operator = Some(operator);
    let remedy = "kubectl apply --server-side -f crds/";
    let told = log(&shop)?;
    says(
        &told,
        &[
            "ERROR",
            "orderservices.shopkeeper.dev is older than this operator: it lacks .status.platform",
            "storefronts.shopkeeper.dev is missing",
            remedy,
        ],
    )?;
    let (status, body) = get(&address, "/readyz").await?;
    equals("the status of /readyz", status, 503)?;
    ensure!(
        body.contains("it lacks .status.platform") && body.contains(remedy),
        "/readyz says {body}"
    );
    equals(
        "the status of /healthz",
        get(&address, "/healthz").await?.0,
        200,
    )?;
    for (kind, current) in [
        ("OrderService", 0),
        ("Storefront", 0),
        ("CatalogService", 1),
    ] {
        is_told(&shop, &address, kind, current).await?;
    }
    // It does not stand for election, and has touched nothing.
    equals(
        "what it wrote",
        shop.environment
            .audit()
            .writes_by(LocalEnvironment::OPERATOR_USER, 0)?
            .len(),
        0,
    )?;

    shop.environment
        .kubectl(&["apply", "--server-side", "-f", CRDS])
        .await?;
    shop.until_ready(&subject).await?;
    equals(
        "the status of /readyz",
        get(&address, "/readyz").await?.0,
        200,
    )?;
    for kind in ["Platform", "OrderService", "Storefront", "CatalogService"] {
        is_told(&shop, &address, kind, 1).await?;
    }

    // Taken back under a running operator: told as well, and mended as well.
    make_older(&shop).await?;
    is_told(&shop, &address, "OrderService", 0).await?;
    // Each is told by itself.
    shop.until("/readyz says so", PATIENCE, async || {
        let (status, _) = get(&address, "/readyz").await?;
        equals("the status of /readyz", status, 503)
    })
    .await?;
    shop.environment
        .kubectl(&["apply", "--server-side", "-f", CRDS])
        .await?;
    is_told(&shop, &address, "OrderService", 1).await?;
    let operator = shop
        .operator
        .as_ref()
        .context("the operator does not run")?;
    operator.ensure_running()?;
    equals("the operator's process", operator.pid(), pid)?;
    shop.close().await
}

fn log(shop: &Shop) -> Result<String> {
    shop.operator
        .as_ref()
        .context("the operator does not run")?
        .log()
}

/// Takes a member of the status out, as if it had come with a later version.
async fn make_older(shop: &Shop) -> Result<()> {
    let patch = format!(r#"[{{"op": "remove", "path": "{ADDED_SINCE}"}}]"#);
    let older = shop
        .environment
        .kubectl(&[
            "patch",
            "--local",
            "--filename",
            &format!("{CRDS}/orderservices.yaml"),
            "--type=json",
            "--patch",
            &patch,
            "--output=yaml",
        ])
        .await?;
    shop.apply(&older).await
}

async fn is_told(shop: &Shop, address: &str, kind: &str, current: u8) -> Result<()> {
    let line = format!("shopkeeper_definitions_current{{kind=\"{kind}\"}} {current}");
    shop.until(&line, PATIENCE, async || {
        let (_, metrics) = get(address, "/metrics").await?;
        ensure!(
            metrics.lines().any(|told| told == line),
            "{}",
            metrics
                .lines()
                .filter(|told| told.contains("definitions_current"))
                .collect::<Vec<_>>()
                .join("\n")
        );
        Ok(())
    })
    .await
}
