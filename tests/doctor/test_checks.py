"""The table of checks: each problem is found where it is, and nowhere else; none lacks a fix."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from actd.doctor.checks import CHECKS
from actd.doctor.checks import cameras as camera_checks
from actd.doctor.computer import read_computer
from actd.doctor.examine import judge
from actd.doctor.facts import Facts
from actd.doctor.finding import Fine, NotApplicable, Problem, Row, Trouble
from tests.doctor.cases import CASES, Case, daemon, loops
from tests.doctor.page import PAGE, updated

PROBLEMS = [problem for check in CHECKS for problem in check.problems]


def troubles(facts: Facts) -> list[Trouble]:
    return [row.finding for row in judge(facts) if isinstance(row.finding, Trouble)]


def test_a_problem_without_a_fix_cannot_be_constructed() -> None:
    for fix in ("", "  ", "\n"):
        with pytest.raises(ValueError, match="needs a fix"):
            Problem("failure", "something", fix)
    problem = Problem("failure", "something", "{fix}")
    with pytest.raises(ValueError, match="needs a fix"):
        problem.seen("found", fix=" ")
    with pytest.raises(ValueError, match="needs a fix"):
        Trouble("found", "", problem, "")
    with pytest.raises(TypeError):
        Trouble("found", "", problem)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="needs a cause"):
        Problem("warning", "", "fix")


def test_every_problem_of_the_table_has_its_case() -> None:
    assert len(PROBLEMS) == len(set(PROBLEMS))
    assert Counter(case.problem for case in CASES) == Counter(PROBLEMS)


def test_nothing_is_wrong_with_what_is_well(healthy: Facts) -> None:
    assert troubles(healthy) == []
    names = [row.check for row in judge(healthy)]
    assert list(dict.fromkeys(names)) == [check.name for check in CHECKS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.problem.cause[:40])
def test_a_problem_is_found_and_said_with_its_fix(case: Case, healthy: Facts) -> None:
    seen = [one for one in troubles(case.worse(healthy)) if one.problem is case.problem]
    assert len(seen) >= 1
    said = " ".join(f"{one.found} {one.fix}" for one in seen)
    assert case.words in said
    assert "{" not in said
    assert case.problem not in [one.problem for one in troubles(healthy)]


def test_every_check_answers_always(healthy: Facts) -> None:
    """Also where nothing could be read: each says why."""
    nothing = Facts(computer=replace(read_computer(Path("/nowhere")), clock_synchronized=None))
    for facts in (nothing, daemon()(healthy), *(case.worse(healthy) for case in CASES)):
        rows = judge(facts)
        assert {row.check for row in rows} == {check.name for check in CHECKS}
        assert all(row.finding.found for row in rows)
    rows = judge(nothing)
    assert {row.finding.outcome for row in rows} == {"ok", "not applicable"}


def test_a_running_daemon_is_asked_instead(healthy: Facts) -> None:
    rows = {row.name: row.finding for row in judge(daemon()(healthy))}
    assert isinstance(rows["reference"], NotApplicable)
    assert isinstance(rows["camera cam_high"], Fine)
    assert "running daemon" in rows["lateness"].found
    assert isinstance(rows["ports"], Fine)
    worse = daemon(cameras={"cam_high": "failed: unplugged; plug it in"}, engine="refusing: x")
    cameras = [row for row in judge(worse(healthy)) if row.check == "camera"]
    assert [row.fix for row in cameras] == ["plug it in"]
    (row,) = (
        row
        for row in judge(daemon(cameras={"cam_high": "slow and grey: 12 fps; see it"})(healthy))
        if row.check == "camera"
    )
    assert isinstance(row.finding, Trouble)
    assert row.finding.problem is camera_checks.SLOW["file"]


def test_rights_that_nobody_asked_for_are_not_missed(healthy: Facts) -> None:
    facts = loops(wish="off", granted={"wish": "off"})(healthy)
    assert {row.finding.outcome for row in judge(facts) if row.check == "realtime"} == {
        "not applicable"
    }


def test_a_row_is_plain_data() -> None:
    problem = Problem("failure", "cause", "do {what}")
    row = Row("camera", problem.seen("it is broken", "top", what="this"))
    assert row.to_dict() == {
        "name": "camera top",
        "outcome": "failure",
        "found": "it is broken",
        "fix": "do this",
    }
    assert Row("clock", Fine("well")).to_dict()["fix"] is None


def test_the_page_has_the_table_of_the_code() -> None:
    page = PAGE.read_text()
    assert updated(page) == page, "write it with python -m tests.doctor.page"
