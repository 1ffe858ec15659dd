//! Every call to AWS: whether the [budget](crate::budget) and the [tenure](crate::tenure) let it out, and a record of what it was, how it went and how long it took.

use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
                FinalizerInterceptorContextRef,
            },
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Layer, Storable, StoreReplace};
use shopkeeper_plan::budget::AwsApi;

use crate::{
    budget::{Budgets, Priority, api_of, is_read},
    error::is_throttling,
    tenure::{Tenure, TenureIsOver},
};

tokio::task_local! {
    static HAS_WRITTEN: Cell<bool>;
}

/// Does something, and says whether a call that changes something was sent for it, whatever was answered.
pub async fn noting_writes<F: Future>(work: F) -> (F::Output, bool) {
    let noted = async {
        let output = work.await;
        (output, HAS_WRITTEN.with(Cell::get))
    };
    HAS_WRITTEN.scope(Cell::new(false), noted).await
}

/// Hears of every call after it ended.
pub trait CallObserver: Send + Sync + fmt::Debug + 'static {
    /// A call ended. `status` is the HTTP status, or `None` where no answer came.
    fn call_ended(&self, service: &str, operation: &str, status: Option<u16>, duration: Duration);

    /// AWS throttled a call.
    fn throttled(&self, _api: AwsApi) {}

    /// A call was not made, since the budget was spent.
    fn budget_spent(&self, _api: AwsApi, _priority: Priority) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl CallObserver for NoObserver {
    fn call_ended(
        &self,
        _service: &str,
        _operation: &str,
        _status: Option<u16>,
        _duration: Duration,
    ) {
    }
}

/// The interceptor that spends the budget and tells a [`CallObserver`].
#[derive(Clone, Debug)]
pub struct CallRecorder {
    observer: Arc<dyn CallObserver>,
    /// `None` where the calls are not limited.
    budgets: Option<Budgets>,
    tenure: Arc<dyn Tenure>,
}

#[derive(Debug)]
struct Started(Instant);

/// A call that was not let out: it was none.
#[derive(Debug)]
struct NotMade;

impl Storable for NotMade {
    type Storer = StoreReplace<Self>;
}

impl Storable for Started {
    type Storer = StoreReplace<Self>;
}

impl CallRecorder {
    /// Without budgets calls are not limited.
    #[must_use]
    pub fn new(
        observer: Arc<dyn CallObserver>,
        budgets: Option<Budgets>,
        tenure: Arc<dyn Tenure>,
    ) -> Self {
        Self {
            observer,
            budgets,
            tenure,
        }
    }

    /// The budgets with the API that a call goes to. Only what has a budget is limited.
    fn budgeted(&self, call: &Metadata) -> Option<(&Budgets, AwsApi)> {
        Some((self.budgets.as_ref()?, api_of(call.service())?))
    }
}

impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut layer = Layer::new("shopkeeper.calls");
        layer.store_put(Started(Instant::now()));
        bag.push_layer(layer);
        Ok(())
    }

    /// The first moment at which it is known which operation is called.
    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = bag.load::<Metadata>() else {
            return Ok(());
        };
        let Some((budgets, api)) = self.budgeted(call) else {
            return Ok(());
        };
        if let Err((spent, priority)) = budgets.spend(api, call.name()) {
            self.observer.budget_spent(api, priority);
            bag.interceptor_state().store_put(NotMade);
            return Err(spent.into());
        }
        Ok(())
    }

    /// The last moment before it is sent: a process may be stopped for any time before.
    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let writes = bag
            .load::<Metadata>()
            .is_none_or(|call| !is_read(call.name()));
        if writes && !self.tenure.lasts() {
            bag.interceptor_state().store_put(NotMade);
            return Err(TenureIsOver.into());
        }
        if writes {
            // Nobody may want to know.
            let _ = HAS_WRITTEN.try_with(|written| written.set(true));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<NotMade>().is_some() {
            return Ok(());
        }
        if let Some(call) = bag.load::<Metadata>() {
            if let Some((budgets, api)) = self.budgeted(call)
                && context.response().is_some_and(is_throttling)
            {
                budgets.throttled(api, call.name());
                self.observer.throttled(api);
            }
            let duration = bag
                .load::<Started>()
                .map(|started| started.0.elapsed())
                .unwrap_or_default();
            let status = context
                .response()
                .map(|response| response.status().as_u16());
            self.observer
                .call_ended(call.service(), call.name(), status, duration);
        }
        Ok(())
    }
}
