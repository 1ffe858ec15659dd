"""Users and user groups of role-based access control."""

from __future__ import annotations

from typing import Any

from shopkeeper_double.lifecycle import GONE

from ._records import Record, Shape, page, refuse
from .elasticache_resources import arn, check_identifier, check_tags, find, operation, store


def _authentication(params: Shape, default: Shape | None) -> Shape | None:
    """The Authentication to show, from AuthenticationMode or from the older Passwords and NoPasswordRequired."""
    mode = params.get("AuthenticationMode") or {}
    kind = mode.get("Type")
    passwords = mode.get("Passwords") or params.get("Passwords") or []
    if mode.get("Passwords") and params.get("Passwords"):
        raise refuse("InvalidParameterCombination", "Passwords provided via multiple arguments. Use only one argument")
    if params.get("NoPasswordRequired") and (passwords or kind in ("password", "iam")):
        raise refuse(
            "InvalidParameterCombination", "No password is required, and yet a password or another authentication is given."
        )
    if kind is None:
        kind = "no-password-required" if params.get("NoPasswordRequired") else "password" if passwords else None
    if kind is None:
        if default is None:
            raise refuse(
                "InvalidParameterValue",
                "No password was provided. If you want to create/update the user without password, please use the NoPasswordRequired flag.",
            )
        return default
    if kind == "password":
        if not 1 <= len(passwords) <= 2:
            raise refuse(
                "InvalidParameterCombination", "A user with Authentication Mode: password, must have one or two passwords"
            )
        if any(not 16 <= len(password) <= 128 for password in passwords):
            raise refuse("InvalidParameterValue", "Passwords length must be between 16-128 characters.")
        return {"Type": "password", "PasswordCount": len(passwords)}
    if passwords:
        raise refuse("InvalidParameterCombination", f"Password field is not allowed with authentication type: {kind}")
    if kind not in ("no-password-required", "iam"):
        raise refuse(
            "InvalidParameterValue",
            f"Input Authentication type: {kind} is not in the allowed list: [password,no-password-required,iam]",
        )
    # What a request calls no-password-required, an answer calls no-password.
    return {"Type": "iam" if kind == "iam" else "no-password"}


def _check_access_string(text: str | None) -> str:
    words = (text or "").split()
    if (
        not words
        or words[0] not in ("on", "off")
        or any(
            word[0] not in "~+-@&%$("
            and word
            not in (
                "on",
                "off",
                "allkeys",
                "allcommands",
                "resetkeys",
                "resetchannels",
                "allchannels",
                "nocommands",
                "clearselectors",
            )
            for word in words
        )
    ):
        raise refuse("InvalidParameterValue", f"The access string is not valid: {text}")
    return " ".join(words)


def _check_iam_name(authentication: Shape | None, user_id: str, user_name: str) -> None:
    if (authentication or {}).get("Type") == "iam" and user_name != user_id:
        raise refuse("InvalidParameterCombination", "User Id and User name must be same for authentication type: iam")


def _engine(name: str | None) -> str:
    lowered = (name or "").lower()
    if lowered not in ("redis", "valkey"):
        raise refuse("InvalidParameterValue", f'Unknown parameter for Engine: "{name}", must be one of: redis, valkey')
    return lowered


def find_user(backend: Any, name: str | None) -> Record:
    return find(backend, "users", name, "UserNotFound", "User")


def find_user_group(backend: Any, name: str | None) -> Record:
    return find(backend, "user_groups", name, "UserGroupNotFound", "User group")


@operation
def create_user(backend: Any, params: Shape) -> Shape:
    name = check_identifier("UserId", params.get("UserId"), 40)
    if name in store(backend, "users"):
        raise refuse("UserAlreadyExists", f"User {name} already exists.")
    if not params.get("UserName"):
        raise refuse("InvalidParameterValue", "The parameter UserName must be provided and must not be blank.")
    authentication = _authentication(params, None)
    _check_iam_name(authentication, name, params["UserName"])
    user = Record(
        {
            "UserId": name,
            "UserName": params["UserName"],
            "Engine": _engine(params.get("Engine")),
            "MinimumEngineVersion": "6.0",
            "AccessString": _check_access_string(params.get("AccessString")),
            "UserGroupIds": [],
            "Authentication": authentication,
            "ARN": arn(backend, "user", name),
        },
        "elasticache",
        "user",
        settled="active",
        tags=check_tags(params.get("Tags")),
    )
    store(backend, "users")[name] = user
    return user.shown()


