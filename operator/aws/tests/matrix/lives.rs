//! What is done to one resource from its beginning to its end, and which properties that shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Mutex,
    time::Duration,
};

use serde_json::json;
use shopkeeper_aws::{
    Scope,
    observer::{Age, Observer},
};
use shopkeeper_plan::{
    aws::{AwsKind, Change, Field, Holding},
    build,
    names::Owner,
    observed::Observation,
    plan::{Action, Blocker},
    planner::{AdoptionPolicy, DeletionPolicy, DriftPolicy},
    resolve::promised_outputs,
};

use crate::{
    ground::Ground,
    of_life,
    other_values::{Values, alternate, drift_by_sdk, has_no_way_back, is_fixed},
    specimen::{NOT_SET, throttled_operations},
    trail::trailed,
    unset_fields,
    world::{Outcome, World, told},
};

/// Decides which calls fail; one whose first numbers are small and large by turns.
const SEED: u64 = 1;

/// What was found wrong, by kind and property; empty where it holds.
pub type Cells = BTreeMap<(AwsKind, &'static str), Vec<String>>;

type Life = for<'a> fn(
    AwsKind,
    &'a Ground,
    &'a Mutex<Cells>,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The lives by name, the long ones first.
pub const LIVES: &[(&str, Life)] = &[
    ("stale", |kind, ground, cells| {
        Box::pin(stale(kind, ground, cells))
    }),
    ("repaired", |kind, ground, cells| {
        Box::pin(drifted(kind, ground, cells))
    }),
    ("changed", |kind, ground, cells| {
        Box::pin(changed(kind, ground, cells))
    }),
    ("throttled", |kind, ground, cells| {
        Box::pin(throttled(kind, ground, cells))
    }),
    ("lost", |kind, ground, cells| {
        Box::pin(lost(kind, ground, cells))
    }),
    ("created", |kind, ground, cells| {
        Box::pin(created(kind, ground, cells))
    }),
    ("tagged", |kind, ground, cells| {
        Box::pin(tagged(kind, ground, cells))
    }),
    ("consented", |kind, ground, cells| {
        Box::pin(consented(kind, ground, cells))
    }),
    ("trailed", |kind, ground, cells| {
        Box::pin(trailed(kind, ground, cells))
    }),
];

/// Writes down what a property came to. Gives whether it holds.
pub fn tell(cells: &Mutex<Cells>, kind: AwsKind, property: &'static str, outcome: Outcome) -> bool {
    let mut cells = cells.lock().unwrap();
    let failures = cells.entry((kind, property)).or_default();
    let holds = outcome.is_ok();
    failures.extend(outcome.err());
    holds
}

pub fn world<'a>(kind: AwsKind, ground: &'a Ground, life: &str) -> World<'a> {
    let (specimen, name) = of_life(kind, ground, life);
    World::new(ground, &specimen, &name, &name)
}

/// Made with every field, unchanged, its immutable fields; kept under `Retain`.
async fn created(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut world = world(kind, ground, "created");
    let unset = unset_fields(world.wish());
    let set = unset.is_empty().then_some(());
    tell(
        cells,
        kind,
        "fields",
        set.ok_or_else(|| format!("not set, or set in spite of a reason not to: {unset:?}")),
    );
    if !tell(cells, kind, "created", world.converge().await) {
        return;
    }
    tell(cells, kind, "silent", world.is_silent().await);
    tell(cells, kind, "outputs", outputs(&world).await);
    tell(cells, kind, "listed", listed(kind, &world).await);
    tell(cells, kind, "found", found(&world).await);
    for field in kind.fields() {
        if matches!(field.change, Change::Replace | Change::Refused { .. }) {
            let outcome = immutable(&world, field.name).await;
            tell(cells, kind, "immutable", outcome);
        }
    }
    world.policies.deletion = DeletionPolicy::Retain;
    tell(cells, kind, "retain", end(&mut world).await);
}

