//! What OpenTelemetry is told by: an annotation for its operator, and variables for the application.

use serde_json::Value;
use shopkeeper_api::workload::Workload;

use crate::resolve::Component;

/// The annotation on the pods that asks the OpenTelemetry Operator for its instrumentation, where that is wanted.
pub(super) fn annotation(workload: &Workload) -> Option<(String, Value)> {
    let inject = workload.tracing.as_ref()?.inject.as_ref()?;
    let instrumentation = match &inject.instrumentation {
        None => "true".to_owned(),
        Some(reference) => match &reference.namespace {
            None => reference.name.clone(),
            Some(namespace) => format!("{namespace}/{}", reference.name),
        },
    };
    let name = format!(
        "instrumentation.opentelemetry.io/inject-{}",
        inject.language.as_str()
    );
    Some((name, Value::from(instrumentation)))
}

/// The variables of the OpenTelemetry specification.
pub(super) fn variables(component: &Component) -> Vec<(&'static str, String)> {
    let Some(tracing) = &component.workload.tracing else {
        return Vec::new();
    };
    let mut variables = vec![("OTEL_SERVICE_NAME", component.name.clone())];
    if let Some(endpoint) = &tracing.endpoint {
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone()));
    }
    variables
}
