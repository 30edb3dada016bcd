"""Regular expressions of a case's reference, searched for in an answer within bounds.

Written as JSON Schema and JavaScript write them. The engine takes linear time, except for look-around and
back-references, whose steps are counted: a pattern that would run away is given up, and must never hold up the process.
"""

from jsonschema_rs import FancyRegexOptions, ValidationError, ValidationErrorKind, validator_for

from optimizer.types import Scored, Unscored

_BOUNDS = FancyRegexOptions(backtrack_limit=100_000, size_limit=2_000_000, dfa_size_limit=10_000_000)
"""Steps back (some milliseconds), and bytes of a compiled pattern and of its cache."""
PATTERN_CHARS = 10_000
"""Longer patterns are refused: compiling them alone takes seconds."""


def found(output: str, pattern: str) -> Scored | Unscored:
    """1 when the pattern occurs anywhere in the answer."""
    unusable = Unscored(reason="the reference is no regular expression that can be searched for")
    if len(pattern) > PATTERN_CHARS:
        return unusable
    try:
        validator = validator_for({"pattern": pattern}, pattern_options=_BOUNDS)
    except (ValidationError, ValueError):
        return unusable
    whole = output.encode("utf-8", "replace").decode("utf-8")  # the engine refuses half a character
    error = next(validator.iter_errors(whole), None)
    if error is None:
        return Scored(value=1.0, reason="matches the pattern")
    if isinstance(error.kind, ValidationErrorKind.Pattern):
        return Scored(value=0.0, reason="does not match the pattern")
    return Unscored(reason="the reference's regular expression takes too long on this answer")
