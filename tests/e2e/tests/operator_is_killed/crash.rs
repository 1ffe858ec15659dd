//! Killing the operator at an exact write, and what has to hold afterwards.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals};
use shopkeeper_localenv::{ApiProxy, AwsFault, FaultKind};

use crate::services::{NAMESPACE, Service};

/// Which writes the operator is killed after.
#[derive(Clone, Copy, Debug)]
pub enum Writes {
    Aws,
    Kubernetes,
}

/// Set to `all`, the operator is killed after each single write to Kubernetes, which takes half an hour; otherwise after every
/// [`KUBERNETES_STRIDE`]th, of which most only write down what was done. Writes to AWS are never left out.
const CRASHES_VARIABLE: &str = "SHOPKEEPER_CRASHES";
const KUBERNETES_STRIDE: usize = 4;

impl Writes {
    /// The numbers of the writes that the operator is killed after, the first being 1.
    fn numbers(self) -> impl Iterator<Item = u32> {
        let all = std::env::var(CRASHES_VARIABLE).is_ok_and(|value| value == "all");
        let stride = match self {
            Self::Kubernetes if !all => KUBERNETES_STRIDE,
            Self::Kubernetes | Self::Aws => 1,
        };
        (1..MOST_WRITES).step_by(stride)
    }
}

/// More writes than any life of a service takes: a bound for the loop, which ends when a life passes without reaching the write.
const MOST_WRITES: u32 = 200;

/// A shop whose operator speaks to the API server through a proxy, and holds no Lease that would have to run out.
pub struct Crash {
    shop: Shop,
    proxy: ApiProxy,
}

/// How many resources of which kind there are, and which roles the inventory knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Estate {
    in_aws: BTreeMap<String, usize>,
    inventory: Vec<String>,
}

impl Crash {
    pub async fn open(name: &str) -> Result<Self> {
        let mut shop = Shop::prepare(name).await?;
        shop.environment
            .aws_control()?
            .set_transition(Duration::from_millis(200))
            .await?;
        let proxy = shop.environment.proxy_for_operator().await?;
        let kubeconfig = proxy.kubeconfig().display().to_string();
        shop.operator = Some(
            shop.start_operator_with(
                "operator",
                &["--leader-election", "false"],
                &[("KUBECONFIG", &kubeconfig)],
            )
            .await?,
        );
        shop.namespace(NAMESPACE).await?;
        crate::platform(&shop).await?;
        Ok(Self { shop, proxy })
    }

    pub async fn close(self) -> Result<()> {
        self.shop.close().await
    }

    /// Kills the operator after each write of a creation, and once more after each of the deletion that follows: its policy is that of a
    /// service that says nothing, Snapshot. Every service is a new one.
    pub async fn while_it_is_made_and_deleted(
        &mut self,
        service: &Service,
        writes: Writes,
    ) -> Result<()> {
        // The first one is left alone, and says what there is and what is left.
        let usual = service.subject(&format!("{}-usual", prefix("life", writes)));
        self.shop.apply(&service.yaml(&usual.name)).await?;
        self.shop.until_ready(&usual).await?;
        let expected = self.estate(&usual).await?;
        self.shop.delete(&usual).await?;
        self.shop.until_gone(&usual).await?;
        let left = self.in_aws(&usual).await?;
        let (mut is_made, mut is_deleted) = (false, false);
        for nth in writes.numbers() {
            let subject = service.subject(&format!("{}-{nth:03}", prefix("life", writes)));
            if is_made {
                self.shop.apply(&service.yaml(&subject.name)).await?;
                self.shop.until_ready(&subject).await?;
            } else {
                is_made = !self.make(service, &subject, writes, nth, &expected).await?;
            }
            if is_deleted {
                self.take_down(&subject).await?;
            } else {
                is_deleted = !self.unmake(&subject, writes, nth, &left).await?;
            }
            if is_made && is_deleted {
                return Ok(());
            }
        }
        bail!("a life of {MOST_WRITES} writes")
    }

