"""What every command is told before it starts."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that stand before every command."""

    config: Path = Path("tracegrad.yaml")
    as_json: bool = False
    debug: bool = False
