"""What RDS says of itself: engine versions, orderable options, certificates, events, pending maintenance."""

from __future__ import annotations

import datetime
from typing import Any

from ._records import Shape, now, page, refuse
from .rds_engines import CERTIFICATE_AUTHORITIES, ENGINES, engine_named, engine_version_shape, orderable_shapes
from .rds_resources import find_instance, operation


@operation
def describe_db_engine_versions(backend: Any, params: Shape) -> Shape:
    engines = [engine_named(params["Engine"])] if params.get("Engine") else list(ENGINES.values())
    wanted, family = params.get("EngineVersion"), params.get("DBParameterGroupFamily")
    shapes = [
        engine_version_shape(engine, version)
        for engine in engines
        for version in sorted(engine.versions, key=engine.order)
        if (not wanted or version == wanted or version.startswith(wanted + "."))
        and (not family or engine.family(version) == family)
        and (not params.get("DefaultOnly") or version == engine.default or (wanted and version == engine.resolve(wanted)))
    ]
    shown, marker = page(params, shapes, lambda shape: f"{shape['Engine']} {_sortable(shape)}")
    return {"DBEngineVersions": shown, "Marker": marker}


def _sortable(shape: Shape) -> str:
    """Versions in their order as text, so that paging keeps it."""
    return ".".join(f"{part:06}" for part in ENGINES[shape["Engine"]].order(shape["EngineVersion"]))


@operation
def describe_orderable_db_instance_options(backend: Any, params: Shape) -> Shape:
    engine = engine_named(params.get("Engine"))
    wanted, name = params.get("EngineVersion"), params.get("DBInstanceClass")
    versions = [version for version in engine.versions if not wanted or version == wanted]
    shapes = [
        shape
        for version in versions
        for shape in orderable_shapes(engine, version, backend.region_name)
        if (not name or shape["DBInstanceClass"] == name)
        and (not params.get("LicenseModel") or shape["LicenseModel"] == params["LicenseModel"])
    ]
    shown, marker = page(params, shapes, lambda shape: f"{_sortable(shape)} {shape['DBInstanceClass']} {shape['StorageType']}")
    return {"OrderableDBInstanceOptions": shown, "Marker": marker}


@operation
def describe_valid_db_instance_modifications(backend: Any, params: Shape) -> Shape:
    instance = find_instance(backend, params.get("DBInstanceIdentifier"))
    smallest = instance.get("AllocatedStorage", 20)
    return {
        "ValidDBInstanceModificationsMessage": {
            "Storage": [
                {
                    "StorageType": storage,
                    "StorageSize": [{"From": max(smallest, low), "To": 65536, "Step": 1}],
                    "SupportsStorageAutoscaling": True,
                }
                for storage, low in (("gp2", 20), ("gp3", 20), ("io1", 100), ("io2", 100))
            ],
            "ValidProcessorFeatures": [],
            "SupportsDedicatedLogVolume": False,
        }
    }


@operation
def describe_certificates(backend: Any, params: Shape) -> Shape:
    wanted = params.get("CertificateIdentifier")
    if wanted and wanted not in CERTIFICATE_AUTHORITIES:
        raise refuse("CertificateNotFound", f"Certificate not found: {wanted}")
    shapes = [
        {
            "CertificateIdentifier": name,
            "CertificateType": "CA",
            "Thumbprint": f"{index:040x}",
            "ValidFrom": datetime.datetime(2021, 5, 19),
            "ValidTill": datetime.datetime(2061, 5, 19),
            "CertificateArn": f"arn:{backend.partition}:rds:{backend.region_name}::cert:{name}",
            "CustomerOverride": False,
        }
        for index, name in enumerate(CERTIFICATE_AUTHORITIES, start=1)
        if not wanted or name == wanted
    ]
    return {"Certificates": shapes, "DefaultCertificateForNewLaunches": CERTIFICATE_AUTHORITIES[0]}


@operation
def describe_pending_maintenance_actions(backend: Any, params: Shape) -> Shape:
    return {"PendingMaintenanceActions": []}


@operation
def describe_events(backend: Any, params: Shape) -> Shape:
    identifier, source_type = params.get("SourceIdentifier"), params.get("SourceType")
    if identifier and not source_type:
        raise refuse("InvalidParameterCombination", "Cannot specify source identifier without source type")
    # Without a time, AWS answers with the last hour.
    end = _plain_time(params.get("EndTime")) or now()
    start = _plain_time(params.get("StartTime")) or end - datetime.timedelta(minutes=params.get("Duration") or 60)
    events = [
        event
        for event in backend.__dict__.get("shopkeeper_events", [])
        if (not source_type or event["SourceType"] == source_type)
        and (not identifier or event["SourceIdentifier"] == identifier.lower())
        and start <= event["Date"] <= end
        and (not params.get("EventCategories") or set(params["EventCategories"]) & set(event["EventCategories"]))
    ]
    numbered = list(enumerate(events))
    shown, marker = page(params, numbered, lambda each: f"{each[0]:09}")
    return {"Events": [event for _, event in shown], "Marker": marker}


def _plain_time(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is not None and moment.tzinfo is not None:
        return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return moment
