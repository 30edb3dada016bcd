"""From the owner's settings to who answers and who judges. Only this file and `deploy.wiring` choose among connectors.

promptfoo is started only where the owner asks for it: for assertions of his own, or for his own configuration.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.direct import DirectEvaluator
from connectors.judges import http, python
from connectors.judges.matching import Match, Matching
from connectors.judges.pairwise import PairwiseJudge
from connectors.judges.rubric import ModelJudge
from connectors.promptfoo.evaluator import PromptfooEvaluator
from connectors.promptfoo.owner import OwnerTests
from connectors.promptfoo.runtime import locate
from deploy.gating.order import Evaluators
from deploy.settings import PromptSettings, Settings
from gates.safety.attack import attacks
from gates.safety.judging import AttackJudge
from optimizer.ports import Evaluator, Judge, LanguageModel, PairJudge
from optimizer.prompts import Body

Progress = Callable[[int, int], None]
