//! A process that may not write any more makes no call that changes something, and can still look.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use double::{Double, bucket, scope};
use shopkeeper_aws::{
    Account, Age, Observer, Tenure,
    calls::{CallRecorder, NoObserver},
    sts,
    tenure::OVER,
};
use shopkeeper_plan::{aws::AwsKind, observed::Observation, resource::ResourceKey};

const BUCKET: &str = "octank-media";

#[derive(Debug, Default)]
struct Term(AtomicBool);

impl Tenure for Term {
    fn lasts(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_changes_something_is_not_called_once_the_tenure_is_over() {
    let double = Double::start();
    let term = Arc::new(Term::default());
    let recorder = CallRecorder::new(Arc::new(NoObserver), None, Arc::clone(&term) as _);
    let account = Account::from_recorder(double.configuration(), recorder);
    let key = ResourceKey::aws(AwsKind::S3Bucket, BUCKET);

    let before = double.writes().len();
    let failure = account.create(&bucket(BUCKET)).await.unwrap_err();
    assert_eq!(failure.code.as_deref(), Some(OVER), "{failure}");
    assert_eq!(double.writes().len(), before, "{:?}", double.writes());
    let caller = sts::caller(&account).await.unwrap();
    assert_eq!(caller.account_id, "123456789012");
    let observer = Observer::new(account.clone());
    let mut seen = observer
        .observe(&[key.clone()].into(), &scope(), Age::now())
        .await;
    assert_eq!(seen.remove(&key), Some(Observation::Absent));

    term.0.store(true, Ordering::SeqCst);
    account.create(&bucket(BUCKET)).await.unwrap();
    assert!(double.writes().contains(&"CreateBucket".to_owned()));
}
