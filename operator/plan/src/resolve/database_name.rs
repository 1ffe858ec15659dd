//! The name of a database that is not declared.

use shopkeeper_api::database::DatabaseEngine;

/// The words that PostgreSQL reserves in every version, and the databases that are there already.
const POSTGRESQL: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column \
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp \
    current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having \
    ilike in initially inner intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not \
    notnull null offset on only or order outer overlaps placing primary rdsadmin references returning right select session_user \
    similar some symmetric tablesample template0 template1 then to trailing true union unique user using variadic verbose when \
    where window with";

/// The words that MySQL and MariaDB reserve in every version, and the databases that are there already.
const MYSQL: &str = "accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call cascade case change \
    char character check collate column condition constraint continue convert create cross current_date current_time \
    current_timestamp current_user cursor database databases day_hour day_microsecond day_minute day_second dec decimal declare \
    default delayed delete desc describe deterministic distinct distinctrow div double drop dual each else elseif enclosed \
    escaped exists exit explain false fetch float float4 float8 for force foreign from fulltext grant group having high_priority \
    hour_microsecond hour_minute hour_second if ignore in index infile information_schema inner innodb inout insensitive insert \
    int int1 int2 int3 int4 int8 integer interval into is iterate join key keys kill leading leave left like limit linear lines \
    load localtime localtimestamp lock long longblob longtext loop low_priority match mediumblob mediumint mediumtext middleint \
    minute_microsecond minute_second mod modifies mysql natural no_write_to_binlog not null numeric on optimize option optionally \
    or order out outer outfile partition performance_schema precision primary procedure purge range rdsadmin read read_write \
    reads real references regexp release rename repeat replace require resignal restrict return revoke right rlike schema schemas \
    second_microsecond select sensitive separator set show signal smallint spatial specific sql sql_big_result \
    sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl starting straight_join sys table terminated then \
    tinyblob tinyint tinytext to trailing trigger true undo union unique unlock unsigned update usage use using utc_date utc_time \
    utc_timestamp values varbinary varchar varcharacter varying when where while with write xor year_month zerofill";

/// What stands behind a name that would be reserved.
const BEHIND: &str = "_db";

/// The name of the custom resource as RDS takes it: a letter first, no hyphens, and no word that the engine reserves. A name can never be
/// changed, so that a word once left out of the lists must not be added to them: databases may have it by then.
pub(super) fn database_name(engine: DatabaseEngine, name: &str) -> String {
    let text: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(63)
        .collect();
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return format!("d{text}").chars().take(63).collect();
    }
    let reserved = match engine {
        DatabaseEngine::PostgreSQL => POSTGRESQL,
        DatabaseEngine::MySQL | DatabaseEngine::MariaDB => MYSQL,
    };
    if reserved.split(' ').any(|word| word == text) {
        return format!("{text}{BEHIND}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_names_suit_rds() {
        use DatabaseEngine::{MariaDB, MySQL, PostgreSQL};
        for (engine, name, expected) in [
            (PostgreSQL, "my-orders", "my_orders"),
            (PostgreSQL, "1st", "d1st"),
            (PostgreSQL, "order", "order_db"),
            (PostgreSQL, "user", "user_db"),
            (PostgreSQL, "group", "group_db"),
            (PostgreSQL, "current-user", "current_user_db"),
            (PostgreSQL, "rdsadmin", "rdsadmin_db"),
            (MySQL, "order", "order_db"),
            (MariaDB, "group", "group_db"),
            (MySQL, "mysql", "mysql_db"),
            // What one engine reserves, another one takes: what is made keeps its name.
            (MySQL, "user", "user"),
            (PostgreSQL, "key", "key"),
            (MySQL, "key", "key_db"),
            (PostgreSQL, "orders", "orders"),
            (MySQL, "orders", "orders"),
            (PostgreSQL, "postgres", "postgres"),
        ] {
            assert_eq!(database_name(engine, name), expected, "{engine:?} {name}");
        }
    }

    #[test]
    fn words_are_written_as_names_are() {
        for word in POSTGRESQL.split(' ').chain(MYSQL.split(' ')) {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(!word.is_empty() && word.chars().all(fits), "{word:?}");
        }
    }
}
