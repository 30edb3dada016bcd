"""Which version of a prompt a user gets, by the split that Tracegrad keeps in Langfuse. Needs no Tracegrad: copy it."""

import hashlib
import json

from langfuse import Langfuse


def version_for(langfuse: Langfuse, prompt: str, unit: str) -> int:
    """The version to fetch, or 0: the production label. Whatever goes wrong, it is 0; nothing is raised."""
    try:
        kept = langfuse.get_prompt(f"rollouts/{prompt}", max_retries=0, fetch_timeout_seconds=1)
        split = json.loads(kept.prompt)
        if split["format"] != 1 or not split["salt"] or not unit:
            return 0
        place = int(hashlib.sha256(f"{split['salt']}\0{unit}".encode()).hexdigest()[:12], 16) / 2**48
        version = next(band["version"] for band in split["bands"] if place < band["below"])
        return version if isinstance(version, int) and version > 0 else 0
    except Exception:
        return 0
