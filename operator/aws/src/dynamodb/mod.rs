//! DynamoDB.

mod backup;
mod change;
mod definition;
mod description;
mod table;

pub(crate) use table::TableApi;
