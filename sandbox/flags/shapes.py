"""Flags as they are created, as the management API shows them and as the SDKs read them."""

import re
from typing import Any

from sandbox.flags.store import PROJECT, Flag, Refusal, Store

KEY = re.compile(r"[a-zA-Z0-9_.-]{1,256}")
OF_SDK = ("on", "salt", "offVariation", "targets", "contextTargets", "rules", "prerequisites", "fallthrough", "version")


def created(store: Store, body: Any, *, now_ms: int) -> Flag:
    """A new flag from the body of a POST. Raises 400 for what the service would not take."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or not KEY.fullmatch(str(body.get("key"))):
        raise Refusal(400, "invalid_request", "name and key are required; keys take letters, digits, '.', '_' and '-'")
    given = body.get("variations") or [{"value": True}, {"value": False}]
    values = [item.get("value") for item in given]
    if len(given) < 2 or len({repr(value) for value in values}) != len(values):
        raise Refusal(400, "invalid_request", "a flag needs two variations or more, with unique values")
    defaults = body.get("defaults") or {"onVariation": 0, "offVariation": len(given) - 1}
    if not all(type(index) is int and 0 <= index < len(given) for index in defaults.values()):
        raise Refusal(400, "invalid_request", "defaults must be indices of variations")
    key = body["key"]
    return {
        "name": body["name"],
        "kind": "boolean" if values == [True, False] else "multivariate",
        "description": body.get("description", ""),
        "key": key,
        "_version": 1,
        "creationDate": now_ms,
        "variations": [
            {"_id": _uuid(store.token(key, str(n))), "value": item["value"], "name": item.get("name", "")}
            for n, item in enumerate(given)
        ],
        "temporary": body.get("temporary", True),
        "tags": body.get("tags", []),
        "archived": False,
        "defaults": defaults,
        "environments": {
            name: _settings(store.token(key, name), bool(body.get("isFlagOn")), defaults, now_ms)
            for name in store.environments
        },
    }


def _settings(salt: str, on: bool, defaults: dict[str, int], now_ms: int) -> dict[str, Any]:
    return {
        "on": on,
        "archived": False,
        "salt": salt,
        "sel": salt[::-1],
        "lastModified": now_ms,
        "version": 1,
        "targets": [],
        "contextTargets": [],
        "rules": [],
        "fallthrough": {"variation": defaults["onVariation"]},
        "offVariation": defaults["offVariation"],
        "prerequisites": [],
        "trackEvents": False,
        "trackEventsFallthrough": False,
    }


def shown(flag: Flag, environment: str | None) -> Flag:
    """What the management API answers, with one environment or all."""
    named = {
        name: settings | {"_environmentName": name.title()}
        for name, settings in flag["environments"].items()
        if environment in (None, name)
    }
    link = {"href": f"/api/v2/flags/{PROJECT}/{flag['key']}", "type": "application/json"}
    return flag | {"_links": {"self": link}, "environments": named, "customProperties": {}}


def polled(store: Store, environment: str) -> dict[str, Any]:
    """What the SDKs of an environment read: every flag that is not archived."""
    flags = {}
    for key, flag in store.flags.items():
        if not flag["archived"]:
            settings = flag["environments"][environment]
            rules = [rule | {"id": rule["_id"]} for rule in settings["rules"]]
            values = [item["value"] for item in flag["variations"]]
            flags[key] = {name: settings[name] for name in OF_SDK} | {"key": key, "variations": values, "rules": rules}
    return {"flags": flags, "segments": {}}


def _uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
