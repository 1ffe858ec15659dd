//! One pass over one custom resource: observe, resolve, build, plan, execute, report.
//!
//! Nothing here decides what to do: that is `shopkeeper-plan`. This module brings the inputs, carries out the steps that are
//! free, and writes down what came of it. There is no other way to change anything.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use shopkeeper_api::{
    Managed, RECONCILE_REQUESTED_AT,
    status::{PlatformInUse, Status},
};
use shopkeeper_aws::{Age, Scope, budget::Urgency};
use shopkeeper_kube::{
    apply::Writer,
    controller::{Outcome, Pass},
    events::Recorder,
    queue::Lane,
    status::{FinalizerChange, add_finalizer, remove_finalizer},
    store::ObjectKey,
};
use shopkeeper_plan::{
    allowed::Allowed,
    blueprint::Blueprint,
    budget, decisions,
    facts::PodIdentityAgent,
    failure::{Class, Failure},
    inventory,
    last_seen::last_seen,
    names::Owner,
    observed::{Observed, held_by},
    plan::{Action, Plan},
    planner::{self, Inventory, Policies},
    quota::Quotas,
    report,
    resource::ResourceKind,
};

pub(crate) use self::outcome::failure_of;
use self::{
    pace::{ages_in_resyncs, between_looks, is_throttled, refused, unasked},
    reporting::{extend, news, to_json},
};
use crate::{
    accounts::{Accounts, Session},
    memory::{self, Memory},
    metrics::ShopMetrics,
    queues::Queues,
    stores::Stores,
};

mod drain;
mod events;
mod execute;
mod key_need;
mod look_again;
mod names;
mod observe;
mod outcome;
mod pace;
pub mod platform;
mod pods;
mod references;
mod reporting;
mod retained;
mod search;
pub mod service;
mod status;
mod unreadable;

/// Everything a pass works with. One for the process.
pub struct World {
    /// Client for what is not covered by the writers.
    pub client: Client,
    /// Applies and deletes objects.
    pub writer: Writer,
    /// Publishes events.
    pub recorder: Recorder,
    /// Caches.
    pub stores: Arc<Stores>,
    /// Queues.
    pub queues: Queues,
    /// AWS.
    pub accounts: Accounts,
    /// What the caches may not know yet.
    pub memory: Arc<Memory>,
    /// Metrics.
    pub metrics: ShopMetrics,
}

impl World {
    /// The session for a region, within the budgets that the Platforms name.
    async fn session(&self, region: &str) -> Arc<Session> {
        let platforms = self.stores.platforms.list();
        let limits = budget::limits(platforms.iter().map(AsRef::as_ref), region);
        self.accounts.session(region, &limits).await
    }
}

/// For how long a look that was sent away goes on before that is told.
const UNTOLD: Duration = Duration::from_secs(30);

/// A kind whose objects can be addressed: kube tells namespaced and cluster-scoped kinds apart by type.
pub trait Scoped: Managed {
    /// The API of the kind, in a namespace where it has one.
    fn api(client: Client, namespace: &str) -> Api<Self>;
}

/// Everything about one custom resource that does not depend on its kind.
pub(crate) struct Subject<'a, K> {
    pub world: &'a World,
    pub object: &'a K,
    pub owner: Owner,
    pub pass: &'a Pass<ObjectKey>,
}

/// Where and how the steps of a pass are carried out.
pub(crate) struct Site<'a> {
    /// The Platform, for kinds that run on one.
    pub platform: Option<PlatformInUse>,
    pub session: Arc<Session>,
    pub scope: Scope,
    pub policies: Policies,
    /// Names of what may be taken over under [`planner::AdoptionPolicy::Adopt`].
    pub adoptable: Allowed,
    /// What the account may have, where that is known.
    pub quotas: Option<Quotas>,
    /// Where pods find the agent through which Pod Identity associations give them credentials.
    pub pod_identity_agent: PodIdentityAgent,
    /// Between two looks at AWS when nothing happens.
    pub interval: Duration,
    /// The blueprint for what was observed.
    pub blueprint: &'a (dyn Fn(&Observed) -> Blueprint + Sync),
    /// What a kind adds to the status, as JSON.
    pub extend: &'a (dyn Fn(&Observed, &mut Status) -> Value + Sync),
}

