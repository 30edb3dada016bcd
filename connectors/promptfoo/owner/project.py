"""The owner's project: the folder that his promptfoo tests may read.

Every `file://` reference is made absolute and checked here, with symbolic links followed, before promptfoo sees it.
Never lets a reference out of the project, and never reads a reference over a network.
"""

import re
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from connectors.promptfoo.owner.documents import read
from optimizer.errors import BadInput
from optimizer.identity import Json

SCHEME = "file://"
_FUNCTION = re.compile(r"(.*\.(?:py|rb|go|[cm]?[jt]s)):\w+")
_CODE_SUFFIXES = frozenset({".py", ".rb", ".go", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"})
_DEEPEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder, resolved, and the folder of the configuration in it, which relative references start from."""

    root: Path
    base: Path

    @classmethod
    def around(cls, config: Path, root: Path) -> "Project":
        """The project that a configuration lies in. Raises BadInput when it lies outside."""
        root, config = root.resolve(), config.resolve()
        if not config.is_relative_to(root):
            raise BadInput(f"{config.name} lies outside the project", "move it into the project")
        return cls(root=root, base=config.parent)

    def files(self, reference: str, base: Path | None = None) -> list[Path]:
        """The files that a reference names, resolved, in order. Raises BadInput for none and for one outside."""
        named, _ = split(reference)
        if "{{" in named or "{%" in named:
            raise BadInput(f"the reference '{reference}' is a template", "write the path itself")
        pattern = str((base or self.base) / named)
        found = sorted(glob(pattern, recursive=True)) if has_magic(named) and not is_file(Path(pattern)) else [pattern]
        paths = [Path(path).resolve() for path in found]
        for path in paths:
            if not path.is_relative_to(self.root):
                raise BadInput(f"'{reference}' leads out of the project", "copy the file into the project")
        if not paths or not all(map(is_file, paths)):
            raise BadInput(f"there is no file '{reference}'", "correct the path, which starts at the configuration")
        return paths

    def absolute(self, value: Json, base: Path | None = None) -> Json:
        """A value with every reference in it absolute. A pattern stays one, in its own folder."""
        if isinstance(value, str):
            return self._absolute(value, base) if value.startswith(SCHEME) else value
        if isinstance(value, list):
            return [self.absolute(item, base) for item in value]
        if isinstance(value, dict):
            return {key: self.absolute(item, base) for key, item in value.items()}
        return value

    def _absolute(self, reference: str, base: Path | None) -> str:
        paths = self.files(reference, base)
        named, function = split(reference)
        if has_magic(named) and len(paths) > 1:  # promptfoo makes a test of every file
            return f"{SCHEME}{(base or self.base) / named}"
        return f"{SCHEME}{paths[0]}{function}"

    def resolved(self, value: Json, whole: Json, depth: int = 0) -> Json:
        """A value with every `$ref` in it replaced: into the same document, or into another file of the project."""
        if depth > _DEEPEST:
            raise BadInput("a `$ref` leads back to itself", "write what it stands for")
        if isinstance(value, list):
            return [self.resolved(item, whole, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return {key: self.resolved(item, whole, depth + 1) for key, item in value.items()}
        file, _, pointer = reference.partition("#")
        document = read(self.files(file)[0]) if file else whole
        return self.resolved(_pointed(document, pointer, reference), document, depth + 1)


def split(reference: str) -> tuple[str, str]:
    """A reference's path, and the function in it that is named after a colon, with the colon."""
    path = reference.removeprefix(SCHEME)
    found = _FUNCTION.fullmatch(path)
    return (found[1], path[len(found[1]) :]) if found else (path, "")


def is_file(path: Path) -> bool:
    """Whether there is such a file; also for texts that are too long or too strange for a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_code(reference: str) -> bool:
    """Whether a reference names code that promptfoo would run."""
    return Path(split(reference)[0]).suffix in _CODE_SUFFIXES


def _pointed(document: Json, pointer: str, reference: str) -> Json:
    value = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise BadInput(f"the `$ref` '{reference}' leads nowhere", "correct it")
    return value
