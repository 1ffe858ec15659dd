//! A record of every call to AWS: who, what, how it went and how long it took.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Layer, Storable, StoreReplace};

/// Hears of every call after it ended.
pub trait CallObserver: Send + Sync + fmt::Debug + 'static {
    /// A call ended. `status` is the HTTP status, or `None` where no answer came.
    fn call_ended(&self, service: &str, operation: &str, status: Option<u16>, duration: Duration);
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

/// The interceptor that tells a [`CallObserver`].
#[derive(Clone, Debug)]
pub struct CallRecorder {
    observer: Arc<dyn CallObserver>,
}

#[derive(Debug)]
struct Started(Instant);

impl Storable for Started {
    type Storer = StoreReplace<Self>;
}

impl CallRecorder {
    pub(crate) fn new(observer: Arc<dyn CallObserver>) -> Self {
        Self { observer }
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

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = bag.load::<Metadata>() {
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
