"""Engines that RDS offers here: versions and their upgrades, instance classes, storage limits, log types.

A handful of versions for each engine, with the rules that AWS applies to them: upgrades go to a higher minor version, or
to a higher major version with AllowMajorVersionUpgrade; classes on Graviton and Serverless v2 need the engines they run.
"""

from __future__ import annotations

import dataclasses
import re

from ._records import Shape, refuse


@dataclasses.dataclass(frozen=True)
class Engine:
    name: str
    description: str
    versions: tuple[str, ...]
    default: str
    port: int
    license_model: str
    log_types: tuple[str, ...]
    aurora: bool = False

    def major(self, version: str) -> str:
        """The part of a version that a parameter group family belongs to: 16 of 16.4, 8.0 of 8.0.40."""
        if self.name == "aurora-mysql":
            return version.split(".mysql_aurora")[0]
        parts = version.split(".")
        return parts[0] if "postgres" in self.name else ".".join(parts[:2])

    def family(self, version: str) -> str:
        return f"{self.name}{self.major(version)}"

    def order(self, version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", version.replace("mysql_aurora", "")))

    def families(self) -> set[str]:
        return {self.family(version) for version in self.versions}

    def upgrades(self, version: str) -> list[str]:
        mine = self.order(version)
        return [other for other in self.versions if self.order(other) > mine]

    def resolve(self, wanted: str | None) -> str:
        """The full version for a request: a major version alone stands for its newest minor version."""
        if wanted is None:
            return self.default
        if wanted in self.versions:
            return wanted
        within = [version for version in self.versions if version.startswith(wanted + ".")]
        if not within:
            raise refuse("InvalidParameterCombination", f"Cannot find version {wanted} for {self.name}")
        return max(within, key=self.order)


def _minors(major: str, *minors: int) -> tuple[str, ...]:
    return tuple(f"{major}.{minor}" for minor in minors)


_POSTGRES = (
    _minors("13", 18, 20, 22)
    + _minors("14", 12, 13, 15, 17, 18, 19)
    + _minors("15", 7, 8, 10, 12, 13, 14)
    + _minors("16", 3, 4, 6, 8, 9, 10)
    + _minors("17", 2, 4, 5, 6)
)
_AURORA_POSTGRES = (
    _minors("13", 18, 20, 21)
    + _minors("14", 13, 15, 17, 18)
    + _minors("15", 8, 10, 12, 13)
    + _minors("16", 4, 6, 8, 9)
    + _minors("17", 4, 5)
)

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            "postgres",
            "PostgreSQL",
            _POSTGRES,
            "16.8",
            5432,
            "postgresql-license",
            ("iam-db-auth-error", "postgresql", "upgrade"),
        ),
        Engine(
            "mysql",
            "MySQL Community Edition",
            _minors("8.0", 36, 39, 40, 41, 42, 43) + _minors("8.4", 3, 4, 5, 6),
            "8.0.42",
            3306,
            "general-public-license",
            ("audit", "error", "general", "iam-db-auth-error", "slowquery"),
        ),
        Engine(
            "mariadb",
            "MariaDB Community Edition",
            _minors("10.6", 18, 20, 21, 22) + _minors("10.11", 8, 10, 11, 13) + _minors("11.4", 3, 4, 5, 7),
            "11.4.5",
            3306,
            "general-public-license",
            ("audit", "error", "general", "iam-db-auth-error", "slowquery"),
        ),
        Engine(
            "aurora-postgresql",
            "Aurora (PostgreSQL)",
            _AURORA_POSTGRES,
            "16.8",
            5432,
            "postgresql-license",
            ("iam-db-auth-error", "instance", "postgresql"),
            aurora=True,
        ),
        Engine(
            "aurora-mysql",
            "Aurora (MySQL)",
            tuple(f"8.0.mysql_aurora.3.{minor}" for minor in ("04.3", "05.2", "08.1", "08.2", "09.0", "10.0")),
            "8.0.mysql_aurora.3.08.2",
            3306,
            "general-public-license",
            ("audit", "error", "general", "iam-db-auth-error", "instance", "slowquery"),
            aurora=True,
        ),
    )
}

_GRAVITON_LARGE = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
_SIZES = {
    "t3": ("micro", "small", "medium", "large", "xlarge", "2xlarge"),
    "t4g": ("micro", "small", "medium", "large", "xlarge", "2xlarge"),
    **{family: _GRAVITON_LARGE for family in ("m6g", "m7g", "r6g", "r7g")},
    **{family: (*_GRAVITON_LARGE, "24xlarge") for family in ("m5", "m6i", "m7i", "r5", "r6i", "r7i")},
    "r8g": (*_GRAVITON_LARGE, "24xlarge"),
    "m8g": (*_GRAVITON_LARGE, "24xlarge"),
}
_CLASSES = tuple(f"db.{family}.{size}" for family, sizes in _SIZES.items() for size in sizes)
_AURORA_CLASSES = (
    "db.serverless",
    "db.t3.medium",
    "db.t3.large",
    "db.t4g.medium",
    "db.t4g.large",
    *(name for name in _CLASSES if name.startswith(("db.r5.", "db.r6", "db.r7", "db.r8"))),
)

