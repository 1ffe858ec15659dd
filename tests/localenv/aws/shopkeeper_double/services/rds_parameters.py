"""The engine parameters that parameter groups hold: names, defaults, and whether a change needs a reboot.

One line for each parameter: name, default (a dash: the engine decides), static or dynamic, type, allowed values. AWS
knows some 400 for PostgreSQL; these are the ones that are set in practice and the ones every tuning guide names.
"""

from __future__ import annotations

from ._records import Shape
from .rds_engines import ENGINES

_POSTGRES = """
archive_timeout 300 dynamic integer 0-2147483647
auto_explain.log_analyze - dynamic boolean 0,1
auto_explain.log_min_duration - dynamic integer -1-2147483647
auto_explain.log_nested_statements - dynamic boolean 0,1
autovacuum 1 dynamic boolean 0,1
autovacuum_analyze_scale_factor 0.05 dynamic float 0-100
autovacuum_analyze_threshold - dynamic integer 0-2147483647
autovacuum_freeze_max_age - static integer 100000000-750000000
autovacuum_max_workers GREATEST({DBInstanceClassMemory/64371566592},3) static integer 1-262143
autovacuum_naptime 15 dynamic integer 1-2147483
autovacuum_vacuum_cost_delay 2 dynamic integer -1-100
autovacuum_vacuum_cost_limit GREATEST({log(DBInstanceClassMemory/21474836480)*600},200) dynamic integer -1-10000
autovacuum_vacuum_scale_factor 0.1 dynamic float 0-100
autovacuum_vacuum_threshold - dynamic integer 0-2147483647
autovacuum_work_mem GREATEST({DBInstanceClassMemory/32768},65536) dynamic integer -1-2147483647
bgwriter_delay - dynamic integer 10-10000
bgwriter_lru_maxpages - dynamic integer 0-1000
bgwriter_lru_multiplier - dynamic float 0-10
checkpoint_completion_target 0.9 dynamic float 0-1
checkpoint_timeout - dynamic integer 30-3600
client_encoding - dynamic string -
client_min_messages - dynamic string debug5,debug4,debug3,debug2,debug1,log,notice,warning,error
commit_delay - dynamic integer 0-100000
constraint_exclusion - dynamic string partition,on,off
cpu_tuple_cost - dynamic float 0-1.79769e+308
deadlock_timeout - dynamic integer 1-2147483647
default_statistics_target - dynamic integer 1-10000
default_transaction_isolation - dynamic string serializable,repeatable read,read committed,read uncommitted
effective_cache_size {DBInstanceClassMemory/16384} dynamic integer 1-2147483647
effective_io_concurrency - dynamic integer 0-1000
enable_hashjoin - dynamic boolean 0,1
enable_indexscan - dynamic boolean 0,1
enable_mergejoin - dynamic boolean 0,1
enable_nestloop - dynamic boolean 0,1
enable_seqscan - dynamic boolean 0,1
hot_standby_feedback - dynamic boolean 0,1
huge_pages on static string on,off,try
idle_in_transaction_session_timeout 86400000 dynamic integer 0-2147483647
idle_session_timeout - dynamic integer 0-2147483647
jit - dynamic boolean 0,1
lock_timeout - dynamic integer 0-2147483647
log_autovacuum_min_duration 10000 dynamic integer -1-2147483647
log_checkpoints 1 dynamic boolean 0,1
log_connections - dynamic boolean 0,1
log_destination stderr dynamic string stderr,csvlog
log_disconnections - dynamic boolean 0,1
log_duration - dynamic boolean 0,1
log_error_verbosity - dynamic string terse,default,verbose
log_lock_waits - dynamic boolean 0,1
log_min_duration_statement - dynamic integer -1-2147483647
log_min_error_statement - dynamic string debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic
log_min_messages - dynamic string debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic
log_rotation_age - dynamic integer 1-1440
log_rotation_size - dynamic integer 50000-1000000
log_statement - dynamic string none,ddl,mod,all
log_temp_files - dynamic integer -1-2147483647
logical_decoding_work_mem - dynamic integer 64-2147483647
maintenance_work_mem GREATEST({DBInstanceClassMemory*1024/63963136},65536) dynamic integer 1024-2147483647
max_connections LEAST({DBInstanceClassMemory/9531392},5000) static integer 6-8388607
max_locks_per_transaction - static integer 10-2147483647
max_logical_replication_workers - static integer 0-262143
max_parallel_maintenance_workers - dynamic integer 0-1024
max_parallel_workers GREATEST({DBInstanceVCPU/2},8) dynamic integer 0-1024
max_parallel_workers_per_gather - dynamic integer 0-1024
max_prepared_transactions 0 static integer 0-262143
max_replication_slots 20 static integer 5-262143
max_standby_archive_delay 30000 dynamic integer -1-2147483647
max_standby_streaming_delay 30000 dynamic integer -1-2147483647
max_wal_senders 35 static integer 5-262143
max_wal_size 4096 dynamic integer 128-201326592
max_worker_processes GREATEST({DBInstanceVCPU*2},8) static integer 0-262143
min_wal_size 192 dynamic integer 128-201326592
password_encryption scram-sha-256 dynamic string md5,scram-sha-256
pg_stat_statements.max - static integer 100-2147483647
pg_stat_statements.track - dynamic string none,top,all
pgaudit.log - dynamic string ddl,function,misc,read,role,write,none,all
pgaudit.role - dynamic string rds_pgaudit
random_page_cost - dynamic float 0-1.79769e+308
rds.accepted_password_auth_method md5+scram dynamic string md5+scram,scram
rds.allowed_extensions * dynamic string -
rds.custom_dns_resolution 0 static boolean 0,1
rds.force_admin_logging_level - dynamic string disabled,debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic
rds.force_autovacuum_logging_level warning dynamic string disabled,debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic
rds.force_ssl 1 dynamic boolean 0,1
rds.log_retention_period 4320 dynamic integer 1440-10080
rds.logical_replication 0 static boolean 0,1
rds.rds_superuser_reserved_connections 2 static integer 0-8388607
rds.restrict_password_commands - static boolean 0,1
seq_page_cost - dynamic float 0-1.79769e+308
session_replication_role - dynamic string origin,replica,local
shared_buffers {DBInstanceClassMemory/32768} static integer 16-1073741823
shared_preload_libraries pg_stat_statements static list auto_explain,orafce,pgaudit,pglogical,pg_bigm,pg_cron,pg_hint_plan,pg_prewarm,pg_similarity,pg_stat_statements,pg_tle,pg_transport,plprofiler,plrust
statement_timeout - dynamic integer 0-2147483647
synchronous_commit on dynamic string local,on,off
temp_buffers - dynamic integer 100-1073741823
temp_file_limit - dynamic integer -1-2147483647
timezone UTC dynamic string -
track_activity_query_size 4096 static integer 100-1048576
track_commit_timestamp - static boolean 0,1
track_functions - dynamic string none,pl,all
track_io_timing 1 dynamic boolean 0,1
vacuum_cost_delay - dynamic integer 0-100
vacuum_cost_limit - dynamic integer 1-10000
wal_compression 2 dynamic string 0,1,2,pglz,lz4,off,on
wal_keep_size 2048 dynamic integer 0-2147483647
wal_receiver_timeout 30000 dynamic integer 0-3600000
wal_sender_timeout - dynamic integer 0-3600000
work_mem - dynamic integer 64-2147483647
"""