/// A template may ask for what is promised of a resource; what never came would keep its pods waiting for ever.
async fn outputs(world: &World<'_>) -> Outcome {
    let told = build::with_derived(world.wish(), &world.present().await?.outputs);
    let mut missing = promised_outputs(world.wish());
    missing.retain(|output| told.get(output).is_none());
    missing
        .is_empty()
        .then_some(())
        .ok_or_else(|| format!("promised, and not told: {missing:?}"))
}

/// What a description of everything tells of a resource is what it is told by its name.
async fn listed(kind: AwsKind, world: &World<'_>) -> Outcome {
    let account = world
        .ground
        .double
        .account_of(&format!("listing-{}", kind.id()));
    let (keys, hour) = (BTreeSet::from([world.key()]), Duration::from_secs(3600));
    let resync = || Age {
        settings: hour,
        listings: hour,
        ..Age::now()
    };
    // A listing is made for the second that asks, whatever it is that it lists: of this kind, or tags.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let observer = Observer::new(account.clone());
        let observed = observer.observe(&keys, &world.scope(), resync()).await;
        let Some(Observation::Present(present)) = observed.get(&world.key()) else {
            return Err(format!("not seen: {observed:?}"));
        };
        seen.push((
            present.resource.to_value(),
            present.outputs.clone(),
            present.arn.clone(),
            present.id.clone(),
        ));
    }
    match seen.iter().find(|other| **other != seen[0]) {
        None => Ok(()),
        Some(other) => Err(format!("by name {:?}, listed {other:?}", seen[0])),
    }
}

/// Without an inventory it is found by its owner's tags, or by what it hangs on; by another owner it is not.
async fn found(world: &World<'_>) -> Outcome {
    let account = &world.ground.double.account_of(&world.caller);
    let owned = async |owner: &Owner| {
        let scope = Scope {
            owner_tags: owner.tags(&world.scope().cluster_arn()),
            ..world.scope()
        };
        account.owned(owner, &scope, &BTreeSet::new(), false).await
    };
    let ours = owned(&world.owner).await;
    if let Some(failure) = ours.failure {
        return Err(failure.to_string());
    }
    if !ours.keys.contains(&world.key()) {
        return Err(format!("not among {:?}", ours.keys));
    }
    let another = Owner {
        name: "another".to_owned(),
        uid: "another".to_owned(),
        ..world.owner.clone()
    };
    let theirs = owned(&another).await;
    match theirs.keys.contains(&world.key()) {
        false => Ok(()),
        true => Err("found by another owner".to_owned()),
    }
}

async fn immutable(world: &World<'_>, field: &'static str) -> Outcome {
    let position = world.ground.double.position();
    let mut other = world.with(&alternate(world.wish(), field, world.ground));
    let (plan, taken) = other.pass().await;
    let told_so = plan.steps.iter().any(|step| {
        step.key == world.key()
            && step.blocked_by.iter().any(|blocker| {
                matches!(blocker, Blocker::Refused(failure) if failure.message.contains(field) && !failure.remedy.is_empty())
            })
    });
    let writes = other.writes_since(position);
    if told_so && taken == 0 && writes.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{field}: no refusal that names it, or a write ({writes:?}): {}",
        told(&plan)
    ))
}

/// Each field that AWS changes in place; then gone with a snapshot.
async fn changed(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut world = world(kind, ground, "changed");
    if !tell(cells, kind, "changed", world.converge().await) {
        return;
    }
    for field in mutable(kind) {
        let values = alternate(world.wish(), field, ground);
        let outcome = change(&mut world, field, &values).await;
        tell(
            cells,
            kind,
            "changed",
            outcome.map_err(|text| format!("{field}: {text}")),
        );
    }
    world.policies.deletion = DeletionPolicy::Snapshot;
    let ended = end(&mut world).await;
    let saved = kind.holding() != Holding::Data || world.is_saved();
    tell(
        cells,
        kind,
        "snapshot",
        ended.and_then(|()| {
            saved
                .then_some(())
                .ok_or_else(|| "nothing was saved".to_owned())
        }),
    );
}

