"""Engines that ElastiCache offers here: versions, parameter group families, node types and parameters."""

from __future__ import annotations

import dataclasses
import re

from ._records import Shape, refuse


@dataclasses.dataclass(frozen=True)
class Engine:
    name: str
    description: str
    #: What a request says, and what the nodes then show.
    versions: dict[str, str]
    default: str
    port: int

    def family(self, version: str) -> str:
        major, minor = (version.split(".") + ["0"])[:2]
        if self.name == "memcached":
            return f"memcached{major}.{minor}"
        if self.name == "redis" and major in ("5", "6"):
            return "redis6.x" if major == "6" else "redis5.0"
        return f"{self.name}{major}"

    def resolve(self, wanted: str | None) -> str:
        """The version that nodes show for a request: 7.1.0 for 7.1."""
        if wanted is None:
            return self.versions[self.default]
        if wanted in self.versions:
            return self.versions[wanted]
        if wanted in self.versions.values():
            return wanted
        known = ", ".join(self.versions)
        raise refuse("InvalidParameterValue", f"Cannot find version {wanted} for {self.name}. Supported versions: {known}")


def order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("valkey", "Valkey", {"7.2": "7.2.6", "8.0": "8.0.1", "8.1": "8.1.0"}, "8.0", 6379),
        Engine(
            "redis", "Redis", {"5.0.6": "5.0.6", "6.0": "6.0.5", "6.2": "6.2.6", "7.0": "7.0.7", "7.1": "7.1.0"}, "7.1", 6379
        ),
        Engine(
            "memcached",
            "memcached",
            {each: each for each in ("1.5.16", "1.6.6", "1.6.12", "1.6.17", "1.6.22")},
            "1.6.22",
            11211,
        ),
    )
}

_LARGE = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
NODE_TYPES = frozenset(
    [f"cache.{family}.{size}" for family in ("t3", "t4g") for size in ("micro", "small", "medium")]
    + [f"cache.{family}.{size}" for family in ("m6g", "m7g", "r6g", "r7g", "c7gn") for size in _LARGE]
    + [
        f"cache.{family}.{size}"
        for family in ("m5", "r5")
        for size in ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge")
    ]
    + [f"cache.r6gd.{size}" for size in _LARGE[1:]]
)


def engine_named(name: str | None, *allowed: str) -> Engine:
    if name not in ENGINES or (allowed and name not in allowed):
        raise refuse(
            "InvalidParameterValue",
            f"Invalid parameter value for Engine: {name}. It must be one of: {', '.join(allowed or ENGINES)}",
        )
    return ENGINES[name]


def check_node_type(name: str | None) -> str:
    if not name:
        raise refuse("InvalidParameterValue", "The parameter CacheNodeType must be provided and must not be null.")
    if name not in NODE_TYPES:
        raise refuse("InvalidParameterValue", f"Invalid Cache Node Type: {name}.")
    return name


def families() -> set[str]:
    return {engine.family(version) for engine in ENGINES.values() for version in engine.versions.values()}


# name, default (a dash: none), type, allowed values, whether a change waits for a reboot
_REDIS = """
acllog-max-len 128 integer 1-10000 immediate
activedefrag no string yes,no immediate
active-defrag-cycle-max 75 integer 1-75 immediate
active-defrag-cycle-min 5 integer 1-75 immediate
active-defrag-ignore-bytes 104857600 integer 1048576-9223372036854775807 immediate
active-defrag-max-scan-fields 1000 integer 1-1000000 immediate
active-defrag-threshold-lower 10 integer 1-100 immediate
active-defrag-threshold-upper 100 integer 1-100 immediate
active-expire-effort 1 integer 1-10 immediate
activerehashing yes string yes,no requires-reboot
appendfsync everysec string always,everysec,no immediate
appendonly no string yes,no immediate
client-output-buffer-limit-normal-hard-limit 0 integer 0-9223372036854775807 immediate
client-output-buffer-limit-normal-soft-limit 0 integer 0-9223372036854775807 immediate
client-output-buffer-limit-normal-soft-seconds 0 integer 0-9223372036854775807 immediate
client-output-buffer-limit-pubsub-hard-limit 33554432 integer 0-9223372036854775807 immediate
client-output-buffer-limit-pubsub-soft-limit 8388608 integer 0-9223372036854775807 immediate
client-output-buffer-limit-pubsub-soft-seconds 60 integer 0-9223372036854775807 immediate
client-query-buffer-limit 1073741824 integer 1048576-1073741824 immediate
close-on-replica-write yes string yes,no immediate
cluster-allow-pubsubshard-when-down yes string yes,no immediate
cluster-allow-reads-when-down no string yes,no immediate
cluster-enabled no string yes,no requires-reboot
cluster-require-full-coverage no string yes,no immediate
databases 16 integer 1-1200000 requires-reboot
hash-max-listpack-entries 512 integer 0-9223372036854775807 immediate
hash-max-listpack-value 64 integer 0-9223372036854775807 immediate
hll-sparse-max-bytes 3000 integer 1-16000 immediate
latency-tracking no string yes,no immediate
lazyfree-lazy-eviction yes string yes,no immediate
lazyfree-lazy-expire yes string yes,no immediate
lazyfree-lazy-server-del yes string yes,no immediate
lazyfree-lazy-user-del yes string yes,no immediate
lfu-decay-time 1 integer 0-9223372036854775807 immediate
lfu-log-factor 10 integer 0-9223372036854775807 immediate
list-compress-depth 0 integer 0-9223372036854775807 immediate
list-max-listpack-size -2 integer -5,-4,-3,-2,-1 immediate
lua-time-limit 5000 integer 5000 immediate
maxclients 65000 integer 1-65000 immediate
maxmemory-policy volatile-lru string volatile-lru,allkeys-lru,volatile-lfu,allkeys-lfu,volatile-random,allkeys-random,volatile-ttl,noeviction immediate
maxmemory-samples 3 integer 1-9223372036854775807 immediate
min-replicas-max-lag 10 integer 0-9223372036854775807 immediate
min-replicas-to-write 0 integer 0-9223372036854775807 immediate
notify-keyspace-events - string - immediate
proto-max-bulk-len 536870912 integer 1048576-536870912 immediate
rename-commands - string - immediate
repl-backlog-size 1048576 integer 16384-9223372036854775807 immediate
repl-backlog-ttl 3600 integer 0-9223372036854775807 immediate
repl-timeout 60 integer 11-60 immediate
replica-allow-chaining no string yes,no immediate
replica-ignore-maxmemory yes string yes,no immediate
replica-lazy-flush yes string yes,no immediate
reserved-memory-percent 25 integer 0-100 immediate
set-max-intset-entries 512 integer 0-9223372036854775807 immediate
set-max-listpack-entries 128 integer 0-9223372036854775807 immediate
slowlog-log-slower-than 10000 integer -1-9223372036854775807 immediate
slowlog-max-len 128 integer 0-9223372036854775807 immediate
stream-node-max-bytes 4096 integer 0-9223372036854775807 immediate
stream-node-max-entries 100 integer 0-9223372036854775807 immediate
tcp-keepalive 300 integer 20-10000 immediate
timeout 0 integer 0,20-9223372036854775807 immediate
tracking-table-max-keys 1000000 integer 1-100000000 immediate
zset-max-listpack-entries 128 integer 0-9223372036854775807 immediate
zset-max-listpack-value 64 integer 0-9223372036854775807 immediate
"""

