//! Relational databases.

use std::collections::BTreeMap;

use shopkeeper_api::{
    Toggle,
    database::{Database, DatabaseEngine, DatabaseTransitEncryption, Rds, StorageType},
    defaults,
};

use super::{Context, DataResource, database_name::database_name};
use crate::{
    aws::{RdsInstance, RdsParameterGroup, RdsSubnetGroup},
    failure::Failure,
};

/// Longest identifier of an instance.
const LONGEST_IDENTIFIER: usize = 63;

/// A database with its subnet and parameter group.
pub(super) fn database(
    context: Context<'_>,
    declared: &Database,
) -> Result<Vec<DataResource>, Failure> {
    match &declared.rds {
        Some(rds) => instance(context, rds),
        None => Err(Failure::invalid(
            "spec.database.rds",
            "is missing",
            "describe the instance in spec.database.rds",
        )),
    }
}

fn instance(context: Context<'_>, declared: &Rds) -> Result<Vec<DataResource>, Failure> {
    let identifier = declared
        .identifier
        .clone()
        .unwrap_or_else(|| context.identifier("", LONGEST_IDENTIFIER));
    let family = family(declared);
    let subnet_group = RdsSubnetGroup {
        name: identifier.clone(),
        description: format!("Private subnets for {}", context.owner.path()),
        subnets: context.private_subnets(),
        tags: context.tags(),
    };
    let parameter_group = RdsParameterGroup {
        name: format!("{identifier}-{}", family.replace('.', "-")),
        family,
        description: format!("Parameters of {}", context.owner.path()),
        parameters: parameters(declared),
        tags: context.tags(),
    };
    let database_name = declared
        .database_name
        .clone()
        .unwrap_or_else(|| database_name(declared.engine, &context.owner.name));
    check_username(declared.engine, declared.username.as_deref())?;
    let instance = RdsInstance {
        engine: declared.engine.rds_name().to_owned(),
        engine_version: declared.version.clone(),
        instance_class: declared.instance_class.clone(),
        allocated_storage: gibibytes("spec.database.rds.storage", &declared.storage)?,
        max_allocated_storage: declared
            .max_storage
            .as_deref()
            .map(|text| gibibytes("spec.database.rds.maxStorage", text))
            .transpose()?,
        storage_type: match declared.storage_type {
            Some(StorageType::Io2) => "io2",
            Some(StorageType::Gp3) | None => "gp3",
        }
        .to_owned(),
        iops: declared.iops,
        multi_az: declared.multi_az.is_none_or(Toggle::is_enabled),
        database_name: Some(database_name),
        username: declared
            .username
            .clone()
            .unwrap_or_else(|| defaults::DATABASE_USERNAME.to_owned()),
        port: declared
            .port
            .unwrap_or_else(|| declared.engine.default_port()),
        subnet_group: subnet_group.name.clone(),
        parameter_group: parameter_group.name.clone(),
        security_groups: context.security_groups(),
        kms_key_arn: Some(context.platform.key_arn.clone()),
        backup_retention_days: declared
            .backup_retention_days
            .unwrap_or(defaults::BACKUP_RETENTION_DAYS),
        backup_window: declared.backup_window.clone(),
        maintenance_window: declared.maintenance_window.clone(),
        deletion_protection: declared.deletion_protection.is_none_or(Toggle::is_enabled),
        performance_insights: declared.performance_insights.is_none_or(Toggle::is_enabled),
        log_exports: declared.log_exports.iter().cloned().collect(),
        auto_minor_version_upgrade: declared
            .auto_minor_version_upgrade
            .is_none_or(Toggle::is_enabled),
        ca_certificate: Some(
            declared
                .ca_certificate
                .clone()
                .unwrap_or_else(|| defaults::CA_CERTIFICATE.to_owned()),
        ),
        publicly_accessible: false,
        managed_password: true,
        copy_tags_to_snapshot: true,
        tags: context.tags(),
        identifier,
    };
    let subnet_group = DataResource::hidden("database.subnets", subnet_group);
    let parameter_group = DataResource::hidden("database.parameters", parameter_group);
    let after = [subnet_group.key(), parameter_group.key()];
    Ok(vec![
        subnet_group,
        parameter_group,
        DataResource::bound("database", "", "database", instance).after(&after),
    ])
}