_MYSQL = """
activate_all_roles_on_login - dynamic boolean 0,1
auto_increment_increment - dynamic integer 1-65535
auto_increment_offset - dynamic integer 1-65535
autocommit 1 dynamic boolean 0,1
back_log - static integer 1-65535
binlog_cache_size 32768 dynamic integer 4096-18446744073709547520
binlog_format ROW dynamic string ROW,STATEMENT,MIXED,OFF
binlog_row_image full dynamic string full,minimal,noblob
character_set_client utf8mb4 dynamic string big5,latin1,utf8,utf8mb3,utf8mb4
character_set_connection utf8mb4 dynamic string big5,latin1,utf8,utf8mb3,utf8mb4
character_set_database utf8mb4 dynamic string big5,latin1,utf8,utf8mb3,utf8mb4
character_set_results utf8mb4 dynamic string big5,latin1,utf8,utf8mb3,utf8mb4
character_set_server utf8mb4 dynamic string big5,latin1,utf8,utf8mb3,utf8mb4
collation_connection - dynamic string -
collation_server - dynamic string -
connect_timeout - dynamic integer 2-31536000
default_storage_engine InnoDB dynamic string InnoDB
default_time_zone - static string -
event_scheduler ON dynamic string ON,OFF
explicit_defaults_for_timestamp 1 dynamic boolean 0,1
general_log - dynamic boolean 0,1
group_concat_max_len - dynamic integer 4-18446744073709551615
gtid-mode OFF_PERMISSIVE dynamic string OFF,OFF_PERMISSIVE,ON_PERMISSIVE,ON
innodb_adaptive_hash_index - dynamic boolean 0,1
innodb_autoinc_lock_mode - static integer 0,1,2
innodb_buffer_pool_instances - static integer 1-64
innodb_buffer_pool_size {DBInstanceClassMemory*3/4} dynamic integer 5242880-9223372036854775807
innodb_file_per_table 1 dynamic boolean 0,1
innodb_flush_log_at_trx_commit 1 dynamic integer 0,1,2
innodb_flush_method O_DIRECT static string O_DIRECT
innodb_io_capacity - dynamic integer 100-18446744073709551615
innodb_io_capacity_max - dynamic integer 2000-18446744073709547520
innodb_lock_wait_timeout - dynamic integer 1-1073741824
innodb_log_buffer_size 8388608 dynamic integer 262144-4294967295
innodb_max_dirty_pages_pct - dynamic integer 0-99
innodb_open_files - static integer 10-4294967295
innodb_page_size 16384 static integer 16384
innodb_print_all_deadlocks - dynamic boolean 0,1
innodb_purge_threads 1 static integer 1-32
innodb_read_io_threads - static integer 1-64
innodb_redo_log_capacity 2147483648 dynamic integer 8388608-137438953472
innodb_rollback_on_timeout - static boolean 0,1
innodb_sort_buffer_size - static integer 65536-67108864
innodb_stats_persistent - dynamic string OFF,ON,0,1
innodb_strict_mode - dynamic boolean 0,1
innodb_thread_concurrency - dynamic integer 0-1000
innodb_write_io_threads - static integer 1-64
interactive_timeout - dynamic integer 1-31536000
join_buffer_size - dynamic integer 128-18446744073709547520
lock_wait_timeout - dynamic integer 1-31536000
log_bin_trust_function_creators - dynamic boolean 0,1
log_error_verbosity - dynamic integer 1-3
log_output TABLE dynamic string TABLE,FILE,NONE
log_queries_not_using_indexes - dynamic boolean 0,1
log_slave_updates 1 static boolean 0,1
long_query_time - dynamic float 0-31536000
lower_case_table_names - static integer 0,1
max_allowed_packet - dynamic integer 1024-1073741824
max_binlog_size 134217728 dynamic integer 4096-1073741824
max_connect_errors - dynamic integer 1-9223372036854775807
max_connections {DBInstanceClassMemory/12582880} dynamic integer 1-100000
max_execution_time - dynamic integer 0-4294967295
max_heap_table_size - dynamic integer 16384-1844674407370954752
max_prepared_stmt_count - dynamic integer 0-1048576
max_user_connections - dynamic integer 0-4294967295
net_read_timeout - dynamic integer 1-31536000
net_write_timeout - dynamic integer 1-31536000
performance_schema 0 static boolean 0,1
query_prealloc_size - dynamic integer 8192-18446744073709547520
read_buffer_size 262144 dynamic integer 8192-2147479552
read_only {TrueIfReplica} dynamic string 0,1,{TrueIfReplica}
read_rnd_buffer_size 524288 dynamic integer 0-2147483647
require_secure_transport 0 dynamic boolean 0,1
skip_name_resolve - static boolean 0,1
slow_query_log - dynamic boolean 0,1
sort_buffer_size - dynamic integer 32768-18446744073709551615
sql_mode - dynamic list ALLOW_INVALID_DATES,ANSI_QUOTES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES,STRICT_TRANS_TABLES
sync_binlog 1 dynamic integer 0-4294967295
table_definition_cache LEAST({DBInstanceClassMemory/393040},20000) dynamic integer 400-524288
table_open_cache LEAST({DBInstanceClassMemory/1179121},6000) dynamic integer 1-1048576
thread_cache_size - dynamic integer 0-16384
time_zone - dynamic string -
tls_version - static list TLSv1.2,TLSv1.3
tmp_table_size - dynamic integer 1024-18446744073709551615
transaction_isolation - dynamic string READ-UNCOMMITTED,READ-COMMITTED,REPEATABLE-READ,SERIALIZABLE
wait_timeout - dynamic integer 1-31536000
"""

