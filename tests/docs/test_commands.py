"""Every `actd` command that the documentation shows is one that this actd takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from actd.cli import app
from actd.drive import options
from tests.docs.lines import ROOT, Line, lines_of, pages
from tests.docs.write import pages as written_pages

_COMMANDS = get_command(app)
_WRITTEN_FROM_CODE = {ROOT / "docs/commands.md"}

THEIRS = ("--robot.", "--teleop.")
"""How LeRobot's own flags begin."""


def problem(line: Line) -> str:
    """Why `actd` would refuse it, "" where it would not."""
    # As pages write them: [what may be left out].
    words = shlex.split(line.text.translate(str.maketrans("[]", "  ")), comments=True)[1:]
    command: Any = _COMMANDS
    while words and hasattr(command, "commands"):
        names = words.pop(0).split("|")
        if names[0] in ("--help", "--version"):
            return ""
        unknown = [name for name in names if name not in command.commands]
        if unknown:
            return f"no command {unknown[0]}"
        command = command.commands[names[0]]
    if not line.whole:
        known = _flags(command)
        given = [word.partition("=")[0] for word in words if word.startswith("-")]
        unknown = [flag for flag in given if flag not in known and not flag.startswith(THEIRS)]
        return f"no option {unknown[0]}" if unknown else ""
    try:
        if command.name == "drive":
            options.parse(words)
        else:
            command.make_context(command.name, words)
    except Exception as error:  # noqa: BLE001  typer has several, and moves them about
        return str(error) or type(error).__name__
    return ""


def _flags(command: Any) -> set[str]:
    if command.name == "drive":
        return {flag for action in options.flag_parser()._actions for flag in action.option_strings}
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    if page in _WRITTEN_FROM_CODE:
        pytest.skip("it is usage, made of the code")
    problems = {line.text: problem(line) for line in lines_of(page)}
    assert not {text: why for text, why in problems.items() if why}


def test_commands_are_found_at_all() -> None:
    lines = [line for page in pages() for line in lines_of(page)]
    assert sum(line.whole for line in lines) > 60
    assert len({line.text.split()[1] for line in lines if len(line.text.split()) > 1}) > 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("actd exprot run --out x", "no command exprot"),
        ("actd export run", "out"),
        ("actd export run --out x --quantise", "--quantise"),
        ("actd service instal", "no command instal"),
        ("actd config check one.yaml two.yaml", "two.yaml"),
        ("actd run [actd.yaml] [--dyr]", "--dyr"),
        ("actd drive --robot.type", "--robot.type"),
        ("actd drive my_arm.py:MyArm --at-edn=park", "--at-edn"),
    ],
)
def test_what_actd_does_not_take_is_noticed(text: str, told: str) -> None:
    assert told in problem(Line("page", text, whole=True))


def test_a_flag_in_a_sentence_is_checked_and_what_it_leaves_out_is_not() -> None:
    assert problem(Line("page", "actd replay --limit", whole=False)) == "no option --limit"
    assert problem(Line("page", "actd drive --form-here", whole=False)) == "no option --form-here"
    assert not problem(Line("page", "actd drive --arm --from-here", whole=False))
    assert not problem(Line("page", "actd export CHECKPOINT --engine mine.yaml", whole=False))
    assert not problem(Line("page", "actd config check|show|schema", whole=False))


@pytest.mark.parametrize("path", written_pages(), ids=lambda path: path.name)
def test_pages_made_of_the_code_are_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == written_pages()[path], "run python -m tests.docs.write"
