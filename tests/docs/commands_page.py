"""docs/commands.md: every command with its flags, by typer's own generator of pages."""

from __future__ import annotations

import re

from typer.cli import get_docs_for_click
from typer.main import get_command

from actd.cli import app
from actd.drive import options

_HEAD = """\
# Commands

Every command with its flags, as `actd COMMAND --help` shows them; made of the code by
`python -m tests.docs.write`.

| exit code | |
|---|---|
| 0 | done |
| 1 | tried and failed: nobody answers, an order is refused, a check does not pass, a disk is full |
| 2 | the command line is wrong, or what it names: a checkpoint, an engine, a recording, a place |
| 78 | the deployment file is wrong or missing |
| 70, 130, 141 | something that actd did not foresee; Ctrl-C; the reader of the output went away |
"""
_OWN_PARSER = "drive"
"""The command that reads its flags itself, where typer need not be installed."""

# Lists of commands are cut short, and the commands follow anyway.
_LISTS = re.compile(r"^\*\*Commands\*\*:\n\n(?:\* .*\n)+\n", re.MULTILINE)
_EMPTY = re.compile(r"^\*\*Options\*\*:\n\n(?!\*)\n?", re.MULTILINE)
_NOISE = re.compile(r"^\* `(?:-h, )?--help`: Show this message and exit\.\n", re.MULTILINE)


def page() -> str:
    """The page's text."""
    command = get_command(app)
    context = command.make_context("actd", [], resilient_parsing=True)
    text = get_docs_for_click(obj=command, ctx=context, name="actd")
    _, _, text = text.partition("\n## ")
    text = f"## {text}"
    for unwanted in (_LISTS, _NOISE, _EMPTY):
        text = unwanted.sub("", text)
    before, heading, after = text.partition(f"## `actd {_OWN_PARSER}`\n")
    assert heading, _OWN_PARSER
    rest = after[after.index("\n## ") :]
    return f"{_HEAD}\n{before}{heading}\n{_drive()}{rest}".rstrip() + "\n"


def _drive() -> str:
    """As typer writes it, of the parser that `actd drive` has instead."""
    parser = options.flag_parser()
    usage = (parser.usage or "").replace("       actd", "$ actd")
    lines = [
        f"{parser.description}\n",
        f"**Usage**:\n\n```console\n$ {usage}\n```\n\n**Options**:\n",
    ]
    for action in parser._actions:
        if "--help" in action.option_strings:
            continue
        name = ", ".join(action.option_strings) or str(action.metavar)
        choices = f"{{{','.join(action.choices)}}}" if action.choices else action.metavar
        takes = f" {choices or action.dest.upper()}" if action.option_strings else ""
        takes = "" if action.nargs == 0 else takes
        lines.append(f"* `{name}{takes}`: {action.help}")
    return "\n".join(lines) + "\n"
