"""Changes as they are made to real files and by real commands, and as they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.errors import ActdError
from actd.service.changes import MakeFolder, Remove, Run, Write, apply


def test_a_file_is_written_for_everyone_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "actd.service.d/x.conf"
    apply([Write(path, "one\n"), Write(path, "two\n", "one\n"), Write(path, "two\n", "one\n")])
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_replaced_file_shows_what_changes() -> None:
    new, changed = Write(Path("/x"), "a\nb\n"), Write(Path("/x"), "a\nc\n", "a\nb\n")
    assert (str(new), list(new.details())) == ("write /x", ["+a", "+b"])
    assert (str(changed), list(changed.details())) == ("replace /x", [" a", "-b", "+c"])


def test_folders_and_what_is_gone_already(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    apply([MakeFolder(folder), MakeFolder(folder), Write(folder / "c", "")])
    link = tmp_path / "link"
    link.symlink_to(folder)
    apply([Remove(link), Remove(link)])
    assert (folder / "c").exists()
    apply([Remove(folder), Remove(folder)])
    assert not folder.exists()


def test_a_command_that_fails_is_one_line_and_ends_the_plan(tmp_path: Path) -> None:
    never = Write(tmp_path / "never", "")
    wrong = Run(("sh", "-c", "echo first >&2; echo second >&2; exit 3"))
    with pytest.raises(ActdError, match=r"^run sh -c .*: first second; mend that and repeat$"):
        apply([wrong, never])
    with pytest.raises(ActdError, match=r"^no-such-command: no such command; install it"):
        apply([Run(("no-such-command",)), never])
    assert not never.path.exists()


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ActdError, match=r"^make .*/file/: File exists; mend that and repeat$"):
        apply([MakeFolder(tmp_path / "file")])
    with pytest.raises(ActdError, match=r"^write .*/file/x: .*; mend that and repeat$"):
        apply([Write(tmp_path / "file" / "x", "")])
