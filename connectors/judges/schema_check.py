"""One check of an answer against a JSON schema, run as a script: `{"output", "schema"}` in, `{"verdict", "why"}` out.

Imports nothing of ours, so that it starts quickly. Its words name places in the schema only, never in the answer.
"""

import json
import resource
import sys
from typing import Any, NoReturn

from jsonschema_rs import FancyRegexOptions, ValidationError, validator_for

CPU_S = 1
MEMORY_BYTES = 1 << 30


def main() -> None:
    """Read, check, tell."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    asked = json.load(sys.stdin)
    verdict, why = check(asked["output"], asked["schema"])
    json.dump({"verdict": verdict, "why": why}, sys.stdout)


def check(output: str, schema: str) -> tuple[str, str]:
    """The verdict (fits, breaks, no schema), and what is wrong with the answer."""
    try:
        wanted = json.loads(schema)
        if not isinstance(wanted, dict):
            return "no schema", ""
        validator = validator_for(
            wanted, retriever=_refused, pattern_options=FancyRegexOptions(backtrack_limit=100_000)
        )
    except (ValueError, ValidationError, RecursionError):
        return "no schema", ""
    try:
        value = json.loads(output, parse_constant=_no_constant)
        error = next(validator.iter_errors(value), None)
    except (ValueError, RecursionError):
        return "breaks", "is not JSON"
    if error is None:
        return "fits", ""
    return "breaks", f"breaks the schema at /{'/'.join(map(str, error.schema_path))}"[:400]


def _refused(_uri: str) -> NoReturn:
    raise ValueError("a schema stands for itself")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


if __name__ == "__main__":
    main()