_MEMCACHED = """
backlog_queue_limit 1024 integer 1-10000 requires-reboot
binding_protocol auto string auto,binary,ascii requires-reboot
cas_disabled 0 boolean 0,1 requires-reboot
chunk_size 48 integer 1-1024 requires-reboot
chunk_size_growth_factor 1.25 float 1-1024 requires-reboot
disable_flush_all 0 boolean 0,1 requires-reboot
error_on_memory_exhausted 0 boolean 0,1 requires-reboot
hash_algorithm jenkins string jenkins,murmur3 requires-reboot
idle_timeout 0 integer 0-86400 requires-reboot
lru_crawler 1 boolean 0,1 requires-reboot
lru_maintainer 1 boolean 0,1 requires-reboot
max_item_size 1048576 integer 1024-1073741824 requires-reboot
max_simultaneous_connections 65000 integer 3-65000 requires-reboot
maxconns_fast 1 boolean 0,1 requires-reboot
memcached_connections_overhead 100 integer 0-65536 requires-reboot
modern 1 boolean 1 requires-reboot
slab_automove 1 integer 0,1,2 requires-reboot
slab_reassign 1 boolean 0,1 requires-reboot
"""

#: Parameters whose value only the default groups with cluster mode differ in, or that AWS sets itself.
_FIXED = {"lua-time-limit", "modern", "replica-ignore-maxmemory", "replica-lazy-flush"}


def _parse(table: str) -> dict[str, Shape]:
    parameters = {}
    for line in table.strip().splitlines():
        name, default, data_type, allowed, change = line.split(" ")
        parameter: Shape = {
            "ParameterName": name,
            "Description": f"Sets {name.replace('-', ' ').replace('_', ' ')}.",
            "Source": "system",
            "DataType": data_type,
            "IsModifiable": name not in _FIXED,
            "ChangeType": change,
        }
        if default != "-":
            parameter["ParameterValue"] = default
        if allowed != "-":
            parameter["AllowedValues"] = allowed
        parameters[name] = parameter
    return parameters


_TABLES = {"redis": _parse(_REDIS), "memcached": _parse(_MEMCACHED)}
_FIRST_VERSION = {"redis": "2.6.13", "memcached": "1.4.5"}


def parameters_of(family: str) -> dict[str, Shape]:
    """The parameters of a family by name, each a fresh shape."""
    table = "memcached" if family.startswith("memcached") else "redis"
    return {name: {**shape, "MinimumEngineVersion": _FIRST_VERSION[table]} for name, shape in _TABLES[table].items()}


def accepts(parameter: Shape, value: str) -> bool:
    allowed = parameter.get("AllowedValues")
    if not allowed:
        return True
    for part in allowed.split(","):
        if part == value:
            return True
        if parameter["DataType"] in ("integer", "float") and (bounds := re.fullmatch(r"(-?\d+)-(\d+)", part)):
            try:
                if float(bounds[1]) <= float(value) <= float(bounds[2]):
                    return True
            except ValueError:
                return False
    return False
