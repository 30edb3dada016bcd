"""The configuration file of one run: case ids, arm names, the gateway's address and the owner's assertions.

No text of a case, of an answer or of a prompt is in it: promptfoo renders templates, reads files and runs code that it
finds in its variables.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.identity import Json
from optimizer.types import Arm, Case

PROVIDER = Path(str(files("connectors.promptfoo"))) / "provider.cjs"
CASE_KEY = "tracegrad_case"
"""Where a test's metadata holds the id of its case."""
OURS = "tracegrad"
"""Names our own judgement among the assertions of a test."""


def provider(url: str) -> dict[str, Json]:
    """What promptfoo takes for the model: the gateway that answers at `url`."""
    return {"id": f"file://{PROVIDER}", "label": "gateway", "config": {"url": url}}


def configuration(url: str, cases: Sequence[Case], settings: EvaluatorSettings) -> Json:
    """What promptfoo is to do: every arm on every case, answered and judged by the gateway at `url`."""
    judgement: Json = {"type": "javascript", "value": "context.metadata.grade", "metric": OURS}
    return {
        "prompts": [{"raw": arm.value, "label": arm.value} for arm in Arm],
        "providers": [provider(url)],
        "defaultTest": {"assert": [judgement, *settings.assertions]},
        "tests": [{"vars": {"case_id": case.id}, "metadata": {CASE_KEY: case.id}} for case in cases],
        "sharing": False,
    }
