//! What users copy must be what the types understand: every file in examples/ is read, checked and written back.

use std::{error::Error, fs, path::Path};

use kube::core::cel::Validator;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shopkeeper_api::{CatalogService, OrderService, Platform, Storefront, all_crds};

fn round_trip<T: DeserializeOwned + Serialize>(
    written: &Value,
) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(written.clone())?)
}

#[test]
fn every_example_is_understood_and_valid() -> Result<(), Box<dyn Error>> {
    let crds = all_crds()?;
    let mut seen = 0;
    for folder in ["octank", "minimal", "retail-store"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples")
            .join(folder);
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let written: Value = serde_yaml_ng::from_str(&fs::read_to_string(&path)?)?;
            let kind = written["kind"].as_str().unwrap_or_default().to_owned();
            let read = match kind.as_str() {
                "Platform" => round_trip::<Platform>(&written),
                "Storefront" => round_trip::<Storefront>(&written),
                "CatalogService" => round_trip::<CatalogService>(&written),
                "OrderService" => round_trip::<OrderService>(&written),
                other => panic!("{}: no such kind: {other}", path.display()),
            }
            .map_err(|error| format!("{}: {error}", path.display()))?;
            // A misspelt field is dropped silently when reading, and shows here.
            assert_eq!(read, written, "{}", path.display());

            let crd = crds
                .iter()
                .find(|crd| crd.spec.names.kind == kind)
                .ok_or("no definition")?;
            let schema =
                serde_json::to_value(&crd.spec.versions[0].schema)?["openAPIV3Schema"].clone();
            if let Err(errors) = Validator::new().validate(&schema, &written, None) {
                panic!(
                    "{}: {:?}",
                    path.display(),
                    errors.iter().map(ToString::to_string).collect::<Vec<_>>()
                );
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 12, "four kinds in three shops");
    Ok(())
}