@operation
def describe_users(backend: Any, params: Shape) -> Shape:
    users = [find_user(backend, params["UserId"])] if params.get("UserId") else list(store(backend, "users").values())
    if params.get("Engine"):
        users = [user for user in users if user["Engine"] == params["Engine"].lower()]
    for each in params.get("Filters") or []:
        field = {"user-id": "UserId", "user-name": "UserName", "engine": "Engine"}.get(each["Name"].lower())
        if field is None:
            raise refuse("InvalidParameterValue", f"Unrecognized filter name: {each['Name']}")
        users = [user for user in users if user[field] in each["Values"]]
    shown, marker = page(params, users, lambda user: user["UserId"])
    return {"Users": [user.shown() for user in shown], "Marker": marker}


def _need_active_user(user: Record) -> None:
    if user.status != "active":
        raise refuse("InvalidUserState", f"User {user['UserId']} is not in active state.")


@operation
def modify_user(backend: Any, params: Shape) -> Shape:
    user = find_user(backend, params.get("UserId"))
    if params.get("AccessString") and params.get("AppendAccessString"):
        raise refuse("InvalidParameterCombination", "Only one of AccessString and AppendAccessString can be given.")
    authentication = _authentication(params, user["Authentication"])
    _check_iam_name(authentication, user["UserId"], user["UserName"])
    access = user["AccessString"]
    if params.get("AccessString"):
        access = _check_access_string(params["AccessString"])
    elif params.get("AppendAccessString"):
        access = _check_access_string(f"{access} {params['AppendAccessString']}")
    _need_active_user(user)
    user.update(Authentication=authentication, AccessString=access)
    if params.get("Engine"):
        user["Engine"] = _engine(params["Engine"])
    user.lifecycle.begin("modifying")
    return user.shown("modifying")


@operation
def delete_user(backend: Any, params: Shape) -> Shape:
    user = find_user(backend, params.get("UserId"))
    if user["UserId"] == "default":
        raise refuse("InvalidParameterValue", "The default user cannot be deleted.")
    if user["UserName"] == "default" and user["UserGroupIds"]:
        raise refuse("DefaultUserAssociatedToUserGroup", "The default user assigned to a user group cannot be deleted.")
    _need_active_user(user)
    for name in user["UserGroupIds"]:
        group = store(backend, "user_groups").get(name)
        if group is not None and user["UserId"] in group["UserIds"]:
            group["UserIds"].remove(user["UserId"])
    user.lifecycle.begin("deleting", then=GONE)
    return user.shown("deleting")


# --- user groups -----------------------------------------------------------------------------------------------------


def _check_members(backend: Any, user_ids: list[str], engine: str) -> None:
    users = [find_user(backend, user_id) for user_id in user_ids]
    names = [user["UserName"] for user in users]
    # Valkey groups do without a default user.
    if "default" not in names and engine == "redis":
        raise refuse("DefaultUserRequired", "User group needs to contain a user with the user name default.")
    if len(set(names)) < len(names):
        raise refuse("DuplicateUserName", "User group contains users with duplicate user names.")
    if engine == "redis" and any(user["Engine"] == "valkey" for user in users):
        raise refuse("InvalidParameterCombination", "A user group of engine redis cannot contain users of engine valkey.")
    if engine == "valkey" and any(user["Authentication"]["Type"] == "no-password" for user in users):
        raise refuse("InvalidParameterCombination", "A user group of engine valkey needs users with a password or IAM.")