async fn change(world: &mut World<'_>, field: &str, values: &Values) -> Outcome {
    world.change(values);
    let differing = world.differing().await?;
    if !differing.contains(&field) {
        return Err(format!("{values:?} is no difference ({differing:?})"));
    }
    world.converge().await?;
    world.is_silent().await
}

/// Each field changed by somebody else, told under `Report` and brought back under `Repair`; then gone with its data.
async fn drifted(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut world = world(kind, ground, "repaired");
    let made = world.converge().await;
    if !tell(cells, kind, "repaired", made.clone()) {
        tell(cells, kind, "reported", made);
        return;
    }
    let fields = kind
        .fields()
        .iter()
        .filter(|field| is_mutable(field.change) && !is_left_out(kind, field.name));
    for field in fields {
        let values = alternate(world.wish(), field.name, ground);
        let by_us = is_fixed(kind, field.name).is_none();
        let drift = if by_us {
            world.drift(&values).await
        } else {
            drift_by_sdk(ground, world.wish(), field.name).await;
            world.restart();
            Ok(())
        };
        if let Err(failure) = drift {
            tell(
                cells,
                kind,
                "repaired",
                Err(format!("{}: {failure}", field.name)),
            );
            // The next field starts from what is desired all the same.
            tell(cells, kind, "repaired", world.settle(1).await);
            continue;
        }
        // What has grown stays as it is, and so does a version that is newer than declared: AWS goes no way back.
        if is_one_way(field.change) {
            let silent = world.is_silent().await;
            tell(
                cells,
                kind,
                "repaired",
                silent.map_err(|text| format!("{}: {text}", field.name)),
            );
            if !matches!(field.change, Change::GrowOnly { .. }) {
                world.change(&values);
                let outcome = world.converge().await;
                tell(
                    cells,
                    kind,
                    "repaired",
                    outcome.map_err(|text| format!("{}: {text}", field.name)),
                );
            }
            continue;
        }
        world.policies.drift = DriftPolicy::Report;
        let outcome = reported(&mut world, field.name).await;
        tell(
            cells,
            kind,
            "reported",
            outcome.map_err(|text| format!("{}: {text}", field.name)),
        );
        world.policies.drift = DriftPolicy::Repair;
        // AWS goes no way back: the wish has to follow.
        if has_no_way_back(kind, field.name).is_some() {
            world.change(&values);
        }
        let outcome = world.converge().await;
        tell(
            cells,
            kind,
            "repaired",
            outcome.map_err(|text| format!("{}: {text}", field.name)),
        );
    }
    world.policies.deletion = DeletionPolicy::Delete;
    tell(cells, kind, "delete", end(&mut world).await);
}

async fn reported(world: &mut World<'_>, field: &str) -> Outcome {
    let position = world.ground.double.position();
    let (plan, _) = world.pass().await;
    let key = world.key();
    let told_so = plan.steps.iter().any(|step| {
        step.key == key
            && step.changes.iter().any(|change| change.field == field)
            && step.blocked_by.contains(&Blocker::DriftReported)
    });
    let writes = world.writes_since(position);
    (told_so && writes.is_empty())
        .then_some(())
        .ok_or_else(|| format!("not reported, or written to ({writes:?}): {}", told(&plan)))
}

