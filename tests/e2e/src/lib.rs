//! What the end-to-end scenarios share: a shop in a local environment, ways to look at it, and records of what the operator
//! did.
//!
//! The scenarios in `tests/` treat the operator as a program: they apply YAML, change AWS through its SDKs, and look at the
//! API server, at AWS and at the records of both. Nothing here knows the operator's own types, so that a mistake in those
//! cannot hide itself.

mod aws;
mod definition;
mod edit;
mod expect;
mod http;
mod kubernetes;
mod manifests;
mod records;
mod scenarios;
mod secrecy;
mod shop;
mod view;

pub use aws::Aws;
pub use definition::{Definition, Elsewhere, changed, every_field_is_edited, not_shown_by};
pub use edit::set;
pub use expect::{equals, includes, says, text};
pub use http::get;
pub use kubernetes::Subject;
pub use manifests::order_service_with_database;
pub use records::Ledger;
pub use scenarios::{Scenario, run_together};
pub use secrecy::Secrets;
pub use shop::{OPERATOR_NAMESPACE, PATIENCE, Shop, read_example};
pub use view::View;