impl<K: Scoped> Subject<'_, K> {
    fn api(&self) -> Api<K> {
        K::api(self.world.client.clone(), &self.owner.namespace)
    }

    /// The value of the annotation that asks for a pass now, where it was not answered yet.
    fn requested(&self) -> Option<String> {
        let asked = status::echo(self.object.annotations().get(RECONCILE_REQUESTED_AT)?);
        (self.status().last_handled_reconcile_at.as_ref() != Some(&asked)).then_some(asked)
    }

    fn deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    fn seed(&self) -> u64 {
        self.owner.uid.bytes().fold(0, |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        })
    }

    /// The status as it is: what this process wrote last, which the cache may not have yet, else what the cache has.
    fn status_json(&self) -> Value {
        match self.world.memory.status(&self.owner.uid) {
            Some(written) => written.unpack(),
            None => status::json_of(self.object),
        }
    }

    /// The part of the status that all kinds share.
    fn status(&self) -> Status {
        match self.world.memory.status(&self.owner.uid) {
            Some(written) => written.read().unwrap_or_default(),
            None => serde_json::from_value(status::json_of(self.object)).unwrap_or_default(),
        }
    }

    fn inventory(&self) -> Inventory {
        inventory::from_status(&self.status())
    }

    /// Puts the finalizer on before anything is made. `None` where the object is gone meanwhile.
    async fn hold(&self) -> Result<Option<()>, shopkeeper_kube::Error> {
        self.world.memory.begin(&self.owner.uid);
        match add_finalizer(&self.api(), self.object, shopkeeper_api::FINALIZER).await? {
            FinalizerChange::TooLate => Ok(None),
            FinalizerChange::Unchanged => Ok(Some(())),
            // Nothing was ever made for it.
            FinalizerChange::Changed(_) => {
                let (memory, uid) = (&self.world.memory, &self.owner.uid);
                memory.was_searched(uid, memory::Search::InventoryIsLost);
                Ok(Some(()))
            }
        }
    }

    async fn let_go(&self) -> Result<Outcome, shopkeeper_kube::Error> {
        remove_finalizer(&self.api(), self.object, shopkeeper_api::FINALIZER).await?;
        self.world.memory.forget(&self.owner.uid);
        Ok(Outcome::done())
    }

    /// Ours is the last but those of others: nobody else would say what the deletion waits for.
    async fn tell_who_holds_it(&self) -> Result<(), shopkeeper_kube::Error> {
        let finalizers = self.object.finalizers().iter().map(String::as_str);
        let Some(held) = held_by(finalizers) else {
            return Ok(());
        };
        let failure = Failure::new(
            Class::NotReady,
            format!("all that was made for it is taken down; it is {held}"),
        )
        .with_remedy("see to whoever put that there, or take it off with kubectl edit");
        let report = report::of_failure(&failure, true);
        self.write_report(&report, self.requested()).await
    }

    /// What a pass remembered of a custom resource that went meanwhile would stay for good: its watch has told of it.
    fn forget_if_gone(&self, now: Option<Arc<K>>) {
        let is_there = |object: &Arc<K>| object.uid().as_deref() == Some(self.owner.uid.as_str());
        if !now.as_ref().is_some_and(is_there) {
            self.world.memory.forget(&self.owner.uid);
        }
    }

    /// Observes, plans, executes and reports.
    async fn reconcile(&self, site: &Site<'_>) -> Result<Outcome, shopkeeper_kube::Error> {
        let known = self.inventory();
        let requested = self.requested();
        let at_rest = match (&requested, self.pass.lane) {
            (Some(_), _) => Duration::ZERO,
            // Whether a queue is empty decides whether it goes: that has to be seen now.
            _ if self.deleting() => Duration::ZERO,
            // A little younger than the time between looks, or the pass that is to look for drift would read yesterday's paper.
            (None, Lane::Resync) => between_looks(site.interval).mul_f64(0.8),
            (None, Lane::Edit) => between_looks(site.interval),
        };
        let in_resyncs = ages_in_resyncs(site.interval);
        let urgency = self.urgency();
        let (settings, listings) = match urgency {
            Urgency::Resync => in_resyncs,
            Urgency::Edit => (Duration::ZERO, Duration::ZERO),
        };
        let age = Age {
            at_rest,
            settings_at_rest: match self.pass.lane {
                Lane::Resync => in_resyncs.0,
                // It does not put off the next resync, which sees to it.
                Lane::Edit => in_resyncs.0.max(at_rest),
            },
            settings,
            listings,
            since: self
                .world
                .memory
                .looking_since(&self.owner.uid, requested.as_deref()),
        };
        let (inventory, search) = match self.with_lost(site, known.clone(), age).await {
            Ok(found) => found,
            // It goes on with the next tokens.
            Err(failure) if failure.is_budget_spent() => return Ok(self.failed(&failure)),
            Err(failure) => return self.report_silence(&failure).await,
        };
        let (mut observed, mut blueprint, mut plan) =
            self.look_and_plan(site, &inventory, age).await?;
        // Whose a resource is, what it holds and what differs may have changed since it was looked at: what is about to be changed, taken
        // over, deleted or left for good, and what people are asked to have deleted, is looked at once more, unless this look saw it. Of a
        // look that goes on, an earlier pass may have: a resource that takes more calls than there are tokens could never be changed else.
        if self.forget_older(site, &plan, age.since).await {
            (observed, blueprint, plan) = self.look_and_plan(site, &inventory, age).await?;
        }
        let is_whole = match unasked(&observed) {
            // There is nothing to do yet and not much to tell: it goes on with the next tokens.
            Some(wait)
                if plan.free_steps().next().is_none() && self.may_be_untold(urgency, age.since) =>
            {
                return Ok(self.sent_away(wait));
            }
            Some(_) => false,
            None => !is_throttled(&observed),
        };
        tracing::debug!(
            steps = plan.steps.len(),
            free = plan.free_steps().count(),
            unchanged = plan.unchanged,
            "planned"
        );
        // Written down before it is made: if the process ends in between, whatever the specification says by then, the
        // resource is still known.
        let intended = inventory::with_intentions(&inventory, &plan, &blueprint, &observed);
        // An approval likewise: of two approved steps the second is still approved when the first is done.
        let before = self.status();
        let decided = decisions::from_status(&before, &self.owner);
        let approved = plan
            .decisions
            .approved()
            .any(|decision| !decided.contains(decision));
        if intended != known || approved {
            self.write_intentions(&intended, &plan, &observed, site)
                .await?;
        }
        if let Some(search) = search {
            self.world.memory.was_searched(&self.owner.uid, search);
        }
        self.note_retained(site, &plan).await?;
        self.world.memory.saw(
            &self.owner.uid,
            last_seen(&plan, &blueprint, &observed),
            &observed,
        );
        let executed = execute::execute(self, site, &mut plan, &observed).await;
        // A change that found no token is tried again with what was seen.
        if is_whole && refused(&plan).is_none() {
            self.world.memory.looked(&self.owner.uid);
            if self.pass.lane == Lane::Resync {
                self.next_resync(site.interval);
            }
        }
        events::approvals(self, &before, &plan).await;
        events::publish(self, &plan, &executed, &before, site.policies.deletion).await;

        // AWS may say for some seconds that something is not there which is: gone is what was not there twice.
        let absent = inventory::absent(&intended, &observed);
        let gone = self.world.memory.confirm_absent(&self.owner.uid, &absent);
        for key in absent.difference(&gone) {
            site.session.observer.forget(key);
        }
        if gone.iter().any(|key| {
            matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place())
                && (self.deleting() || blueprint.get(key).is_none())
        }) {
            self.tell_of_room();
        }
        let unconfirmed = absent.iter().any(|key| {
            let is_to_go = blueprint.get(key).is_none() || self.deleting();
            let is_loss = || {
                plan.steps
                    .iter()
                    .any(|step| step.key == *key && step.is_loss())
            };
            (is_to_go || is_loss()) && !gone.contains(key)
        });
        if self.deleting()
            && !unconfirmed
            && plan.steps.iter().all(|step| step.action == Action::Retain)
        {
            events::retained(self, &plan, site.policies.deletion).await;
            if !plan.steps.is_empty() {
                // For those who watch it go.
                let report = report::of_plan(&plan, &blueprint, &observed, true);
                self.write_report(&report, self.requested()).await?;
            }
            if let Some(failure) = inventory::made_by_a_newer_version(&self.status()) {
                return self.report_failure(&failure).await;
            }
            self.tell_who_holds_it().await?;
            return self.let_go().await;
        }
        let report = report::of_plan(&plan, &blueprint, &observed, self.deleting());
        let next = inventory::after(
            &intended,
            &plan,
            &blueprint,
            &observed,
            &gone,
            self.deleting(),
        );
        decisions::settle(&mut plan, &next);
        let mut status = status::status(self, &plan, &report, &next, &observed);
        status.plan = decisions::to_status(&plan, &self.owner);
        status
            .last_handled_approval
            .clone_from(&plan.decisions.last_approval);
        // What was asked for is a look at everything: it goes on in the next pass.
        status.last_handled_reconcile_at = requested
            .filter(|_| !is_throttled(&observed))
            .or_else(|| self.status().last_handled_reconcile_at);
        let extended = (site.extend)(&observed, &mut status);
        status.platform.clone_from(&site.platform);
        let mut whole = to_json(&status)?;
        extend(&mut whole, extended);
        self.write(whole).await?;
        events::noted(self, &before, &next, &observed).await;
        if report.ready {
            events::remarked(self, &before, &blueprint).await;
        }
        events::drifted(self, &before, &plan).await;
        events::missed(self, &before, &plan).await;
        if news(&before, &report) {
            events::readiness(self, &report).await;
        }
        let outcome = self.outcome(&plan, &observed, &report, &executed, site.interval);
        if unconfirmed
            && outcome
                .requeue_after
                .is_none_or(|after| after > memory::CONFIRMATION)
        {
            return Ok(Outcome::requeue_after(memory::CONFIRMATION, Lane::Edit));
        }
        Ok(outcome)
    }

    /// A node group is gone: those that a quota keeps from making one need not wait for their next try, half an hour away.
    fn tell_of_room(&self) {
        for (kind, key) in self.world.stores.held_by_quotas() {
            self.world.queues.add(kind, key, Lane::Edit);
        }
    }

    /// What the pass is for: whether it goes ahead of others in what it may ask of AWS.
    pub(super) fn urgency(&self) -> Urgency {
        let status = self.status();
        let is_seen = status.observed_generation == self.object.meta().generation;
        if self.pass.lane == Lane::Resync
            && is_seen
            && !self.deleting()
            && self.requested().is_none()
        {
            Urgency::Resync
        } else {
            Urgency::Edit
        }
    }

    /// Whether a look that goes on `since` then need not be told of yet. Nobody waits for a resync, but nobody is to take what AWS does
    /// not tell of for ready for longer than we do either.
    fn may_be_untold(&self, urgency: Urgency, since: Instant) -> bool {
        match urgency {
            Urgency::Resync => !self.world.memory.is_out_of_patience(&self.owner.uid),
            Urgency::Edit => since.elapsed() < UNTOLD,
        }
    }

    async fn look_and_plan(
        &self,
        site: &Site<'_>,
        inventory: &Inventory,
        age: Age,
    ) -> Result<(Observed, Blueprint, Plan), shopkeeper_kube::Error> {
        let mut observed = observe::observe(self, site, inventory, age).await?;
        observed.not_yet = self
            .world
            .memory
            .not_yet(&self.owner.uid, &observed, self.seed());
        observed.refused_deletions = self.world.memory.refused_deletions(&self.owner.uid);
        observed.lately = self
            .world
            .memory
            .lately(&self.owner.uid, &observed, self.was_ready());
        let blueprint = (site.blueprint)(&observed);
        let status = self.status();
        let plan = planner::plan(&planner::Input {
            owner: &self.owner,
            cluster: &site.scope.cluster_arn(),
            blueprint: &blueprint,
            observed: &observed,
            inventory,
            policies: site.policies,
            adoptable: &site.adoptable,
            approved: self
                .object
                .annotations()
                .get(shopkeeper_api::APPROVE)
                .map(String::as_str)
                // What the command writes that takes the hash from a status without one.
                .filter(|hash| !hash.is_empty()),
            last_approval: status.last_handled_approval.as_deref(),
            decisions: &decisions::from_status(&status, &self.owner),
            shown: &decisions::shown(&status, &self.owner),
            deleting: self.deleting(),
        });
        Ok((observed, blueprint, plan))
    }

    fn was_ready(&self) -> bool {
        status::is_ready(&self.status(), self.object.meta().generation)
    }
}
