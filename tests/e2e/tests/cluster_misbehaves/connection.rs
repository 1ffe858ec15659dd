//! The connection to the API server, and the API server itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shopkeeper_e2e::{PATIENCE, Shop, Subject};
use shopkeeper_localenv::{ApiProxy, Refusal};

use super::{NAMESPACE, arrives, catalog, edit, follows, listed_at_most, operator, orders, yaml};

/// More than any wait here takes.
const WITHOUT_END: u32 = 1_000_000;
/// How long etcd hangs: longer than the connections' and the Lease's patience.
const HANG: Duration = Duration::from_secs(20);

pub async fn watches_are_cut(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    let mark = shop.mark().await?;
    for cut in 1..=3 {
        proxy.cut_watches();
        follows(shop, &catalog(), &format!("after-cut:{cut}")).await?;
        follows(shop, &orders(), &format!("after-cut:{cut}")).await?;
    }
    // Each goes on where it was.
    listed_at_most(shop, mark, 0)
}

/// The API server's history begins after what the watches saw last: they have to list, once.
pub async fn history_does_not_reach_back(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    let mark = shop.mark().await?;
    for resource in ["/catalogservices", "/deployments", "/configmaps"] {
        proxy.refuse(Refusal::new(resource, 410, 1)?.of_watches());
    }
    proxy.cut_watches();
    follows(shop, &catalog(), "after:410").await?;
    all_were_refused(shop, proxy).await?;
    follows(shop, &catalog(), "after-all:410").await?;
    let lists = shop.lists_since(mark)?;
    ensure!(
        lists.get("catalogservices") == Some(&1),
        "what was listed: {lists:?}"
    );
    listed_at_most(shop, mark, 1)
}

/// Priority and fairness refuses, and says when to come back.
pub async fn requests_are_refused(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    let mark = shop.mark().await?;
    proxy.refuse(
        Refusal::new("/apis/", 429, 12)?
            .of(http::Method::PATCH)
            .retry_after(1),
    );
    edit(shop, &catalog(), "after:429").await?;
    all_were_refused(shop, proxy).await?;
    arrives(shop, &catalog(), "after:429").await?;
    proxy.refuse(
        Refusal::new("/", 429, 20)?
            .of(http::Method::GET)
            .retry_after(1),
    );
    proxy.cut_watches();
    follows(shop, &orders(), "after:429").await?;
    all_were_refused(shop, proxy).await?;
    listed_at_most(shop, mark, 1)
}

async fn all_were_refused(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    shop.until("everything was refused", PATIENCE, async || {
        let left = proxy.refusals_left();
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await
}

/// What is asked of one kind fails; the passes of the others go on, and so does it in the end.
pub async fn one_kind_cannot_be_read(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    let mark = shop.mark().await?;
    proxy.refuse(Refusal::new("/catalogservices", 403, WITHOUT_END)?.of(http::Method::GET));
    proxy.cut_watches();
    shop.until("the watch fails", PATIENCE, async || {
        ensure!(proxy.refusals_left() < WITHOUT_END, "it does not");
        Ok(())
    })
    .await?;
    edit(shop, &catalog(), "after:403").await?;
    follows(shop, &orders(), "beside:403").await?;
    let another = Subject::new("OrderService", NAMESPACE, "another");
    shop.apply(&yaml(&another)).await?;
    shop.until_ready(&another).await?;
    shop.delete(&another).await?;
    shop.until_gone(&another).await?;
    let asked = WITHOUT_END - proxy.refusals_left();
    ensure!(asked < 20, "it was asked for {asked} times");
    let deployment = shop.get("Deployment", NAMESPACE, "catalog").await?;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(
        image != "registry.example/after:403",
        "the edit was seen although its kind could not be read"
    );
    proxy.relent();
    shop.until("the edit is seen", PATIENCE, async || {
        arrives(shop, &catalog(), "after:403").await
    })
    .await?;
    listed_at_most(shop, mark, 1)
}

/// Nothing that needs etcd is answered for a while, in the middle of a creation.
pub async fn etcd_hangs(shop: &Shop) -> Result<()> {
    let late = Subject::new("CatalogService", NAMESPACE, "late");
    let mark = shop.mark().await?;
    shop.apply(&yaml(&late)).await?;
    shop.environment
        .pause_etcd(HANG)
        .await
        .context("etcd does not come back")?;
    operator(shop)?.ensure_running()?;
    shop.until_ready(&late).await?;
    follows(shop, &orders(), "after:etcd").await?;
    shop.delete(&late).await?;
    shop.until_gone(&late).await?;
    listed_at_most(shop, mark, 2)
}