/// Made by an earlier custom resource of the same name: refused under `Never`, taken over under `IfTagged`.
async fn tagged(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut earlier = world(kind, ground, "tagged");
    if let Err(failure) = earlier.converge().await {
        tell(cells, kind, "refused", Err(failure.clone()));
        tell(cells, kind, "tagged", Err(failure));
        return;
    }
    let name = earlier.owner.name.clone();
    let mut other = earlier.taken_over_by("other", &format!("{name}-other"));
    for policy in [
        AdoptionPolicy::Never,
        AdoptionPolicy::IfTagged,
        AdoptionPolicy::Adopt,
    ] {
        let outcome = refused(&mut other, policy).await;
        tell(
            cells,
            kind,
            "refused",
            outcome.map_err(|text| format!("of another, {policy:?}: {text}")),
        );
    }
    let mut later = earlier.taken_over_by(&name, &format!("{name}-later"));
    let outcome = refused(&mut later, AdoptionPolicy::Never).await;
    tell(
        cells,
        kind,
        "refused",
        outcome.map_err(|text| format!("of an earlier one, Never: {text}")),
    );
    tell(
        cells,
        kind,
        "tagged",
        adopted(&mut later, AdoptionPolicy::IfTagged).await,
    );
}

/// Made by nobody that is known: refused, and taken over by consent, with a field that is not as desired.
async fn consented(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut world = world(kind, ground, "consented");
    if let Err(failure) = world.make_untagged().await {
        tell(cells, kind, "consented", Err(failure));
        return;
    }
    for policy in [AdoptionPolicy::Never, AdoptionPolicy::IfTagged] {
        let outcome = refused(&mut world, policy).await;
        tell(
            cells,
            kind,
            "refused",
            outcome.map_err(|text| format!("of nobody, {policy:?}: {text}")),
        );
    }
    if let Some(field) = mutable(kind).next() {
        let values = alternate(world.wish(), field, ground);
        world.change(&values);
    }
    tell(
        cells,
        kind,
        "consented",
        adopted(&mut world, AdoptionPolicy::Adopt).await,
    );
}

async fn refused(world: &mut World<'_>, policy: AdoptionPolicy) -> Outcome {
    world.policies.adoption = policy;
    let position = world.ground.double.position();
    let before = world.present().await?;
    let (plan, taken) = world.pass().await;
    let key = world.key();
    let told_so = plan.steps.iter().any(|step| {
        step.key == key
            && step.action == Action::Adopt
            && matches!(step.blocked_by.as_slice(), [Blocker::Refused(_)])
    });
    let writes = world.writes_since(position);
    let same = world.present().await? == before;
    (told_so && taken == 0 && writes.is_empty() && same)
        .then_some(())
        .ok_or_else(|| format!("not refused, or written to ({writes:?}): {}", told(&plan)))
}

async fn adopted(world: &mut World<'_>, policy: AdoptionPolicy) -> Outcome {
    world.policies.adoption = policy;
    world.converge().await?;
    world.is_silent().await?;
    world.policies.deletion = DeletionPolicy::Delete;
    end(world).await
}

/// 30 % of all calls are throttled.
async fn throttled(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let world = world(kind, ground, "throttled");
    let (operations, _) = throttled_operations(kind);
    let fault = json!({
        "kind": "throttle", "operation": operations, "caller": format!("*app/{}*", world.caller), "probability": 0.3, "seed": SEED,
    });
    let outcome = under(world, &fault, 1).await;
    tell(cells, kind, "throttled", outcome);
}

/// Every other write takes effect, and the answer never comes: each by chance, since one after the other would never get to the second
/// call of a step.
async fn lost(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let world = world(kind, ground, "lost");
    let fault = json!({
        "kind": "lost_response", "caller": format!("*app/{}*", world.caller), "write": true,
        "probability": 0.5, "seed": SEED,
    });
    let outcome = under(world, &fault, 1).await;
    tell(cells, kind, "lost", outcome);
}

/// The two reads after each write are answered as before it.
async fn stale(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let world = world(kind, ground, "stale");
    let mut fault = json!({
        "kind": "stale", "service": "*", "caller": format!("*app/{}*", world.caller), "reads": 2,
        "resource": format!("*{}*", world.owner.name),
    });
    if kind == AwsKind::KmsKey {
        // A key has no name when it is made.
        fault["service"] = json!("kms");
        fault.as_object_mut().unwrap().remove("resource");
    }
    let outcome = under(world, &fault, 3).await;
    tell(cells, kind, "stale", outcome);
}