    /// Makes a service, and kills the operator after the `nth` write of that; says whether it came to that.
    async fn make(
        &mut self,
        service: &Service,
        subject: &Subject,
        writes: Writes,
        nth: u32,
        expected: &Estate,
    ) -> Result<bool> {
        let yaml = service.yaml(&subject.name);
        let killed = self
            .kill_after(subject, writes, nth, async |shop| shop.apply(&yaml).await)
            .await?;
        self.shop.until_ready(subject).await?;
        self.until_estate_is(subject, killed.as_deref(), expected)
            .await?;
        told(subject, "made", nth, killed.as_deref());
        Ok(killed.is_some())
    }

    /// Deletes a service, and kills the operator after the `nth` write of that; says whether it came to that.
    async fn unmake(
        &mut self,
        subject: &Subject,
        writes: Writes,
        nth: u32,
        left: &BTreeMap<String, usize>,
    ) -> Result<bool> {
        let killed = self
            .kill_after(subject, writes, nth, async |shop| {
                shop.delete(subject).await
            })
            .await?;
        self.shop.until_gone(subject).await?;
        equals(
            &format!("what is left of {subject}, after {killed:?}"),
            &self.in_aws(subject).await?,
            left,
        )?;
        told(subject, "deleted", nth, killed.as_deref());
        Ok(killed.is_some())
    }

    /// Kills the operator after each write of an edit that replaces the node group.
    pub async fn while_its_nodes_are_replaced(
        &mut self,
        service: &Service,
        writes: Writes,
    ) -> Result<()> {
        let subject = service.subject(prefix("nodes", writes));
        self.shop.apply(&service.yaml(&subject.name)).await?;
        self.shop.until_ready(&subject).await?;
        let expected = self.estate(&subject).await?;
        // Back and forth: the group that went last comes again under its name.
        let types = ["m7g.xlarge", "m7g.large"].iter().cycle();
        for (nth, instance_type) in writes.numbers().zip(types) {
            let edit =
                json!({"spec": {"nodes": {"nodeGroup": {"instanceTypes": [instance_type]}}}});
            let edited = subject.clone();
            let killed = self
                .kill_after(&subject, writes, nth, async |shop| {
                    shop.merge(&edited, edit).await.map(drop)
                })
                .await?;
            self.shop.until_ready(&subject).await?;
            self.until_estate_is(&subject, killed.as_deref(), &expected)
                .await?;
            told(&subject, "given other nodes", nth, killed.as_deref());
            if killed.is_none() {
                return self.take_down(&subject).await;
            }
        }
        bail!("an edit of {MOST_WRITES} writes")
    }

    /// Does something that makes the operator write, and kills it once the `nth` of those writes took effect; returns that write.
    /// `None` where the operator came to its end with fewer.
    async fn kill_after(
        &mut self,
        subject: &Subject,
        writes: Writes,
        nth: u32,
        begin: impl AsyncFnOnce(&Shop) -> Result<()>,
    ) -> Result<Option<String>> {
        let killed = match writes {
            Writes::Aws => self.kill_after_aws(subject, nth, begin).await?,
            Writes::Kubernetes => self.kill_after_kubernetes(subject, nth, begin).await?,
        };
        if killed.is_some() {
            let operator = self.shop.operator.as_mut();
            operator.context("the operator does not run")?.restart()?;
        }
        Ok(killed)
    }

    async fn kill_after_aws(
        &self,
        subject: &Subject,
        nth: u32,
        begin: impl AsyncFnOnce(&Shop) -> Result<()>,
    ) -> Result<Option<String>> {
        let control = self.shop.environment.aws_control()?;
        let writes = AwsFault::new(FaultKind::Hold, "*", "*")
            .only_writes()
            .on_resource(&format!("*{}*", subject.name));
        let hold = control.hold(writes, nth).await?;
        begin(&self.shop).await?;
        let reached = tokio::select! {
            call = hold.reached(PATIENCE) => Some(call?),
            ended = self.until_it_ends(subject) => ended.map(|()| None)?,
        };
        if reached.is_some() {
            self.operator()?.kill();
        }
        hold.cut().await?;
        Ok(reached.map(|call| {
            let operation = call.operation.unwrap_or_default();
            format!("write {nth} to AWS, {}:{operation}", call.service)
        }))
    }