#: Smallest and largest AllocatedStorage in GiB, by storage type, of the engines without Aurora storage.
STORAGE_LIMITS = {"gp2": (20, 65536), "gp3": (20, 65536), "io1": (100, 65536), "io2": (100, 65536), "standard": (5, 3072)}
CERTIFICATE_AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")


def classes_of(engine: Engine) -> tuple[str, ...]:
    return _AURORA_CLASSES if engine.aurora else _CLASSES


def engine_named(name: str | None) -> Engine:
    if name not in ENGINES:
        raise refuse("InvalidParameterValue", f"Invalid DB engine: {name}")
    return ENGINES[name]


def check_class(engine: Engine, version: str, wanted: str | None) -> str:
    if not wanted:
        raise refuse("InvalidParameterValue", "The parameter DBInstanceClass must be provided and must not be blank.")
    if wanted not in _CLASSES and wanted not in _AURORA_CLASSES:
        raise refuse("InvalidParameterValue", f"Invalid DB Instance class: {wanted}")
    if wanted not in classes_of(engine):
        raise refuse(
            "InvalidParameterCombination",
            f"RDS does not support creating a DB instance with the following combination: DBInstanceClass={wanted}, "
            f"Engine={engine.name}, EngineVersion={version}, LicenseModel={engine.license_model}. For supported combinations "
            "of instance class and database engine version, see the documentation.",
        )
    return wanted


def check_upgrade(engine: Engine, current: str, wanted: str, allow_major: bool) -> str:
    target = engine.resolve(wanted)
    if target == current:
        return target
    if target not in engine.upgrades(current):
        raise refuse("InvalidParameterCombination", f"Cannot upgrade {engine.name} from {current} to {target}")
    if engine.major(target) != engine.major(current) and not allow_major:
        raise refuse(
            "InvalidParameterCombination",
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
        )
    return target


def engine_version_shape(engine: Engine, version: str) -> Shape:
    return {
        "Engine": engine.name,
        "MajorEngineVersion": engine.major(version),
        "EngineVersion": version,
        "DBParameterGroupFamily": engine.family(version),
        "DBEngineDescription": engine.description,
        "DBEngineVersionDescription": f"{engine.description} {version}",
        "ValidUpgradeTarget": [
            {
                "Engine": engine.name,
                "EngineVersion": target,
                "Description": f"{engine.description} {target}",
                "AutoUpgrade": False,
                "IsMajorVersionUpgrade": engine.major(target) != engine.major(version),
            }
            for target in engine.upgrades(version)
        ],
        "ExportableLogTypes": list(engine.log_types),
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": True,
        "SupportedFeatureNames": [],
        "SupportedEngineModes": ["provisioned"] if engine.aurora else [],
        "Status": "available",
        "SupportsParallelQuery": False,
        "SupportsGlobalDatabases": engine.aurora,
        "SupportsBabelfish": engine.name == "aurora-postgresql",
        "SupportsCertificateRotationWithoutRestart": True,
        "SupportedCACertificateIdentifiers": list(CERTIFICATE_AUTHORITIES),
        "SupportsIntegrations": False,
        "TagList": [],
    }


def orderable_shapes(engine: Engine, version: str, region: str) -> list[Shape]:
    zones = [{"Name": f"{region}{letter}"} for letter in "abc"]
    storage_types = ("aurora", "aurora-iopt1") if engine.aurora else ("gp2", "gp3", "io1", "io2")
    shapes = []
    for name in classes_of(engine):
        for storage in storage_types:
            provisioned = storage in ("gp3", "io1", "io2")
            shape = {
                "Engine": engine.name,
                "EngineVersion": version,
                "DBInstanceClass": name,
                "LicenseModel": engine.license_model,
                "AvailabilityZoneGroup": "",
                "AvailabilityZones": zones,
                "MultiAZCapable": not engine.aurora,
                "ReadReplicaCapable": True,
                "Vpc": True,
                "SupportsStorageEncryption": True,
                "StorageType": storage,
                "SupportsIops": provisioned,
                "SupportsStorageThroughput": storage == "gp3",
                "SupportsEnhancedMonitoring": True,
                "SupportsIAMDatabaseAuthentication": True,
                "SupportsPerformanceInsights": True,
                "AvailableProcessorFeatures": [],
                "SupportedEngineModes": ["provisioned"],
                "SupportsStorageAutoscaling": not engine.aurora,
                "SupportsKerberosAuthentication": True,
                "OutpostCapable": False,
                "SupportedActivityStreamModes": [],
                "SupportsGlobalDatabases": engine.aurora,
                "SupportedNetworkTypes": ["IPV4", "DUAL"],
                "SupportsClusters": engine.aurora,
                "SupportsDedicatedLogVolume": False,
            }
            if not engine.aurora:
                shape["MinStorageSize"], shape["MaxStorageSize"] = STORAGE_LIMITS[storage]
            if provisioned:
                shape["MinIopsPerDbInstance"], shape["MaxIopsPerDbInstance"] = (
                    (12000, 64000) if storage == "gp3" else (1000, 256000)
                )
            shapes.append(shape)
    return shapes
