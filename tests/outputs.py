"""A tick's output that says no more than what an operator is told."""

from __future__ import annotations

from collections.abc import Sequence

from actd.control.tick import Answer, Output, Progress
from actd.mode import Mode


def output(
    mode: Mode, answers: Sequence[Answer] = (), reason: str = "", move: Progress | None = None
) -> Output:
    """Without a command and without a chunk."""
    return Output(
        mode=mode,
        action=None,
        rest=None,
        rest_ns=0,
        chunk=0,
        chunk_age_ns=None,
        n=0,
        flags=0,
        reason=reason,
        answers=tuple(answers),
        move=move,
    )
