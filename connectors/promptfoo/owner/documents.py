"""The owner's YAML, JSON and JSONL as promptfoo reads them: YAML 1.2, so `yes` is a word and a date is a text.

What comes out is plain JSON. Never runs code and never follows a tag.
"""

import json
import re
from pathlib import Path

import yaml

from optimizer.errors import BadInput
from optimizer.identity import Json

LIMIT_BYTES = 64 * 2**20
"""More is no file of tests that somebody wrote; it would only fill the memory."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars; everything that is no number, truth value or null stays a text."""


_Loader.yaml_implicit_resolvers = {}


def _whole(_: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(node.value))


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), None)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), None)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), None)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"),
    None,
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def read(path: Path) -> Json:
    """A file's content as JSON. Raises BadInput in one sentence when it does not parse."""
    text = text_of(path)
    try:
        if path.suffix == ".jsonl":
            loaded = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif path.suffix == ".json":
            loaded = json.loads(text)
        else:
            # SafeLoader in everything but the words that it takes for values
            loaded = yaml.load(text, Loader=_Loader)  # a subclass of SafeLoader
        if _written_out(loaded, {}) > LIMIT_BYTES:
            raise BadInput(f"{path.name} holds aliases of aliases without end", "write out what they stand for")
        plain: Json = json.loads(json.dumps(loaded, allow_nan=False))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(f"{path.name} does not parse{f' (line {mark.line + 1})' if mark else ''}", "mend it") from error
    except (ValueError, TypeError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"{path.name} does not parse{line}", "mend it") from error
    return plain


def _written_out(value: object, known: dict[int, int]) -> int:
    """About how many characters it takes without aliases: a few lines of YAML may stand for more than there is room."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # what holds itself is found by whoever writes it out
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(value)]


def text_of(path: Path) -> str:
    """A file's text. Raises BadInput when there is none."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise BadInput(f"{path.name} is larger than {LIMIT_BYTES // 2**20} MB", "take a part of its tests")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read", "check that it is there and may be read") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8 text", "save it as UTF-8") from error
