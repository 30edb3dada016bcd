"""Tracegrad's core as a library: text graphs that read like PyTorch. Standard library only."""

from optimizer.autodiff.calls import ModelCall
from optimizer.autodiff.context import no_grad, use
from optimizer.autodiff.criticism import Example
from optimizer.autodiff.functions import node
from optimizer.autodiff.sums import mean, total
from optimizer.autodiff.variable import Variable

__all__ = ["Example", "ModelCall", "Variable", "mean", "no_grad", "node", "total", "use"]
