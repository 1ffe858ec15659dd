//! The way a resource takes from nothing to as desired and back, pass by pass.

use shopkeeper_aws::{Account, DeletionToken, Scope};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Tags},
    difference,
    failure::Class,
    observed::{Lifecycle, Observation, Present},
    plan::DeleteMode,
};

use super::{ACCOUNT_ID, CLUSTER, CLUSTER_ARN, Double, REGION};

/// No resource takes more passes than this to become as desired.
const MOST_PASSES: usize = 60;

/// Tags of an owner.
pub fn owner_tags() -> Tags {
    [
        ("shopkeeper.dev/owner", "OrderService/shop/orders"),
        ("shopkeeper.dev/owner-uid", "0b8f"),
        ("shopkeeper.dev/cluster", CLUSTER_ARN),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The scope of that owner.
pub fn scope() -> Scope {
    Scope {
        account_id: ACCOUNT_ID.into(),
        region: REGION.into(),
        cluster: CLUSTER.into(),
        owner_tags: owner_tags(),
    }
}

/// The token of that owner for a deletion.
pub fn token(desired: &AwsResource) -> DeletionToken {
    DeletionToken::new("0b8f", &desired.key(), 1)
}

/// The resource, where it exists.
pub async fn look(account: &Account, kind: AwsKind, name: &str) -> Option<Present> {
    match account.observe(kind, name, &scope()).await {
        Observation::Present(present) => Some(*present),
        Observation::Absent => None,
        Observation::Unknown(failure) => panic!("{kind:?} {name}: {failure:?}"),
    }
}

/// Names of the fields that differ, and `tags`.
pub fn differing(desired: &AwsResource, present: &Present) -> Vec<String> {
    difference::aws(desired, &present.resource)
        .into_iter()
        .map(|difference| difference.field.name.to_owned())
        .collect()
}

/// Makes passes until AWS has what is desired: one call each, and the clock moves on only while AWS is busy. Then one more
/// pass finds the same and would change nothing.
pub async fn converge(
    double: &Double,
    account: &Account,
    desired: impl Into<AwsResource>,
) -> Present {
    let desired = desired.into();
    let (kind, name) = (desired.kind(), desired.name());
    let mut last = Vec::new();
    for _ in 0..MOST_PASSES {
        let Some(present) = look(account, kind, &name).await else {
            account.create(&desired).await.unwrap();
            continue;
        };
        match &present.lifecycle {
            Lifecycle::Available => {}
            Lifecycle::Failed(message) => panic!("{kind:?} {name}: {message}"),
            _ => {
                double.settle();
                continue;
            }
        }
        last = differing(&desired, &present);
        if last.is_empty() {
            let again = look(account, kind, &name)
                .await
                .expect("it was there a moment ago");
            assert_eq!(differing(&desired, &again), Vec::<String>::new());
            assert_eq!(again.outputs, present.outputs);
            return again;
        }
        // As the planner does with what an autoscaler owns.
        let yielding = desired.yielding_to(&present.resource);
        account.update(&yielding, &present, &last).await.unwrap();
    }
    panic!("{kind:?} {name} does not become as desired: {last:?}");
}

/// Makes passes until AWS says that the resource does not exist.
pub async fn remove(
    double: &Double,
    account: &Account,
    desired: impl Into<AwsResource>,
    mode: DeleteMode,
) {
    let desired = desired.into();
    let (kind, name, token) = (desired.kind(), desired.name(), token(&desired));
    for _ in 0..MOST_PASSES {
        let Some(present) = look(account, kind, &name).await else {
            return;
        };
        match present.lifecycle {
            Lifecycle::Available | Lifecycle::Failed(_) => {
                match account.delete(&present, mode, &token).await {
                    Ok(()) => {}
                    // A snapshot is being made first.
                    Err(failure) if failure.class == Class::NotReady => double.settle(),
                    Err(failure) => panic!("{kind:?} {name}: {failure:?}"),
                }
            }
            _ => double.settle(),
        }
    }
    panic!("{kind:?} {name} does not go");
}

/// Changes one value of what is desired, brings AWS there, and says whether that was a difference at all.
pub async fn change<T>(
    double: &Double,
    account: &Account,
    desired: &mut T,
    edit: impl FnOnce(&mut T),
) -> Present
where
    T: Clone + Into<AwsResource>,
{
    let before = desired.clone().into();
    edit(desired);
    let after: AwsResource = desired.clone().into();
    let present = look(account, before.kind(), &before.name())
        .await
        .expect("it exists");
    assert_ne!(
        differing(&after, &present),
        Vec::<String>::new(),
        "the edit changes nothing"
    );
    converge(double, account, after).await
}
