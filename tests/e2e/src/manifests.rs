//! Custom resources that several scenarios start from.

use crate::Subject;

/// An OrderService whose pods are given the password of its database, as the variable `PASSWORD`, and more lines of its
/// specification.
pub fn order_service_with_database(subject: &Subject, more: &str) -> String {
    let Subject {
        namespace, name, ..
    } = subject;
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  database:
    type: RDS
    rds: {{engine: PostgreSQL, version: '17', instanceClass: db.t4g.medium, storage: 20Gi}}
  bindings:
    - {{resource: database, env: [{{name: PASSWORD, template: '{{{{password}}}}'}}]}}
{more}"
    )
}
