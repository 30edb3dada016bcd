"""What a gate cannot do as the owner wrote it. It is left out of the run and told, and the gate is then undecided.

Left out is always the smallest part: an assertion, an option, a grader. Nothing is left out silently, except what
changes no result: descriptions, named metrics, where results would be written.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from connectors.promptfoo.owner.graders import routed
from connectors.promptfoo.owner.tests import OwnerTest, Test
from connectors.promptfoo.settings import DETERMINISTIC, texts
from optimizer.identity import Json

EMBEDDED = frozenset({"similar", "similar:cosine", "similar:dot", "similar:euclidean", "answer-relevance"})
GRADED = frozenset(
    {
        *("llm-rubric", "factuality", "model-graded-factuality", "model-graded-closedqa", "g-eval", "select-best"),
        *("answer-relevance", "context-faithfulness", "context-recall", "context-relevance"),
        "conversation-relevance",
    }
)
RUN = DETERMINISTIC | GRADED | EMBEDDED | {"javascript", "python", "max-score"}
OPTIONS = frozenset(
    {
        *("transform", "postprocess", "transformVars", "rubricPrompt", "factuality", "provider", "runSerially"),
        *("disableVarExpansion", "disableConversationVar", "disableDefaultAsserts"),
    }
)
SECTIONS = ("scenarios", "extensions", "redteam", "plugins", "strategies", "tracing", "env")
ANSWERING = ("provider", "providers", "providerOutput")
COLUMNS = ("__prefix", "__suffix", "__providerOutput")
_ENVIRONMENT = re.compile(r"\{[{%][^}]*\benv\s*[.\[]")
_PROMPT = re.compile(r"""context(?:\.|\[["'])prompt\b""")
_EXPECTED = re.compile(r"(?:not-)?([a-z][a-z0-9:-]*?)(?:\([\d.]+\))?:")
_CELL_WORDS = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}


@dataclass(slots=True, kw_only=True)
class Limits:
    """Removes what cannot be done, and remembers it.

    Attributes:
        judge_model, embedding_model: empty for none.
        told: what was left out, in words, each once.
    """

    judge_model: str
    embedding_model: str
    told: dict[str, None] = field(default_factory=dict)

    def tell(self, what: str) -> None:
        """Remember something that was left out."""
        self.told[what] = None

    def sections(self, config: Test) -> None:
        """What stands beside the tests."""
        for name in SECTIONS:
            if config.get(name):
                self.tell(f"`{name}`")
        for name in ("evaluateOptions", "commandLineOptions"):
            options = config.get(name)
            repeat = options.get("repeat") if isinstance(options, dict) else None
            if isinstance(repeat, int) and repeat > 1:
                self.tell(f"`{name}.repeat`")
        command = config.get("commandLineOptions")
        for name in sorted(command) if isinstance(command, dict) else ():
            if name.startswith(("filter", "promptPrefix", "promptSuffix", "var", "assertions", "modelOutputs")):
                self.tell(f"`commandLineOptions.{name}`")

    def providers(self, config: Test) -> Json:
        """Several models, or one that is an application, are not our one task model. Gives the model's transform."""
        listed = config.get("providers", config.get("targets"))
        found = listed if isinstance(listed, list) else [] if listed is None else [listed]
        if len(found) > 1:
            self.tell("more than one provider")
        named = found[0] if found else None
        options = named if isinstance(named, dict) else {}
        name = options.get("id", named)
        if isinstance(name, str) and name.startswith(("file://", "exec:", "python:", "http", "ws", "golang:", "ruby:")):
            self.tell("a provider that is an application: the task model answers instead")
        config_of = options.get("config")
        for key in sorted(config_of) if isinstance(config_of, dict) else ():
            if key in ("tools", "functions", "tool_choice", "function_call", "response_format", "systemPrompt"):
                self.tell(f"the provider's `{key}`")
        return options.get("transform")

    def test(self, test: OwnerTest) -> OwnerTest:
        """The test without what cannot be done."""
        if not test.is_row:
            return replace(test, said=self.kept(test.said, test.name))
        self._outside(test.said, test.name)
        return replace(test, said=self._row(test))

    def kept(self, said: Test, name: str) -> Test:
        """What is left of a test, or of what is set for all."""
        self._outside(said, name)
        kept = {key: value for key, value in said.items() if key not in (*ANSWERING, "prompts")}
        for key in ANSWERING:
            if said.get(key):
                self.tell(f"`{key}` of {name}")
        options = said.get("options")
        if isinstance(options, dict):
            kept["options"] = self._options(options, name)
        asserted = said.get("assert")
        if isinstance(asserted, list):
            kept["assert"] = list(self._assertions(asserted, name))
        return kept

    def _outside(self, said: Test, name: str) -> None:
        """The environment is empty here, and packages lie outside the project's files."""
        for text in texts(said):
            if _ENVIRONMENT.search(text):
                self.tell(f"the environment in a template of {name}")
            if text.startswith("package:"):
                self.tell(f"a package in {name}")

    def _options(self, options: Test, name: str) -> Test:
        for key in sorted(options.keys() - OPTIONS):
            if options[key] not in (None, "", 1) or key not in ("prefix", "suffix", "repeat"):
                self.tell(f"the option `{key}` of {name}")
        kept = {key: value for key, value in options.items() if key in OPTIONS}
        self._route(kept, name)
        return kept

    def _route(self, holder: Test, name: str) -> None:
        """Send a named grader through our client, or leave the grading to our judge and say so."""
        if holder.get("provider") is None:
            holder.pop("provider", None)
            return
        graders = routed(holder["provider"], judge_model=self.judge_model, embedding_model=self.embedding_model)
        if graders is None:
            self.tell(f"the grader that {name} names: our judge grades instead")
            del holder["provider"]
        else:
            holder["provider"] = graders

    def _assertions(self, asserted: Iterable[Json], name: str) -> Iterable[Json]:
        for assertion in asserted:
            kind = assertion.get("type") if isinstance(assertion, dict) else None
            if not isinstance(assertion, dict) or not isinstance(kind, str):
                self.tell(f"an assertion without a `type` in {name}")
            elif kind == "assert-set":
                inner = assertion.get("assert")
                yield {**assertion, "assert": list(self._assertions(inner if isinstance(inner, list) else [], name))}
            elif self._runs(kind, name):
                value = assertion.get("value")
                if kind.endswith(("javascript", "python")) and isinstance(value, str) and _PROMPT.search(value):
                    self.tell(f"`context.prompt` in {name}")
                kept = dict(assertion)
                self._route(kept, name)
                yield kept

    def _runs(self, kind: str, name: str) -> bool:
        base = kind.removeprefix("not-")
        if base not in RUN:
            self.tell(f"'{kind}' in {name}")
        elif base in GRADED and not self.judge_model:
            self.tell(f"'{kind}' in {name}, which needs a judge model")
        elif base in EMBEDDED and not self.embedding_model:
            self.tell(f"'{kind}' in {name}, which needs an embedding model")
        else:
            return True
        return False

    def _row(self, test: OwnerTest) -> Test:
        kept = {}
        for column, cell in test.said.items():
            if column in COLUMNS:
                if cell:
                    self.tell(f"`{column}` of {test.name}")
                continue
            found = _EXPECTED.match(str(cell)) if column.startswith("__expected") else None
            kind = _CELL_WORDS.get(found[1], found[1]) if found else ""
            if kind in RUN or kind in UNSUPPORTED:
                kept[column] = cell if self._runs(kind, test.name) else ""
            else:
                kept[column] = cell
        return kept


UNSUPPORTED = frozenset(
    {
        *("agent-rubric", "classifier", "finish-reason", "guardrails", "moderation", "perplexity", "perplexity-score"),
        *("pi", "ruby", "search-rubric", "webhook", "is-valid-openai-function-call", "is-valid-openai-tools-call"),
    }
)
"""Words that a cell may begin with and that are types of assertions; any other word before a colon is plain text."""
