//! What a test scripts beside faults: how transitions end, and how many calls are admitted.

use serde_json::{Value, json};

/// How the next transitions of a kind end, instead of in their usual state.
#[derive(Clone, Debug)]
pub struct Outcome {
    transition: String,
    then: String,
    count: Option<u32>,
    detail: Option<Value>,
}

impl Outcome {
    /// `transition` is a glob over `service.kind.state`, in lower case: `rds.db-instance.creating`. `then` is a state in
    /// AWS's spelling (`incompatible-parameters`, `CREATE_FAILED`), or `GONE` for what is rolled back.
    pub fn new(transition: &str, then: &str) -> Self {
        Self {
            transition: transition.into(),
            then: then.into(),
            count: None,
            detail: None,
        }
    }

    /// Only of resources whose name matches the glob.
    #[must_use]
    pub fn of(mut self, name: &str) -> Self {
        self.transition = format!("{}/{name}", self.transition);
        self
    }

    /// Only so many times; every time when left out.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// What the service tells of it: a health issue's `code` and `message`, an update's `errorCode` and `errorMessage`.
    #[must_use]
    pub fn telling(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    pub(super) fn entry(&self) -> (String, Value) {
        let mut outcome = json!({"then": self.then});
        if let Some(count) = self.count {
            outcome["count"] = count.into();
        }
        if let Some(detail) = &self.detail {
            outcome["detail"] = detail.clone();
        }
        (self.transition.clone(), outcome)
    }
}

/// A token bucket for each account and region.
#[derive(Clone, Debug)]
pub struct RateLimit {
    key: String,
    burst: f64,
    rate: f64,
    each: bool,
}

impl RateLimit {
    /// For all calls of a service together.
    pub fn of_service(service: &str, burst: f64, rate: f64) -> Self {
        Self {
            key: service.into(),
            burst,
            rate,
            each: false,
        }
    }

    /// For the operations that match a glob; a call is charged to its service's bucket as well.
    pub fn of_operations(service: &str, glob: &str, burst: f64, rate: f64) -> Self {
        Self {
            key: format!("{service}:{glob}"),
            burst,
            rate,
            each: false,
        }
    }

    /// Every operation has a bucket of its own, as in EC2.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.each = true;
        self
    }

    pub(super) fn entry(&self) -> (String, Value) {
        let bucket = json!({"burst": self.burst, "rate": self.rate, "each": self.each});
        (self.key.clone(), bucket)
    }
}