/// The parameters that are set. What is said of TLS is said of each engine in its own words, and always: the engines' defaults differ by
/// version.
fn parameters(declared: &Rds) -> BTreeMap<String, String> {
    let only_tls = match declared.engine {
        DatabaseEngine::PostgreSQL => "rds.force_ssl",
        DatabaseEngine::MySQL | DatabaseEngine::MariaDB => "require_secure_transport",
    };
    let is_required = match declared.transit_encryption {
        None | Some(DatabaseTransitEncryption::Required) => "1",
        Some(DatabaseTransitEncryption::Preferred) => "0",
    };
    let own = declared
        .parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.value.clone()));
    std::iter::once((only_tls.to_owned(), is_required.to_owned()))
        .chain(own)
        .collect()
}

/// The parameter group family of an engine version. PostgreSQL counts majors by one number, the others by two.
fn family(declared: &Rds) -> String {
    let numbers = if declared.engine == DatabaseEngine::PostgreSQL {
        1
    } else {
        2
    };
    let major: Vec<&str> = declared.version.split('.').take(numbers).collect();
    format!("{}{}", declared.engine.rds_name(), major.join("."))
}

/// Names that RDS keeps for itself or the engine does: RDS would refuse the instance, for ever.
fn check_username(engine: DatabaseEngine, username: Option<&str>) -> Result<(), Failure> {
    let Some(name) = username else { return Ok(()) };
    let lower = name.to_ascii_lowercase();
    let is_taken = lower == "rdsadmin"
        || (engine == DatabaseEngine::PostgreSQL
            && (["admin", "public", "none"].contains(&lower.as_str()) || lower.starts_with("pg_")));
    if is_taken {
        return Err(Failure::invalid(
            "spec.database.rds.username",
            &format!("{name} is a name that RDS or the engine keeps for itself"),
            "choose another one; it cannot be changed, and no database was made: take spec.database and its binding out, apply, and write them \
             again",
        ));
    }
    Ok(())
}

/// A size such as `200Gi` or `2Ti` in GiB, the unit of RDS.
fn gibibytes(field: &str, text: &str) -> Result<i32, Failure> {
    let (number, factor) = match (text.strip_suffix("Gi"), text.strip_suffix("Ti")) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 1024),
        _ => (text, 0),
    };
    number
        .parse::<i32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|size| *size > 0)
        .ok_or_else(|| {
            Failure::invalid(
                field,
                &format!("{text} is no size in Gi or Ti"),
                "write a whole number, such as 200Gi",
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sizes_are_in_gibibytes() {
        assert_eq!(gibibytes("f", "200Gi"), Ok(200));
        assert_eq!(gibibytes("f", "2Ti"), Ok(2048));
        assert!(gibibytes("f", "200").is_err());
        assert!(gibibytes("f", "200G").is_err());
        assert!(gibibytes("f", "0Gi").is_err());
    }

    #[test]
    fn only_tls_is_let_in_unless_somebody_says_so() {
        let of = |more: Value| {
            let mut declared = json!({
                "engine": "PostgreSQL", "version": "14", "instanceClass": "db.t4g.medium", "storage": "20Gi",
            });
            declared
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            parameters(&serde_json::from_value(declared).unwrap())
        };
        let only = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(of(json!({})), only("rds.force_ssl", "1"));
        assert_eq!(
            of(json!({"engine": "MySQL"})),
            only("require_secure_transport", "1")
        );
        assert_eq!(
            of(json!({"transitEncryption": "Preferred"})),
            only("rds.force_ssl", "0")
        );
        let own = json!({"parameters": [{"name": "rds.force_ssl", "value": "0"}]});
        assert_eq!(of(own), only("rds.force_ssl", "0"));
    }

    #[test]
    fn reserved_names_of_the_master_user_are_refused() {
        use DatabaseEngine::{MySQL, PostgreSQL};
        for (engine, name, fits) in [
            (PostgreSQL, Some("rdsadmin"), false),
            (MySQL, Some("RdsAdmin"), false),
            (PostgreSQL, Some("admin"), false),
            (PostgreSQL, Some("pg_owner"), false),
            (MySQL, Some("admin"), true),
            (PostgreSQL, Some("shopkeeper"), true),
            (PostgreSQL, None, true),
        ] {
            assert_eq!(
                check_username(engine, name).is_ok(),
                fits,
                "{engine:?} {name:?}"
            );
        }
    }
}
