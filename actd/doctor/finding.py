"""What a check finds: all is well, there is nothing to look at, or a problem with its fix.

Pure. A problem without a fix cannot be constructed, neither in the table nor in an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Union

if TYPE_CHECKING:
    from actd.doctor.facts import Facts

Outcome = Literal["ok", "warning", "failure", "not applicable"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that can be wrong: a row of docs/doctor.md.

    `fix` is what to do, for `str.format`. Raises ValueError without one, or without a cause.
    """

    severity: Literal["warning", "failure"]
    cause: str
    fix: str

    def __post_init__(self) -> None:
        _require(self.cause, "cause")
        _require(self.fix, "fix")

    def seen(self, observed: str, subject: str = "", **values: object) -> Trouble:
        """This problem as it was found, of `subject` where a check looks at several things."""
        return Trouble(observed, subject, self, self.fix.format(**values))

    def told(self, message: str, subject: str = "", **values: object) -> Trouble:
        """This problem as an ActdError tells it: `what: found; remedy`.

        Where the message has no remedy, the fix is the table's.
        """
        observed, _, remedy = message.partition("; ")
        return Trouble(observed, subject, self, remedy or self.fix.format(**values))


@dataclass(frozen=True, slots=True)
class Fine:
    """What was looked at is as it should be."""

    found: str
    subject: str = ""
    outcome: ClassVar[Outcome] = "ok"


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """There is nothing to look at; `found` says why."""

    found: str
    subject: str = ""
    outcome: ClassVar[Outcome] = "not applicable"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem that was found, and what to do about it. Raises ValueError without a fix."""

    found: str
    subject: str
    problem: Problem
    fix: str

    def __post_init__(self) -> None:
        _require(self.found, "found")
        _require(self.fix, "fix")

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.problem.severity


Finding = Union[Fine, NotApplicable, Trouble]  # noqa: UP007  evaluated at run time, on 3.10 too


@dataclass(frozen=True, slots=True)
class Check:
    """What is looked at, everything that can be wrong with it, and the pure judgement."""

    name: str
    looks_at: str
    problems: tuple[Problem, ...]
    judge: Callable[[Facts], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the answer."""

    check: str
    finding: Finding

    @property
    def name(self) -> str:
        """The check, and what it was of."""
        return f"{self.check} {self.finding.subject}".rstrip()

    @property
    def fix(self) -> str | None:
        """What to do, None where nothing is wrong."""
        return self.finding.fix if isinstance(self.finding, Trouble) else None

    def to_dict(self) -> dict[str, str | None]:
        """Plain JSON data."""
        return {
            "name": self.name,
            "outcome": self.finding.outcome,
            "found": self.finding.found,
            "fix": self.fix,
        }


def _require(text: str, what: str) -> None:
    if not text.strip():
        raise ValueError(f"a problem needs a {what}")
