//! The services that are made, changed and deleted: each with all that its kind can have in AWS.

use shopkeeper_e2e::Subject;

pub const NAMESPACE: &str = "crash";

/// A service of which many are made under different names.
pub struct Service {
    pub kind: &'static str,
    yaml: &'static str,
}

impl Service {
    pub fn subject(&self, name: &str) -> Subject {
        Subject::new(self.kind, NAMESPACE, name)
    }

    pub fn yaml(&self, name: &str) -> String {
        self.yaml.replace("NAME", name)
    }
}

pub const CATALOG: Service = Service {
    kind: "CatalogService",
    yaml: r#"apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: NAME, namespace: crash}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 2}}
  products: {keys: {partition: {name: id, type: String}}}
  cache: {engine: Valkey, nodeType: cache.r7g.large, replicas: 1}
  media: {archiveAfterInactiveDays: 180}
  bindings:
    - {resource: products, env: [{name: PRODUCTS_TABLE, template: "{{tableName}}"}]}
    - {resource: cache, env: [{name: CACHE_HOST, template: "{{host}}"}]}
"#,
};

pub const ORDERS: Service = Service {
    kind: "OrderService",
    yaml: r#"apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: NAME, namespace: crash}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: NodeGroup, nodeGroup: {instanceTypes: [m7g.large], min: 1, max: 2}}
  database:
    type: RDS
    rds: {engine: PostgreSQL, version: "17", instanceClass: db.r7g.large, storage: 20Gi, multiAZ: Enabled}
  notifications:
    topics: [{name: buy, subscribers: [{type: Queue, queue: fulfilment}]}]
    queues: [{name: fulfilment, maxReceives: 5}]
  bindings:
    - {resource: database, secretName: NAME-database, env: [{name: DATABASE_URL, template: "{{uri}}"}]}
"#,
};