#: What AWS sets itself and does not let a parameter group change.
_FIXED = {
    "archive_timeout",
    "log_destination",
    "binlog_cache_size",
    "innodb_flush_method",
    "innodb_page_size",
    "innodb_purge_threads",
    "default_storage_engine",
}


def _parse(table: str) -> dict[str, Shape]:
    parameters = {}
    for line in table.strip().splitlines():
        name, default, apply_type, data_type, allowed = line.split(" ", 4)
        parameter: Shape = {
            "ParameterName": name,
            "Description": f"Sets {name.replace('_', ' ')}.",
            "ApplyType": apply_type,
            "DataType": data_type,
            "IsModifiable": name not in _FIXED,
            "ApplyMethod": "pending-reboot",
            # What AWS sets itself is shown as "system", what the engine decides as "engine-default".
            "Source": "engine-default" if default == "-" else "system",
        }
        if default != "-":
            parameter["ParameterValue"] = default
        if allowed != "-":
            parameter["AllowedValues"] = allowed
        parameters[name] = parameter
    return parameters


_TABLES = {"postgres": _parse(_POSTGRES), "mysql": _parse(_MYSQL)}


def families() -> set[str]:
    return {family for engine in ENGINES.values() for family in engine.families()}


def defaults_of(family: str) -> dict[str, Shape]:
    """The parameters of a family by name; the shapes are shared, copy before changing them."""
    return _TABLES["postgres" if "postgres" in family else "mysql"]


def accepts(parameter: Shape, value: str) -> bool:
    """Whether a value is among the allowed values. Formulas are taken as they are: AWS evaluates them later."""
    allowed = parameter.get("AllowedValues")
    if not allowed or "{" in value or "(" in value:
        return True
    if parameter["DataType"] in ("integer", "float"):
        try:
            number = float(value)
        except ValueError:
            return False
        if "," in allowed:
            return value in allowed.split(",")
        if "-" not in allowed.lstrip("-"):
            return value == allowed
        # The lowest value may itself be negative: "-1-2147483647".
        sign = -1 if allowed.startswith("-") else 1
        low, high = allowed.lstrip("-").split("-", 1)
        return sign * float(low) <= number <= float(high)
    if parameter["DataType"] == "list":
        return all(each.strip() in allowed.split(",") for each in value.split(",") if each.strip())
    return value in allowed.split(",")