    async fn kill_after_kubernetes(
        &self,
        subject: &Subject,
        nth: u32,
        begin: impl AsyncFnOnce(&Shop) -> Result<()>,
    ) -> Result<Option<String>> {
        let mut hold = self.proxy.hold_write(&subject.name, nth);
        begin(&self.shop).await?;
        let reached = tokio::select! {
            write = hold.reached(PATIENCE) => Some(write?),
            ended = self.until_it_ends(subject) => ended.map(|()| None)?,
        };
        if reached.is_some() {
            self.operator()?.kill();
        }
        hold.cut();
        Ok(reached.map(|write| format!("write {nth} to Kubernetes, {write}")))
    }

    fn operator(&self) -> Result<&shopkeeper_localenv::OperatorProcess> {
        self.shop
            .operator
            .as_ref()
            .context("the operator does not run")
    }

    /// Waits until the custom resource is gone, or Ready in its present generation and not on its way out.
    async fn until_it_ends(&self, subject: &Subject) -> Result<()> {
        self.shop
            .until(
                &format!("{subject} comes to its end"),
                PATIENCE,
                async || {
                    let Some(object) = self.shop.find(subject).await? else {
                        return Ok(());
                    };
                    anyhow::ensure!(object["metadata"]["deletionTimestamp"].is_null(), "it goes");
                    let generation = &object["metadata"]["generation"];
                    let ready =
                        object["status"]["conditions"]
                            .as_array()
                            .is_some_and(|conditions| {
                                conditions.iter().any(|condition| {
                                    condition["type"] == "Ready"
                                        && condition["status"] == "True"
                                        && condition["observedGeneration"] == *generation
                                })
                            });
                    anyhow::ensure!(ready, "it is not Ready");
                    Ok(())
                },
            )
            .await
    }

    /// Waits until there is what there is of a service that was left alone. The inventory forgets what is gone only when AWS has said
    /// so for some seconds.
    async fn until_estate_is(
        &self,
        subject: &Subject,
        killed: Option<&str>,
        expected: &Estate,
    ) -> Result<()> {
        let what = format!(
            "{subject} has what it should, after {}",
            killed.unwrap_or("no crash")
        );
        self.shop
            .until(&what, PATIENCE, async || {
                equals("what there is", &self.estate(subject).await?, expected)
            })
            .await
    }

    async fn estate(&self, subject: &Subject) -> Result<Estate> {
        let object = self
            .shop
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        let mut inventory: Vec<String> = object["status"]["inventory"]
            .as_array()
            .context("it has no inventory")?
            .iter()
            .map(|item| format!("{} {} {}", item["kind"], item["role"], item["state"]))
            .collect();
        inventory.sort();
        Ok(Estate {
            in_aws: self.in_aws(subject).await?,
            inventory,
        })
    }

    /// How many resources of each kind carry the name of the custom resource, whatever their tags: one that was made and never
    /// tagged is an orphan, too.
    async fn in_aws(&self, subject: &Subject) -> Result<BTreeMap<String, usize>> {
        let mut found = BTreeMap::new();
        for resource in self.shop.environment.aws_control()?.inventory().await? {
            let text = |member: &str| resource[member].as_str().unwrap_or_default();
            let of_it = text("name").contains(&subject.name)
                || resource["tags"]["shopkeeper.dev/owner"] == subject.path();
            if of_it {
                let kind = format!("{}:{}", text("service"), text("type"));
                *found.entry(kind).or_default() += 1;
            }
        }
        Ok(found)
    }

    /// Takes a service down with its data, so that the account does not fill up.
    async fn take_down(&self, subject: &Subject) -> Result<()> {
        let delete: Value = json!({"spec": {"policy": {"deletion": "Delete"}}});
        self.shop.merge(subject, delete).await?;
        self.shop.delete(subject).await
    }
}

fn prefix(life: &str, writes: Writes) -> &'static str {
    match (life, writes) {
        // Not `nodes-a`, which the role of another service's nodes is called as well where its hash begins so.
        ("nodes", Writes::Aws) => "moved-a",
        ("nodes", Writes::Kubernetes) => "moved-k",
        (_, Writes::Aws) => "life-a",
        (_, Writes::Kubernetes) => "life-k",
    }
}

/// For who reads the log of a run.
fn told(subject: &Subject, done: &str, nth: u32, killed: Option<&str>) {
    match killed {
        Some(write) => println!("{subject} is {done}: killed after {write}"),
        None => println!("{subject} is {done} with {} writes or fewer", nth - 1),
    }
}