/// A whole life under a fault: made, changed in every field at once as far as the first allows, and deleted.
async fn under(mut world: World<'_>, fault: &serde_json::Value, times: usize) -> Outcome {
    let double = &world.ground.double;
    let kind = world.wish().kind();
    let mut applied = 0;
    let mut remove = |id: &str| {
        applied += double.applied(id);
        double.remove_fault(id);
    };
    let id = double.fault(fault);
    let at = |what: &'static str| move |text: String| format!("{what}: {text}");
    let made = world.settle(times).await;
    remove(&id);
    made.map_err(at("to make it"))?;
    world.converge().await.map_err(at("once made"))?;
    let id = double.fault(fault);
    if let Some(field) = mutable(kind).next() {
        let values = alternate(world.wish(), field, world.ground);
        world.change(&values);
    }
    let changed = world.settle(times).await;
    remove(&id);
    changed.map_err(at("to change it"))?;
    world.converge().await.map_err(at("once changed"))?;
    world.policies.deletion = DeletionPolicy::Delete;
    world.deleting = true;
    let id = double.fault(fault);
    let ended = world.settle(times).await;
    remove(&id);
    ended.map_err(at("to delete it"))?;
    end(&mut world).await.map_err(at("once deleted"))?;
    (applied > 0)
        .then_some(())
        .ok_or_else(|| "the fault met no call".to_owned())
}

/// The end of its owner, and that its resource is kept or gone as the policy says (`docs/decisions/0004-deletion.md`).
async fn end(world: &mut World<'_>) -> Outcome {
    world.deleting = true;
    let kept = match (world.wish().kind().holding(), world.policies.deletion) {
        (Holding::Nothing, _) | (_, DeletionPolicy::Delete) => false,
        (_, DeletionPolicy::Retain) => true,
        (holding, DeletionPolicy::Snapshot) => holding == Holding::Key,
    };
    let position = world.ground.double.position();
    let before = world.look(&world.key()).await;
    world.settle(1).await?;
    let found = world.look(&world.key()).await;
    match (kept, found) {
        (true, Observation::Present(after)) => {
            let writes = world.writes_since(position);
            let same = before == Observation::Present(after);
            (same && writes.is_empty())
                .then_some(())
                .ok_or_else(|| format!("kept, and written to: {writes:?}"))
        }
        (false, Observation::Absent) => match world.count() {
            0 => Ok(()),
            count => Err(format!("{count} are left of {}", world.key())),
        },
        (kept, found) => Err(format!("to be kept: {kept}, found: {found:?}")),
    }
}

pub fn is_mutable(change: Change) -> bool {
    matches!(change, Change::InPlace { .. } | Change::GrowOnly { .. })
}

/// Whether AWS goes no way back: it only grows, or is a version.
pub fn is_one_way(change: Change) -> bool {
    matches!(
        change,
        Change::GrowOnly { .. }
            | Change::InPlace {
                reversible: false,
                ..
            }
    )
}

/// Whether somebody else can change anything of it but its tags.
pub fn has_mutable_fields(kind: AwsKind) -> bool {
    kind.fields()
        .iter()
        .any(|field| is_mutable(field.change) && !is_left_out(kind, field.name))
}

/// The fields of which another value can be wished for.
fn mutable(kind: AwsKind) -> impl Iterator<Item = &'static str> {
    kind.fields()
        .iter()
        .filter(move |field| is_mutable(field.change) && is_fixed(kind, field.name).is_none())
        .map(|field| field.name)
        .filter(move |name| !is_left_out(kind, name))
}

/// What is not set and means that the field is not managed: of what is taken away where it is not set, anything is drift.
pub fn is_left_out(kind: AwsKind, field: &str) -> bool {
    let is_clearable = |known: &Field| known.name == field && known.clearable;
    !kind.fields().iter().any(is_clearable)
        && NOT_SET
            .iter()
            .any(|(of, name, _)| *of == kind && *name == field)
}
