//! ServiceMonitor of the Prometheus operator.

use serde_json::json;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::resolve::Component;

/// How often Prometheus asks.
const INTERVAL: &str = "30s";

/// Tells Prometheus where the application's metrics are; `None` where it has none or says so by annotations.
pub fn build(frame: &Frame<'_>, component: &Component) -> Option<KubernetesObject> {
    let metrics = component
        .metrics
        .as_ref()
        .filter(|metrics| metrics.service_monitor)?;
    Some(
        ObjectBuilder::new(frame, KubernetesKind::ServiceMonitor, &component.name)
            .with(
                "spec",
                json!({
                    "selector": {"matchLabels": frame.selector()},
                    "endpoints": [{"port": metrics.port.name, "path": metrics.path, "interval": INTERVAL}],
                }),
            )
            .build(),
    )
}
