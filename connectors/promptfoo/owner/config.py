"""The owner's promptfoo configuration as a gate: its tests as cases, and what of it cannot be honoured.

Read once, before anything runs. Its variables and assertions are trusted, run as they are written, by promptfoo.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.promptfoo.owner.documents import read, text_of
from connectors.promptfoo.owner.limits import Limits
from connectors.promptfoo.owner.project import Project, is_file, split
from connectors.promptfoo.owner.tests import OwnerTest, Reading, Test, inside
from connectors.promptfoo.owner.variables import question
from optimizer.errors import BadInput
from optimizer.identity import Json, canonical
from optimizer.prompts import Body, body_json
from optimizer.proof import Finding, Gate
from optimizer.template import placeholders, variables
from optimizer.types import Case, CaseInput, CaseOrigin, Missing, Verdict

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
SHOWN = 5
"""So many of the things that cannot be honoured are named in a sentence."""
_LANGFUSE = re.compile(r"langfuse://(?P<name>.+?)(?:@[^:@]+)?(?::\w+){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerTests:
    """The tests of one configuration.

    Attributes:
        name: of the file.
        cases: one for each test, in the order of the file, origin CONFIG.
        not_honoured: what the owner asks for and this gate leaves out, in words.
        tests: as promptfoo gets them, by case id.
        common: what holds for every test.
        filters: nunjucks filters of the owner: name and file.
        transform: what is done to every answer; nothing when None.
        judge_model, embedding_model: who grades where the owner names nobody; empty for none.
    """

    name: str
    cases: tuple[Case, ...]
    not_honoured: tuple[str, ...]
    tests: Mapping[str, OwnerTest] = field(repr=False)
    common: Test = field(repr=False)
    filters: Mapping[str, Path]
    transform: Json
    judge_model: str
    embedding_model: str

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        project: Path,
        prompt_name: str,
        body: Body,
        candidate: Body = "",
        judge_model: str = "",
        embedding_model: str = "",
    ) -> "OwnerTests":
        """Read a configuration.

        Args:
            project: the folder that the tests may read; files outside it are refused.
            prompt_name: in the registry; `langfuse://NAME` stands for both arms.
            body: the prompt as it is now; its own text stands for both arms, and so does the candidate's: where a
                prompt lives in a file, the file that the tests name holds one of the two.

        Raises:
            BadInput: it does not parse, reads files outside the project, or holds a test twice.
        """
        if path.suffix not in SUFFIXES:
            raise BadInput(f"{path.name} is no YAML or JSON file", "write the tests as YAML")
        house = Project.around(path, project)
        whole = read(path)
        config = house.resolved(whole, whole)
        if not isinstance(config, dict):
            raise BadInput(f"{path.name} holds no settings of promptfoo", "write at least `tests`")
        limits = Limits(judge_model=judge_model, embedding_model=embedding_model)
        _prompts(config, limits, house, prompt_name, (body, candidate))
        transform = house.absolute(limits.providers(config))
        limits.sections(config)
        common = limits.kept(_common(config, house), "`defaultTest`")
        reading = Reading(house)
        reading.take(config.get("tests", []))
        for skipped in reading.skipped:
            limits.tell(skipped)
        if not reading.tests and not limits.told:
            raise BadInput(f"{path.name} holds no tests", "write some under `tests`")
        tests = [limits.test(test) for test in reading.tests]
        for test in tests:
            _unplaced(test, common, limits, body)
        return cls(
            name=path.name,
            cases=tuple(_case(test) for test in tests),
            not_honoured=tuple(limits.told),
            tests={test.case_id: test for test in tests},
            common=common,
            filters=_filters(config, house),
            transform=transform,
            judge_model=judge_model,
            embedding_model=embedding_model,
        )

    def finding(self) -> Finding | None:
        """Undecided when something cannot be honoured; None otherwise, for then the runs decide."""
        if not self.not_honoured:
            return None
        named = ", ".join(self.not_honoured[:SHOWN])
        more = len(self.not_honoured) - SHOWN
        others = f" and {more} more" if more > 0 else ""
        sentence = f"{self.name} asks for what this gate cannot do: {named}{others}."
        return Finding(gate=Gate.PROMPTFOO, verdict=Verdict.UNDECIDED, sentence=sentence)


def _case(test: OwnerTest) -> Case:
    """The case of a test, with the variables as they are written; promptfoo renders them when it runs."""
    written = {name: value for name, value in (test.variables or {}).items() if isinstance(value, str)}
    return Case(
        id=test.case_id,
        origin=CaseOrigin.CONFIG,
        input=CaseInput(variables=tuple(sorted(written.items()))),
        reference=Missing.NO_REFERENCE,
        source_key=test.case_id,
    )


def _common(config: Test, project: Project) -> Test:
    common, folder = config.get("defaultTest"), project.base
    if isinstance(common, str):
        path = project.files(common)[0]
        whole, folder = read(path), path.parent
        common = project.resolved(whole, whole)
    if common is not None and not isinstance(common, dict):
        raise BadInput("`defaultTest` is no test", "write a mapping with `vars` and `assert`")
    return inside(project, common or {}, folder)


def _filters(config: Test, project: Project) -> dict[str, Path]:
    named = config.get("nunjucksFilters")
    if not isinstance(named, dict):
        return {}
    return {name: project.files(str(path))[0] for name, path in named.items()}


def _prompts(config: Test, limits: Limits, project: Project, name: str, bodies: Sequence[Body]) -> None:
    """Both arms stand where our prompt stands; any other prompt is not ours to run."""
    listed = config.get("prompts")
    if isinstance(listed, dict):
        listed = list(listed)
    for entry in listed if isinstance(listed, list) else [] if listed is None else [listed]:
        named = entry.get("raw", entry.get("id", entry.get("label"))) if isinstance(entry, dict) else entry
        if not isinstance(named, str) or not _is_ours(named, project, name, bodies):
            limits.tell("a prompt that is not the one under test")


def _is_ours(named: str, project: Project, name: str, bodies: Sequence[Body]) -> bool:
    found = _LANGFUSE.fullmatch(named)
    if found:
        return found["name"] == name
    # only looked at, never given to promptfoo: prompts often lie beside the tests' folder
    path = project.base / split(named)[0]
    text = text_of(path) if is_file(path) else named
    return text.strip() == "{{prompt}}" or any(_same(text, body) for body in bodies)


def _same(text: str, body: Body) -> bool:
    """Whether a text is a prompt: a chat as JSON, whatever its spacing."""
    if isinstance(body, str):
        return text.strip() == body.strip() != ""
    try:
        return canonical(json.loads(text)) == body_json(body)
    except ValueError:
        return False


def _unplaced(test: OwnerTest, common: Test, limits: Limits, body: Body) -> None:
    """A test whose variables never reach the prompt, and a variable of the prompt that a test leaves out."""
    options = [part.get("options") for part in (test.said, common)]
    shared = common.get("vars") or {}
    own = test.variables
    if (
        own is None
        or not isinstance(shared, dict)
        or any(isinstance(o, dict) and "transformVars" in o for o in options)
    ):
        return
    names = {**shared, **own}
    used = variables(body) | set(placeholders(body))
    for missing in sorted(variables(body) - names.keys()):
        limits.tell(f"{test.name} gives no value for the prompt's variable '{missing}'")
    if names and not used & names.keys() and not question([body], names):
        limits.tell(f"no variable of {test.name} reaches the prompt (call it `question`)")
