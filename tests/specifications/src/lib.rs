//! Any custom resource that the API server could be given: made from the schema of its definition, out of bytes.
//!
//! Property tests and fuzzers both bring nothing but bytes, so that the one shrinks and the other steers what is made without
//! knowing what a specification is. What is made keeps the schema's types, bounds, patterns and enumerations; whether it keeps
//! the rules between fields too is told by [`Definitions::is_admitted`].

mod choices;
mod schema;
mod text;

use std::collections::BTreeMap;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::{Value, json};
use shopkeeper_api::all_crds;

pub use choices::Choices;

/// The kinds, with an example of each: most random specifications are refused at once, and changes of a good one are what
/// people write.
const EXAMPLES: [(&str, &str); 4] = [
    (
        "Platform",
        include_str!("../../../examples/octank/platform.yaml"),
    ),
    (
        "Storefront",
        include_str!("../../../examples/octank/storefront.yaml"),
    ),
    (
        "CatalogService",
        include_str!("../../../examples/octank/catalog.yaml"),
    ),
    (
        "OrderService",
        include_str!("../../../examples/octank/orders.yaml"),
    ),
];

/// Most fields of the example that are changed in one specification.
const CHANGES: usize = 6;

/// The definitions of all kinds.
pub struct Definitions {
    kinds: BTreeMap<String, Definition>,
}

struct Definition {
    schema: Value,
    compiled: CompiledSchema,
    example: Value,
}

impl Definitions {
    /// Those of this build.
    ///
    /// # Panics
    /// If a definition or an example cannot be read, which is a mistake in the code.
    #[must_use]
    #[expect(clippy::expect_used, reason = "only tests and fuzzers use this crate")]
    pub fn new() -> Self {
        let definitions = all_crds().expect("the definitions can be made");
        let kinds = definitions.into_iter().filter_map(|definition| {
            let kind = definition.spec.names.kind;
            let (_, example) = EXAMPLES.iter().find(|(name, _)| *name == kind)?;
            let version = serde_json::to_value(definition.spec.versions.first()?);
            let schema = version.expect("a definition is JSON")["schema"]["openAPIV3Schema"].take();
            let mut example: Value = serde_yaml_ng::from_str(example).expect("the example is YAML");
            example["metadata"]["uid"] = json!(format!("{kind}-uid"));
            let compiled = compile_schema(&schema);
            let definition = Definition {
                schema,
                compiled,
                example,
            };
            Some((kind, definition))
        });
        Self {
            kinds: kinds.collect(),
        }
    }

    /// Every kind there is.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// A custom resource of a kind: the example with some of its fields left out, changed or added, or now and then one that
    /// owes nothing to the example. The same choices give the same one, and no bytes the example itself.
    ///
    /// # Panics
    /// If there is no such kind.
    #[must_use]
    pub fn custom_resource(&self, kind: &str, choices: &mut Choices<'_>) -> Value {
        let definition = &self.kinds[kind];
        let specification = &definition.schema["properties"]["spec"];
        let mut object = definition.example.clone();
        if choices.one_in(16) {
            if let Some(any) = schema::value(specification, choices) {
                object["spec"] = any;
            }
            return object;
        }
        for _ in 0..choices.up_to(CHANGES) {
            schema::change(&mut object["spec"], specification, choices);
        }
        object
    }

    /// Whether the rules of its definition let it in. Bounds and patterns are taken to be kept.
    ///
    /// # Panics
    /// If there is no such kind.
    #[must_use]
    pub fn is_admitted(&self, kind: &str, object: &Value) -> bool {
        Validator::new()
            .validate_compiled(&self.kinds[kind].compiled, object, None)
            .is_ok()
    }
}

impl Default for Definitions {
    fn default() -> Self {
        Self::new()
    }
}
