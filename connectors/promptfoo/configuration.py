"""The configuration file of one run: case ids, arm names, the gateway's address and the owner's assertions.

No text of a case, of an answer or of a prompt is in it: promptfoo renders templates, reads files and runs code that it
finds in its variables.
"""

from collections.abc import Sequence

from connectors.promptfoo.settings import EvaluatorSettings
from optimizer.identity import Json
from optimizer.types import Arm, Case

TRANSFORM = "json.error ? {error: json.error} : {output: json.output, cost: json.cost, tokenUsage: json.tokenUsage}"


def configuration(url: str, cases: Sequence[Case], settings: EvaluatorSettings) -> Json:
    """What promptfoo is to do: every arm on every case, answered and judged by the gateway at `url`."""
    gateway: Json = {
        "id": f"{url}/answer",
        "label": "gateway",
        "config": {
            "method": "POST",
            "headers": {"content-type": "application/json"},
            "body": {"arm": "{{prompt}}", "case_id": "{{case_id}}"},
            "maxRetries": 0,
            "transformResponse": TRANSFORM,
        },
    }
    return {
        "prompts": [{"raw": arm.value, "label": arm.value} for arm in Arm],
        "providers": [gateway],
        "defaultTest": {"assert": [{"type": "webhook", "value": f"{url}/grade"}, *settings.assertions]},
        "tests": [{"vars": {"case_id": case.id}, "metadata": {"case_id": case.id}} for case in cases],
        "sharing": False,
    }
