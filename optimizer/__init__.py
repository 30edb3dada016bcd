"""Tracegrad's core as a library: text graphs that read like PyTorch. Standard library only.

    from optimizer import TGD, JudgedLoss, ModelCall, Variable, total, use

Every name is loaded when it is first asked for: the command line imports parts of this package and has to answer at
once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.autodiff.calls import ModelCall as ModelCall
    from optimizer.autodiff.context import no_grad as no_grad
    from optimizer.autodiff.context import use as use
    from optimizer.autodiff.criticism import Example as Example
    from optimizer.autodiff.descent import TGD as TGD
    from optimizer.autodiff.functions import node as node
    from optimizer.autodiff.instructions import critic_variable as critic_variable
    from optimizer.autodiff.instructions import edited as edited
    from optimizer.autodiff.instructions import rewriter_variable as rewriter_variable
    from optimizer.autodiff.losses import ExaminedLoss as ExaminedLoss
    from optimizer.autodiff.losses import JudgedLoss as JudgedLoss
    from optimizer.autodiff.losses import MetricLoss as MetricLoss
    from optimizer.autodiff.losses import correction as correction
    from optimizer.autodiff.losses import feedback as feedback
    from optimizer.autodiff.picture import as_json as as_json
    from optimizer.autodiff.picture import as_mermaid as as_mermaid
    from optimizer.autodiff.sums import mean as mean
    from optimizer.autodiff.sums import total as total
    from optimizer.autodiff.variable import Variable as Variable
    from optimizer.errors import BadInput as BadInput
    from optimizer.errors import TracegradError as TracegradError
    from optimizer.steps.rewriting import Revision as Revision
    from optimizer.types import Verdict as Verdict

_HOMES = {
    "autodiff.calls": ("ModelCall",),
    "autodiff.context": ("no_grad", "use"),
    "autodiff.criticism": ("Example",),
    "autodiff.descent": ("TGD",),
    "autodiff.functions": ("node",),
    "autodiff.instructions": ("critic_variable", "edited", "rewriter_variable"),
    "autodiff.losses": ("ExaminedLoss", "JudgedLoss", "MetricLoss", "correction", "feedback"),
    "autodiff.picture": ("as_json", "as_mermaid"),
    "autodiff.sums": ("mean", "total"),
    "autodiff.variable": ("Variable",),
    "errors": ("BadInput", "TracegradError"),
    "steps.rewriting": ("Revision",),
    "types": ("Verdict",),
}
_HOME_OF = {name: f"optimizer.{home}" for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    """A public name, from where it lives."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'optimizer' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
