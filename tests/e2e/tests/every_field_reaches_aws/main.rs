//! An edit of every field that AWS hears of reaches AWS.
//!
//! Proves for CatalogService, OrderService and Platform, from the definitions that the API server serves, that no field is left out: each
//! is edited and seen in what AWS describes, once the custom resource says of the edited generation that it is Ready and after
//! approval where it needs one; or it is immutable, and the API server refuses the edit; or another test is named that shows it. In the end
//! all edits are taken back, and AWS is as it was but for what it cannot take back.

mod cache;
mod media;
mod nodes;
mod orders;
mod platform;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{
    Definition, Elsewhere, Shop, Subject, View, changed, equals, every_field_is_edited, includes,
    read_example, run_together, set,
};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "fields";

/// What every kind of service has and AWS does not hear of, or hears of through what is made for it.
const OF_SERVICES: &[Elsewhere] = &[
    ("workload", "tests/e2e/tests/edits_reach_aws/workload.rs"),
    ("scaling", "tests/e2e/tests/edits_reach_aws/nodes.rs"),
    ("disruption", "tests/e2e/tests/edits_reach_aws/nodes.rs"),
    (
        "nodes.fargate",
        "tests/e2e/tests/services_run_on_fargate.rs",
    ),
    ("callers", "operator/plan/tests/shop"),
    ("network", "tests/e2e/tests/services_are_exposed.rs"),
    ("endpoints", "tests/e2e/tests/storefronts_are_kept/edits.rs"),
    ("identity", "tests/e2e/tests/identities_change_in_order.rs"),
    ("external", "tests/e2e/tests/external_tiers_are_bound.rs"),
    ("bindings", "tests/e2e/tests/external_tiers_are_bound.rs"),
    (
        "policy",
        "tests/e2e/tests/deletion_follows_the_policy/main.rs",
    ),
    ("platformRef", "operator/api/tests/cases/mod.rs"),
];

/// An edit, where it shows, and as what.
struct Edit {
    /// Its place in the specification, as a JSON pointer; `-` is the end of a list.
    at: &'static str,
    /// Its new value; null takes it out.
    value: Value,
    view: View,
    expected: Value,
    /// Whether AWS keeps it when the edit is taken back.
    stays: bool,
}

impl Edit {
    /// What AWS keeps when the edit is taken back.
    fn that_stays(mut self) -> Self {
        self.stays = true;
        self
    }
}

/// What an edit changed, as it was at first.
struct Before {
    at: &'static str,
    view: View,
    /// The members that the edit changed.
    changed: Value,
    value: Value,
}

