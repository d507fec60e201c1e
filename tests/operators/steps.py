"""Runs one step of a flow over a list."""

from collections.abc import Callable, Iterable
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.testing import TestingSink, TestingSource, run_main


def run_step(step: Callable[[Stream[Any]], Stream[Any]], items: Iterable[Any], batch_size: int = 10) -> list[Any]:
    """What comes out of a step when these come in."""
    out: list[Any] = []
    flow = Dataflow("one_step")
    op.output("out", step(op.input("in", flow, TestingSource(items, batch_size))), TestingSink(out))
    run_main(flow)
    return out
