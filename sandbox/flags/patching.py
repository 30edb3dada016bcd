"""Semantic patches: what each instruction does to a flag, and what it is refused for. A patch counts whole or not."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from sandbox.flags.store import Flag, Refusal

ALL = 100_000
"""The weights of a rollout are thousandths of a percent."""

Instruction = Mapping[str, Any]
Settings = dict[str, Any]


def patched(flag: Flag, environment: str | None, instructions: Any, *, now_ms: int) -> Flag:
    """The flag after all instructions, with its versions raised; the one that was given stays as it is."""
    if not isinstance(instructions, list) or not instructions:
        raise invalid("instructions must be a list with at least one instruction")
    changed, touched = deepcopy(flag), set()
    for instruction in instructions:
        kind = str(instruction.get("kind")) if isinstance(instruction, dict) else ""
        if kind in OF_FLAG:
            OF_FLAG[kind](changed, instruction)
            touched.update(changed["environments"])
        elif kind in OF_ENVIRONMENT:
            OF_ENVIRONMENT[kind](changed, _settings(changed, environment), instruction)
            touched.add(environment)
        else:
            raise invalid(f"unknown instruction kind {kind}")
    changed["_version"] += 1
    for name in touched:
        changed["environments"][name]["version"] += 1
        changed["environments"][name]["lastModified"] = now_ms
    return changed


def invalid(message: str) -> Refusal:
    """422: the patch cannot be understood."""
    return Refusal(422, "invalid_request", message)


def _settings(flag: Flag, environment: str | None) -> Settings:
    if environment is None:
        raise Refusal(400, "invalid_request", "environmentKey is required for this instruction")
    if environment not in flag["environments"]:
        raise Refusal(404, "not_found", f"Unknown environment key {environment}")
    settings: Settings = flag["environments"][environment]
    return settings


def _index(flag: Flag, variation: object) -> int:
    ids = [item["_id"] for item in flag["variations"]]
    if variation not in ids:
        raise invalid(f"unknown variation id {variation}")
    return ids.index(variation)


def _served(flag: Flag, instruction: Instruction) -> dict[str, Any]:
    """One variation, or a rollout whose variations come in the order of the flag's."""
    weights = instruction.get("rolloutWeights")
    if (weights is None) == (instruction.get("variationId") is None):
        raise invalid("either variationId or rolloutWeights must be given")
    if weights is None:
        return {"variation": _index(flag, instruction["variationId"])}
    if not isinstance(weights, dict) or any(type(w) is not int or not 0 <= w <= ALL for w in weights.values()):
        raise invalid("rolloutWeights must be whole numbers from 0 to 100000")
    if sum(weights.values()) != ALL:
        raise invalid("the sum of rolloutWeights must be 100000")
    by_index = sorted((_index(flag, id_), weight) for id_, weight in weights.items())
    return {
        "rollout": {
            "variations": [{"variation": index, "weight": weight} for index, weight in by_index],
            "bucketBy": instruction.get("rolloutBucketBy", "key"),
            "contextKind": instruction.get("rolloutContextKind", "user"),
        }
    }


def _turn_on(_flag: Flag, settings: Settings, _instruction: Instruction) -> None:
    settings["on"] = True


def _turn_off(_flag: Flag, settings: Settings, _instruction: Instruction) -> None:
    settings["on"] = False


def _fallthrough(flag: Flag, settings: Settings, instruction: Instruction) -> None:
    settings["fallthrough"] = _served(flag, instruction)


def _off_variation(flag: Flag, settings: Settings, instruction: Instruction) -> None:
    settings["offVariation"] = _index(flag, instruction.get("variationId"))


def _add_rule(flag: Flag, settings: Settings, instruction: Instruction) -> None:
    if not isinstance(instruction.get("clauses"), list) or not instruction["clauses"]:
        raise invalid("a rule needs clauses")
    rule = {"_id": f"rule-{len(settings['rules'])}", "clauses": instruction["clauses"]}
    settings["rules"].append(rule | _served(flag, instruction))


def _add_targets(flag: Flag, settings: Settings, instruction: Instruction) -> None:
    values, index = instruction.get("values"), _index(flag, instruction.get("variationId"))
    if not isinstance(values, list) or not values:
        raise invalid("targets need values")
    kind = instruction.get("contextKind", "user")
    place = settings["targets" if kind == "user" else "contextTargets"]
    place.append({"values": values, "variation": index, "contextKind": kind})


def _add_prerequisite(_flag: Flag, settings: Settings, instruction: Instruction) -> None:
    if not isinstance(instruction.get("key"), str):
        raise invalid("a prerequisite needs the key of a flag")
    settings["prerequisites"].append({"key": instruction["key"], "variation": 0})


def _add_variation(flag: Flag, instruction: Instruction) -> None:
    if any(item["value"] == instruction.get("value") for item in flag["variations"]):
        raise invalid("the values of variations must be unique")
    id_ = f"{flag['variations'][0]['_id'][:-1]}{len(flag['variations'])}"
    flag["variations"].append({"_id": id_, "value": instruction["value"], "name": instruction.get("name", "")})


def _update_variation(flag: Flag, instruction: Instruction) -> None:
    flag["variations"][_index(flag, instruction.get("variationId"))]["value"] = instruction["value"]


def _archive(flag: Flag, _instruction: Instruction) -> None:
    flag["archived"] = True


OF_ENVIRONMENT: Mapping[str, Callable[[Flag, Settings, Instruction], None]] = {
    "turnFlagOn": _turn_on,
    "turnFlagOff": _turn_off,
    "updateFallthroughVariationOrRollout": _fallthrough,
    "updateOffVariation": _off_variation,
    "addRule": _add_rule,
    "addTargets": _add_targets,
    "addPrerequisite": _add_prerequisite,
}
OF_FLAG: Mapping[str, Callable[[Flag, Instruction], None]] = {
    "addVariation": _add_variation,
    "updateVariation": _update_variation,
    "archiveFlag": _archive,
}