fn edit(at: &'static str, value: Value, view: &View, expected: Value) -> Edit {
    Edit {
        at,
        value,
        view: view.clone(),
        expected,
        stays: false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Approval {
    None,
    /// By a person, under `changes: ApproveDisruptive`.
    Needed,
}

/// A custom resource that is edited, and what has been edited of it.
struct Edited<'a> {
    shop: &'a Shop,
    definition: &'a Definition,
    subject: Subject,
    first: Value,
    specification: Value,
    /// The first looks at what was edited.
    looks: BTreeMap<String, Value>,
    before: Vec<Before>,
    fields: BTreeSet<String>,
    immutable: BTreeSet<String>,
}

impl<'a> Edited<'a> {
    /// A custom resource, once it is Ready.
    async fn made(
        shop: &'a Shop,
        definition: &'a Definition,
        subject: Subject,
        specification: Value,
    ) -> Result<Self> {
        let edited = Self {
            shop,
            definition,
            subject,
            first: specification.clone(),
            specification,
            looks: BTreeMap::new(),
            before: Vec::new(),
            fields: BTreeSet::new(),
            immutable: BTreeSet::new(),
        };
        edited.apply(&edited.specification).await?;
        shop.until_ready(&edited.subject).await?;
        Ok(edited)
    }

    async fn apply(&self, specification: &Value) -> Result<()> {
        self.shop
            .apply_specification(&self.subject, specification)
            .await
    }

    /// Makes edits that do not depend on each other all at once, and looks at each of them once the custom resource is Ready.
    async fn edit(&mut self, approval: Approval, edits: Vec<Edit>) -> Result<()> {
        self.make(approval, &edits).await?;
        for edit in &edits {
            includes(edit.at, &self.shop.look(&edit.view).await?, &edit.expected)?;
        }
        Ok(())
    }

    async fn make(&mut self, approval: Approval, edits: &[Edit]) -> Result<()> {
        let began = Instant::now();
        let mut specification = self.specification.clone();
        let mut fields = BTreeSet::new();
        for edit in edits {
            let before = self.shop.look(&edit.view).await.unwrap_or_default();
            ensure!(
                includes("", &before, &edit.expected).is_err(),
                "{} is as expected before the edit",
                edit.at
            );
            self.keep(edit, before);
            let values = self.definition.values(&specification);
            set(&mut specification, edit.at, edit.value.clone())?;
            fields.extend(changed(&values, &self.definition.values(&specification)));
        }
        let named: Vec<&str> = edits.iter().map(|edit| edit.at).collect();
        let what = named.join(", ");
        self.reach(approval, specification)
            .await
            .context(what.clone())?;
        println!(
            "  edited {} of {} in {:.1} s: {what}",
            fields.len(),
            self.subject,
            began.elapsed().as_secs_f64()
        );
        self.fields.extend(fields);
        Ok(())
    }

    async fn reach(&mut self, approval: Approval, specification: Value) -> Result<()> {
        self.apply(&specification).await?;
        if approval == Approval::Needed {
            self.shop.approve(&self.subject).await?;
        }
        self.shop.until_ready(&self.subject).await?;
        self.specification = specification;
        Ok(())
    }

    /// What an edit changes was first as the first look at its view told.
    fn keep(&mut self, edit: &Edit, now: Value) {
        let first = self.looks.entry(format!("{:?}", edit.view)).or_insert(now);
        if !edit.stays {
            self.before.push(Before {
                at: edit.at,
                view: edit.view.clone(),
                changed: edit.expected.clone(),
                value: part(first, &edit.expected),
            });
        }
    }

    /// Takes every edit back but those of these places, which AWS cannot take back: what is left out of a specification goes back to what
    /// it was.
    async fn take_back(&mut self, approval: Approval, but: &[&str]) -> Result<()> {
        let mut first = self.first.clone();
        for at in but {
            let now = self.specification.pointer(at).cloned().unwrap_or_default();
            set(&mut first, at, now)?;
        }
        self.before
            .retain(|before| !but.iter().any(|at| before.at.starts_with(at)));
        ensure!(!self.before.is_empty(), "nothing was edited");
        self.reach(approval, first).await.context("taken back")
    }

    /// Whether what the edits changed is as it was before them.
    async fn is_as_before(&self) -> Result<()> {
        let mut others = Vec::new();
        for Before {
            at,
            view,
            changed,
            value,
        } in &self.before
        {
            let now = part(&self.shop.look(view).await.unwrap_or_default(), changed);
            if now != *value {
                others.push(format!("{at} is {now} and was {value}"));
            }
        }
        ensure!(others.is_empty(), "taken back: {others:#?}");
        Ok(())
    }

    /// Takes every edit back, and looks at what each of them changed.
    async fn taken_back(&mut self, approval: Approval, but: &[&str]) -> Result<()> {
        let began = Instant::now();
        self.take_back(approval, but).await?;
        self.is_as_before().await?;
        println!(
            "  took back {} edits of {} in {:.1} s",
            self.before.len(),
            self.subject,
            began.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Tries edits that the API server has to refuse, with these words.
    async fn refused(&mut self, edits: &[(&str, Value, &str)]) -> Result<()> {
        let values = self.definition.values(&self.specification);
        for (at, value, words) in edits {
            let mut specification = self.specification.clone();
            set(&mut specification, at, value.clone())?;
            let Err(refusal) = self.apply(&specification).await else {
                anyhow::bail!("an edit of {at} was accepted")
            };
            ensure!(
                format!("{refusal:#}").contains(words),
                "the refusal of an edit of {at} does not say {words:?}: {refusal:#}"
            );
            self.immutable
                .extend(changed(&values, &self.definition.values(&specification)));
        }
        Ok(())
    }

    fn done(self) -> (BTreeSet<String>, BTreeSet<String>) {
        (self.fields, self.immutable)
    }
}

/// The members of a value that another one names. What is null may as well be missing.
fn part(value: &Value, named: &Value) -> Value {
    let Value::Object(names) = named else {
        return value.clone();
    };
    let members: serde_json::Map<String, Value> = names
        .iter()
        .map(|(name, named)| (name.clone(), part(&value[name], named)))
        .filter(|(_, value)| !value.is_null())
        .collect();
    if members.is_empty() {
        Value::Null
    } else {
        Value::Object(members)
    }
}

fn workload(image: &str) -> Value {
    json!({
        "image": format!("registry.example/{image}:1"),
        "ports": [{"name": "http", "containerPort": 8080}],
    })
}

#[tokio::test]
async fn every_field_reaches_aws() -> Result<()> {
    let shop = Shop::open("fields").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let catalogs = Definition::of(&shop, "catalogservices").await?;
    let orders = Definition::of(&shop, "orderservices").await?;
    let platforms = Definition::of(&shop, "platforms").await?;
    let mut of_catalogs = Default::default();
    let mut of_orders = Default::default();
    {
        let (mut tables, mut cache, mut media, mut nodes) = Default::default();
        run_together(vec![
            (
                "fields of a table",
                keep(tables::edited(&shop, &catalogs), &mut tables).boxed_local(),
            ),
            (
                "fields of a cache",
                keep(cache::edited(&shop, &catalogs), &mut cache).boxed_local(),
            ),
            (
                "fields of media and of further tables",
                keep(media::edited(&shop, &catalogs), &mut media).boxed_local(),
            ),
            (
                "fields of nodes",
                keep(nodes::edited(&shop, &catalogs), &mut nodes).boxed_local(),
            ),
            (
                "fields of orders",
                keep(orders::edited(&shop, &orders), &mut of_orders).boxed_local(),
            ),
        ])
        .await?;
        for part in [tables, cache, media, nodes] {
            join(&mut of_catalogs, part);
        }
    }
    let of_platforms = platform::edited(&shop, &platforms).await?;

    // A further table is a table, and the nodes of orders are those of a catalog: they are one type here, and one in the code.
    same_members(&catalogs, "products.", &catalogs, "tables[].table.")?;
    same_members(&catalogs, "nodes.", &orders, "nodes.")?;
    let here = "tests/e2e/tests/every_field_reaches_aws/main.rs";
    let elsewhere = |more: &[Elsewhere]| [OF_SERVICES, more].concat();
    every_field_is_edited(
        &catalogs,
        &of_catalogs.0,
        &of_catalogs.1,
        &elsewhere(&[("tables[].table", here)]),
    )
    .context("CatalogService")?;
    every_field_is_edited(
        &orders,
        &of_orders.0,
        &of_orders.1,
        &elsewhere(&[("nodes", here)]),
    )
    .context("OrderService")?;
    every_field_is_edited(
        &platforms,
        &of_platforms.0,
        &of_platforms.1,
        platform::ELSEWHERE,
    )
    .context("Platform")?;
    shop.close().await
}

/// The fields that were edited, and those that turned out to be immutable.
type Fields = (BTreeSet<String>, BTreeSet<String>);

async fn keep(edits: impl Future<Output = Result<Fields>>, into: &mut Fields) -> Result<()> {
    *into = edits.await?;
    Ok(())
}

fn join(all: &mut Fields, part: Fields) {
    all.0.extend(part.0);
    all.1.extend(part.1);
}

fn same_members(one: &Definition, at: &str, other: &Definition, there: &str) -> Result<()> {
    let below = |definition: &Definition, at: &str| -> BTreeSet<String> {
        let fields = definition.fields();
        let below = fields.iter().filter_map(|field| field.strip_prefix(at));
        below.map(str::to_owned).collect()
    };
    let members = below(one, at);
    ensure!(!members.is_empty(), "there is nothing below {at}");
    equals(
        &format!("what is below {there}"),
        below(other, there),
        members,
    )
}
