//! S3.

mod bucket;
mod content;
mod observation;
mod rules;
mod settings;

pub(crate) use bucket::BucketApi;
