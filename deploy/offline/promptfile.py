"""A prompt in a file: text, or a chat as JSON or YAML when the name says so; read, and written in the same shape.

A text keeps its line endings and its last line break: nothing may change but what the edits change.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from deploy.offline.texts import read, whole
from optimizer.errors import BadInput
from optimizer.prompts import Body, Message, Placeholder, body_json
from optimizer.template import composition_tags, contents

JSON, YAML = (".json",), (".yaml", ".yml")
CHAT = '[{"role": "system", "content": "..."}, {"type": "placeholder", "name": "..."}]'
_ROLES = ("system", "developer", "user", "assistant")


def load(path: Path) -> Body:
    """The prompt of a file. Raises BadInput for one that cannot be worked with."""
    body = parsed(read(path), path)
    if not any(content.strip() for content in contents(body)):
        raise BadInput(f"the prompt in {path} holds no text", "write one")
    if composition_tags(body):
        raise BadInput(f"the prompt in {path} pulls in other prompts", "write their texts into it")
    return body


def parsed(text: str, path: Path) -> Body:
    """The prompt that a file with this text and name holds: the inverse of `written`. Raises BadInput."""
    return _chat(text, path) if _is_chat(path) else text


def check_kind(prompt: Body, out: Path) -> None:
    """The file to write can hold this kind of prompt. Raises BadInput."""
    if _is_chat(out) and isinstance(prompt, str):
        raise BadInput(f"{out} would hold a chat, and the prompt is plain text", "give --out another ending, like .txt")
    if not _is_chat(out) and not isinstance(prompt, str):
        raise BadInput(f"the prompt is a chat, and {out} would be plain text", "end --out in .json or .yaml")


def written(prompt: Body, out: Path) -> str:
    """The prompt as the file will hold it."""
    if isinstance(prompt, str):
        return prompt
    parts = json.loads(body_json(prompt))
    if out.suffix.lower() in JSON:
        return json.dumps(parts, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(parts, Dumper=_Blocks, allow_unicode=True, sort_keys=False, width=120)


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as they read."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """One text, as a block when it has line breaks."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Blocks.add_representer(str, _Blocks.represent_str)


def _is_chat(path: Path) -> bool:
    return path.suffix.lower() in (*JSON, *YAML)


def _chat(text: str, path: Path) -> Body:
    try:
        parts = json.loads(text) if path.suffix.lower() in JSON else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        kind = "JSON" if path.suffix.lower() in JSON else "YAML"
        raise BadInput(f"{path} is not {kind}", f"write a chat like {CHAT}, or name the file .txt") from error
    if not isinstance(parts, list):
        raise BadInput(f"{path} is no list of messages", f"write a chat like {CHAT}")
    return tuple(_part(part, f"entry {number} of {path}") for number, part in enumerate(parts, start=1))


def _part(part: Any, where: str) -> Message | Placeholder:
    match part:
        case {"type": "placeholder", "name": str(name), **rest} if name and not rest:
            return Placeholder(name=name)
        case {"role": str(role), "content": str(content), **rest} if role in _ROLES and not rest and whole(content):
            return Message(role=role, content=content)
    raise BadInput(f"{where} is no message", f"write it as in {CHAT}; the roles are {', '.join(_ROLES)}")
