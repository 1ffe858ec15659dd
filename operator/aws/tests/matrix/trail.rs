//! What somebody changed is seen also where CloudTrail is asked whether anybody did: a resource is called so in its calls as its kind says.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use serde_json::Value;
use shopkeeper_aws::{Age, Observer};
use shopkeeper_plan::{aws::AwsKind, observed::Observation, resource::ResourceKey};

use crate::{
    double::{bucket, converge},
    ground::Ground,
    lives::{Cells, is_left_out, is_mutable, is_one_way, tell, world},
    other_values::{alternate, has_no_way_back, is_fixed},
    world::{Outcome, World},
};

/// How old settings may be in these looks.
const AGE: Duration = Duration::from_secs(1);

/// After this time they are too old, and what is read is read in another second than what was called before it: CloudTrail tells whole
/// seconds.
const LATER: Duration = Duration::from_millis(1100);

/// What cannot be changed without another field, and why.
const NOT_ALONE: &[(AwsKind, &str, &str)] = &[(
    AwsKind::CacheReplicationGroup,
    "parameterGroup",
    "the other one is of another engine",
)];

/// Each field changed by somebody else, in an account whose log of changes is asked before a setting is read again.
pub async fn trailed(kind: AwsKind, ground: &Ground, cells: &Mutex<Cells>) {
    let mut world = world(kind, ground, "trailed");
    if !tell(cells, kind, "trailed", world.converge().await) {
        return;
    }
    // CloudTrail is not asked for the sake of a setting or two: a bucket has more.
    let another = bucket(&format!("{}-asks", world.owner.name));
    let other_bucket = another.key();
    converge(&ground.double, &ground.somebody_else, another).await;
    let observer = Observer::new(ground.double.trailing_account_of(&world.caller));
    for field in kind.fields() {
        let is_named = |(of, name, _): &(AwsKind, &str, &str)| *of == kind && *name == field.name;
        if !is_mutable(field.change)
            || is_one_way(field.change)
            || is_left_out(kind, field.name)
            || is_fixed(kind, field.name).is_some()
            || has_no_way_back(kind, field.name).is_some()
            || NOT_ALONE.iter().any(is_named)
        {
            continue;
        }
        let outcome = seen_after_a_change(&observer, &world, &other_bucket, field.name).await;
        tell(
            cells,
            kind,
            "trailed",
            outcome.map_err(|text| format!("{}: {text}", field.name)),
        );
    }
}

async fn seen_after_a_change(
    observer: &Observer,
    world: &World<'_>,
    other_bucket: &ResourceKey,
    field: &'static str,
) -> Outcome {
    let double = &world.ground.double;
    tokio::time::sleep(LATER).await;
    look(observer, world, other_bucket).await?;
    look(observer, world, &world.key()).await?;
    world
        .drift(&alternate(world.wish(), field, world.ground))
        .await?;
    tokio::time::sleep(LATER).await;
    let position = double.position();
    look(observer, world, other_bucket).await?;
    let calls = double.calls_since(position, &world.caller);
    if !calls.iter().any(|call| call == "LookupEvents") {
        return Err(format!("CloudTrail was not asked: {calls:?}"));
    }
    let seen = look(observer, world, &world.key()).await?[field].clone();
    let there = world.present().await?.resource.to_value()[field].clone();
    (seen == there)
        .then_some(())
        .ok_or_else(|| format!("it is {there}, and {seen} is what is known"))
}

async fn look(observer: &Observer, world: &World<'_>, key: &ResourceKey) -> Outcome<Value> {
    let age = Age {
        settings: AGE,
        ..Age::now()
    };
    let keys = BTreeSet::from([key.clone()]);
    let observed = observer.observe(&keys, &world.scope(), age).await;
    match observed.get(key) {
        Some(Observation::Present(present)) => Ok(present.resource.to_value()),
        other => Err(format!("not seen: {other:?}")),
    }
}
