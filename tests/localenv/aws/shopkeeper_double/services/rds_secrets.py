"""The master user's password: checked when given, or kept in Secrets Manager by RDS (ManageMasterUserPassword)."""

from __future__ import annotations

import json
import string
import uuid
from typing import Any

from shopkeeper_double.lifecycle import Lifecycle

from ._records import Shape, random_name, refuse
from .rds_engines import Engine
from .rds_resources import key_arn

#: Names that the engine keeps for itself.
_RESERVED_USERS = {"postgres": {"admin", "rdsadmin"}, "mysql": {"rdsadmin"}}


class MasterUserSecret:
    """The secret that RDS creates, rotates and deletes with its database."""

    def __init__(self, backend: Any, kind: str, resource_arn: str, username: str, kms_key_id: str | None) -> None:
        self._secrets = backend.secretsmanager
        self._username = username
        self.lifecycle = Lifecycle("rds", "master-user-secret", settled="active")
        described = {"db": "instance", "cluster": "cluster"}[kind]
        tag = {"db": "aws:rds:primaryDBInstanceArn", "cluster": "aws:rds:primaryDBClusterArn"}[kind]
        secret = self._secrets.create_managed_secret(
            service_name="rds",
            secret_id=f"rds!{kind}-{uuid.uuid4()}",
            secret_string=self._new_value(),
            description=f"The secret associated with the primary RDS DB {described}: {resource_arn}",
            kms_key_id=key_arn(backend, kms_key_id) if kms_key_id else None,
            tags=[{"Key": tag, "Value": resource_arn}],
        )
        self.arn = secret.arn
        self._key_arn = backend.kms.describe_key(secret.kms_key_id).arn
        self.lifecycle.begin("creating")

    def _new_value(self) -> str:
        password = random_name(28, string.ascii_letters + string.digits + "!#$%&*+-.:;<=>?[]^_{|}~")
        return json.dumps({"username": self._username, "password": password})

    def rotate(self) -> None:
        self._secrets.put_secret_value(self.arn, self._new_value(), None, str(uuid.uuid4()), ["AWSCURRENT"])
        self.lifecycle.begin("rotating")

    def delete(self) -> None:
        self._secrets.delete_secret(self.arn, recovery_window_in_days=None, force_delete_without_recovery=True)

    def shape(self) -> Shape:
        return {"SecretArn": self.arn, "SecretStatus": self.lifecycle.state, "KmsKeyId": self._key_arn}


def check_username(engine: Engine, username: str | None) -> str:
    if not username:
        raise refuse("InvalidParameterValue", "The parameter MasterUsername must be provided and must not be blank.")
    reserved = _RESERVED_USERS["postgres" if "postgres" in engine.name else "mysql"]
    if username.lower() in reserved:
        raise refuse(
            "InvalidParameterValue",
            f"MasterUsername {username} cannot be used as it is a reserved word used by the engine",
        )
    return username


def check_password(engine: Engine, password: str) -> None:
    longest = 128 if "postgres" in engine.name else 41
    if len(password) < 8:
        raise refuse(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.",
        )
    if len(password) > longest:
        raise refuse(
            "InvalidParameterValue",
            f"The parameter MasterUserPassword is not a valid password because it is longer than {longest} characters.",
        )
    if set(password) & set('/@" ') or not password.isprintable():
        raise refuse(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password. "
            "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.",
        )


def check_new_credentials(engine: Engine, params: Shape) -> None:
    """Either a password or ManageMasterUserPassword, never both."""
    check_username(engine, params.get("MasterUsername"))
    managed, password = params.get("ManageMasterUserPassword"), params.get("MasterUserPassword")
    if managed and password:
        raise refuse(
            "InvalidParameterCombination", "You can't specify MasterUserPassword when ManageMasterUserPassword is enabled."
        )
    if not managed and params.get("MasterUserSecretKmsKeyId"):
        raise refuse(
            "InvalidParameterCombination", "You can't specify MasterUserSecretKmsKeyId when ManageMasterUserPassword is off."
        )
    if not managed and not password:
        raise refuse("InvalidParameterCombination", "You must specify MasterUserPassword or enable ManageMasterUserPassword.")
    if password:
        check_password(engine, password)


def modify_credentials(backend: Any, record: Any, kind: str, resource_arn: str, engine: Engine, params: Shape) -> bool:
    """Apply what a modify call asks of the password; true when the database resets its credentials for it.

    A rotation alone leaves the database available: AWS shows it on the secret's status only.
    """
    secret: MasterUserSecret | None = record.hidden.get("secret")
    password = params.get("MasterUserPassword")
    manage = params.get("ManageMasterUserPassword")
    if params.get("RotateMasterUserPassword"):
        if not params.get("ApplyImmediately"):
            raise refuse(
                "InvalidParameterCombination", "You must specify apply immediately when rotating the master user password."
            )
        if secret is None:
            raise refuse("InvalidParameterCombination", "You can rotate the master user password only when RDS manages it.")
    if password and (manage or (secret is not None and manage is None)):
        raise refuse(
            "InvalidParameterCombination", "You can't specify MasterUserPassword when ManageMasterUserPassword is enabled."
        )
    if manage is False and secret is not None and not password:
        raise refuse(
            "InvalidParameterCombination", "You must specify MasterUserPassword when you turn off ManageMasterUserPassword."
        )
    if password:
        check_password(engine, password)

    if params.get("RotateMasterUserPassword") and secret is not None:
        secret.rotate()
    if manage is False and secret is not None:
        secret.delete()
        record.hidden.pop("secret")
    if manage and secret is None:
        record.hidden["secret"] = MasterUserSecret(
            backend, kind, resource_arn, record["MasterUsername"], params.get("MasterUserSecretKmsKeyId")
        )
        return True
    return bool(password)
