"""How answers are made and what promptfoo asserts: the owner's choices, checked before anything runs."""

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.errors import BadSettings
from optimizer.identity import Json

# these decide by themselves: no model, no code, no file, no network; those that need packages which are not installed
# with promptfoo (SQL, METEOR) are not among them
DETERMINISTIC = frozenset(
    {
        *("equals", "contains", "icontains", "contains-all", "contains-any", "icontains-all", "icontains-any"),
        *("starts-with", "regex", "is-json", "contains-json", "is-xml", "contains-xml", "is-html", "contains-html"),
        *("is-refusal", "word-count", "levenshtein", "rouge-n", "bleu", "gleu"),
        *("cost", "latency"),
    }
)
KEYS = frozenset({"type", "value", "threshold", "weight", "metric"})
LOADED = ("file://", "package:", "exec:", "http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorSettings:
    """Everything the owner decides about an evaluation.

    Attributes:
        assertions: promptfoo assertions, run by promptfoo on every answer; of types that decide by themselves.
        concurrency: calls in flight in promptfoo; the language model has its own bound.
        timeout_s: the whole run is ended after this.
    """

    task_model: str
    assertions: tuple[dict[str, Json], ...] = ()
    concurrency: int = 16
    timeout_s: float = 900.0
    temperature: float = 0.0
    max_tokens: int = 2048

    def __post_init__(self) -> None:
        for assertion in self.assertions:
            _check(assertion)


def _check(assertion: dict[str, Json]) -> None:
    kind = assertion.get("type")
    if not isinstance(kind, str):
        raise BadSettings("a promptfoo assertion has no `type`", "write it like {type: not-contains, value: ...}")
    if kind.removeprefix("not-") not in DETERMINISTIC:
        raise BadSettings(
            f"the promptfoo assertion type '{kind}' is unknown, or does not decide by itself",
            "correct its name, or put it into a promptfoo configuration, which `gate.promptfoo` names",
        )
    if unknown := assertion.keys() - KEYS:
        raise BadSettings(f"a promptfoo assertion has the key '{min(unknown)}'", f"use only {', '.join(sorted(KEYS))}")
    if any(text.lstrip().startswith(LOADED) for text in texts(assertion)):
        raise BadSettings("a promptfoo assertion refers to a file or an address", "write its value into the settings")


def texts(value: Json) -> Iterator[str]:
    """Every text in a value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)
