"""A judge that is the owner's own Python function: the port `Judge` over `module:function`.

The function gets one row, `{"id", "input", "output", "expected"}`, and gives a score in [0, 1], a pair of score and
feedback, or `{"score", "feedback"}`; it may be async. It runs in a thread, so that one that blocks keeps nobody
waiting. Must never show what an exception of it says: that may quote a stranger.
"""

import asyncio
import importlib
import inspect
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.judges.judgements import judgement, row
from optimizer.errors import BadInput
from optimizer.types import Case, Scored, Unscored

CONCURRENCY = 16
"""Rows judged at the same time."""
TIMEOUT_S = 120.0
"""For one row. A function that runs on after it is left to itself."""


class PythonJudge:
    """Judges answers by a function.

    Args:
        name: names the function in reports.
        function: takes one row.
        timeout_s: the longest that one row may take.
    """

    def __init__(self, name: str, function: Callable[[dict[str, Any]], Any], *, timeout_s: float = TIMEOUT_S) -> None:
        self._name = name
        self._function = function
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(CONCURRENCY)

    @property
    def name(self) -> str:
        """The function's module and name."""
        return self._name

    async def judge_again(self, case: Case, output: str) -> Scored | Unscored:
        """The same once more; see `Varying`. Only the owner knows whether the function asks a model or rolls dice."""
        return await self.judge(case, output)

    async def judge(self, case: Case, output: str) -> Scored | Unscored:
        """Judge one answer; see the port. Raises BadInput for a score on another scale."""
        async with self._places:
            limit = asyncio.timeout(self._timeout_s)
            try:
                async with limit:
                    said = await _in_thread(self._function, row(case, output))
                    said = await said if inspect.isawaitable(said) else said
            except Exception as error:
                if limit.expired():
                    return Unscored(reason=f"the evaluator took longer than {self._timeout_s:g} s")
                return Unscored(reason=f"the evaluator raised {type(error).__name__}{_where(error)}")
        return judgement(said)


def load(spec: str, folder: Path) -> PythonJudge:
    """The judge that `module:function` names, with the folder first on the path.

    Raises:
        BadInput: there is no such function, or it does not take one row.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise BadInput(f"'python:{spec}' names no function", "write it like python:module:function")
    if module_name.endswith(".py"):
        raise BadInput(f"'{module_name}' is a file, and no module", "leave out the .py")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    function = _imported(module_name)
    for part in attribute.split("."):
        function = getattr(function, part, None)
    if not callable(function):
        raise BadInput(f"the module {module_name} has no function '{attribute}'", "correct the name after the colon")
    try:
        inspect.signature(function).bind({})
    except TypeError as error:
        raise BadInput(
            f"the evaluator {attribute} does not take one argument, the row", "write it like def evaluate(row): ..."
        ) from error
    except ValueError:
        pass  # a builtin does not tell
    return PythonJudge(f"python:{spec}", function)


def _imported(module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        file = f"{module_name.replace('.', '/')}.py"
        raise BadInput(
            f"the evaluator cannot be imported: there is no module '{error.name}'",
            f"run the command in the folder that holds {file}, or install what it needs",
        ) from error
    except (Exception, SystemExit) as error:  # whatever the owner's module does when it is imported
        raise BadInput(
            f"importing the evaluator raised {type(error).__name__}{_where(error)}",
            f"make `python -c 'import {module_name}'` work first",
        ) from error


async def _in_thread(function: Callable[[dict[str, Any]], Any], said: dict[str, Any]) -> Any:
    """What the function gives, from a thread that nobody has to wait for: not even the end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if answer.done():  # given up meanwhile
            if inspect.iscoroutine(value):
                value.close()
        elif error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def work() -> None:
        value: Any = None
        failure: Exception | None = None
        try:
            value = function(said)
        except StopIteration:  # the one exception that a future refuses
            failure = RuntimeError("StopIteration")
        except BaseException as error:  # also SystemExit: it ends a thread silently and would be waited for
            failure = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:  # the loop is closed: nobody waits any more
            if inspect.iscoroutine(value):
                value.close()

    threading.Thread(target=work, name="evaluator", daemon=True).start()
    return await answer


def _where(error: BaseException) -> str:
    """The line of the owner's that raised it, or that called what did."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in {Path(error.filename).name} line {error.lineno}"
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen"):
            return f" in {Path(frame.filename).name} line {frame.lineno}"
    return ""
