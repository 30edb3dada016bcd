"""A gate report into Langfuse, as experiments to look at there: best effort, after the verdict is kept."""

import logging
from datetime import datetime

from deploy.settings import PromptSettings
from deploy.wiring import House
from optimizer.errors import TracegradError
from optimizer.proof import GateReport

log = logging.getLogger("tracegrad")


async def export(
    house: House, prompt: PromptSettings, report: GateReport, *, candidate_sha: str, run_name: str, at: datetime
) -> str:
    """Write the report's open cases; exporting again writes the same again.

    Args:
        run_name: the gate's id.
        at: when the gate began.

    Returns:
        where Langfuse shows it; empty when there is nothing to show, or it could not be written, which is logged.
    """
    if house.experiments is None or not prompt.gate.export or not report.evidence.pairs:
        return ""
    only = prompt.gate.datasets[0] if len(prompt.gate.datasets) == 1 else ""
    try:
        return await house.experiments.export(
            report, prompt=prompt.name, candidate_sha=candidate_sha, run_name=run_name, at=at, dataset=only
        )
    except TracegradError as error:
        log.warning(
            "the gate's report could not be exported to Langfuse (%s)",
            type(error).__name__,
            extra={"action": "export", "run": run_name},
        )
        return ""