def _link(backend: Any, group: Record, user_ids: list[str], linked: bool) -> None:
    for user_id in user_ids:
        user = store(backend, "users").get(user_id)
        if user is None:
            continue
        if linked and group["UserGroupId"] not in user["UserGroupIds"]:
            user["UserGroupIds"].append(group["UserGroupId"])
        elif not linked and group["UserGroupId"] in user["UserGroupIds"]:
            user["UserGroupIds"].remove(group["UserGroupId"])


@operation
def create_user_group(backend: Any, params: Shape) -> Shape:
    name = check_identifier("UserGroupId", params.get("UserGroupId"), 40)
    if name in store(backend, "user_groups"):
        raise refuse("UserGroupAlreadyExists", f"User group {name} already exists.")
    engine = _engine(params.get("Engine"))
    user_ids = [user_id.lower() for user_id in params.get("UserIds") or []]
    _check_members(backend, user_ids, engine)
    group = Record(
        {
            "UserGroupId": name,
            "Engine": engine,
            "UserIds": user_ids,
            "MinimumEngineVersion": "6.0",
            "ReplicationGroups": [],
            "ServerlessCaches": [],
            "ARN": arn(backend, "usergroup", name),
        },
        "elasticache",
        "user-group",
        settled="active",
        tags=check_tags(params.get("Tags")),
    )
    store(backend, "user_groups")[name] = group
    _link(backend, group, user_ids, linked=True)
    group.lifecycle.begin("creating")
    return group.shown("creating")


@operation
def describe_user_groups(backend: Any, params: Shape) -> Shape:
    wanted = params.get("UserGroupId")
    groups = [find_user_group(backend, wanted)] if wanted else list(store(backend, "user_groups").values())
    shown, marker = page(params, groups, lambda group: group["UserGroupId"])
    return {"UserGroups": [group.shown() for group in shown], "Marker": marker}


def _need_active_group(group: Record) -> None:
    if group.status != "active":
        raise refuse("InvalidUserGroupState", f"User group {group['UserGroupId']} is not in active state.")


@operation
def modify_user_group(backend: Any, params: Shape) -> Shape:
    group = find_user_group(backend, params.get("UserGroupId"))
    added = [each.lower() for each in params.get("UserIdsToAdd") or []]
    removed = [each.lower() for each in params.get("UserIdsToRemove") or []]
    if not added and not removed and not params.get("Engine"):
        raise refuse("InvalidParameterCombination", "Nothing to modify: UserIdsToAdd and UserIdsToRemove are both empty.")
    absent = [each for each in removed if each not in group["UserIds"]]
    if absent:
        raise refuse("InvalidParameterValue", f"Users are not in the user group: {', '.join(absent)}")
    remaining = [each for each in group["UserIds"] if each not in removed] + [
        each for each in added if each not in group["UserIds"]
    ]
    _check_members(backend, remaining, _engine(params.get("Engine") or group["Engine"]))
    _need_active_group(group)
    group["PendingChanges"] = {"UserIdsToAdd": added, "UserIdsToRemove": removed}

    def applied() -> None:
        group.pop("PendingChanges", None)
        group["UserIds"] = remaining
        _link(backend, group, removed, linked=False)
        _link(backend, group, added, linked=True)

    group.lifecycle.begin("modifying", on_settled=applied)
    return group.shown("modifying")


@operation
def delete_user_group(backend: Any, params: Shape) -> Shape:
    group = find_user_group(backend, params.get("UserGroupId"))
    _need_active_group(group)
    # ElastiCache's reference says that a group has to be taken off its caches first; the contract has it deleted all the same,
    # and the caches open to everybody. A test that needs the refusal asks for it with a fault.
    for name in group["ReplicationGroups"]:
        cache = store(backend, "replication_groups").get(name)
        if cache is not None and group["UserGroupId"] in cache["UserGroupIds"]:
            cache["UserGroupIds"].remove(group["UserGroupId"])
    _link(backend, group, group["UserIds"], linked=False)
    group.lifecycle.begin("deleting", then=GONE)
    return group.shown("deleting")
