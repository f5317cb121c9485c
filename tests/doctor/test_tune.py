"""Settings that help are made, and what was there is put back exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actd.doctor import tune
from actd.doctor.tune import RECORD, Change
from actd.errors import ActdError, UsageError
from tests.doctor.tree import CORES, CPU, put, put_on_all, write_tree

GOVERNOR = f"{CPU}/cpu0/cpufreq/scaling_governor"
NOBODY = 65534


def slow(tree: Path) -> None:
    put_on_all(tree, "cpufreq/scaling_governor", "powersave\n")
    put(tree, f"{CPU}/cpu1/cpufreq/scaling_governor", "schedutil\n")
    put_on_all(tree, "cpuidle/state2/disable", "0\n")
    put(tree, "sys/firmware/acpi/platform_profile", "balanced\n")
    put(tree, "proc/swaps", "Filename Type\n/dev/zram0 partition\n")


def contents(tree: Path) -> dict[str, str]:
    return {
        str(file.relative_to(tree)): file.read_text().strip()
        for file in sorted(tree.rglob("*"))
        if file.is_file()
    }


def test_nothing_to_do_where_all_is_well(tree: Path) -> None:
    assert tune.changes(tree) == []
    assert tune.restorations(tree) == []
    assert tune.recorded(tree) == {}


def test_this_computer_can_be_asked() -> None:
    assert all(change.before != change.after for change in tune.changes())


def test_there_and_back(tree: Path) -> None:
    slow(tree)
    before = contents(tree)
    wanted = tune.changes(tree)
    assert len(wanted) == 2 * CORES + 2
    assert {change.why for change in wanted} >= {"memory stays in memory"}
    assert contents(tree) == before  # asking changes nothing
    tune.apply(wanted, tree)
    assert (tree / GOVERNOR).read_text() == "performance"
    assert (tree / "proc/sys/vm/swappiness").read_text() == "10"
    assert tune.changes(tree) == []
    tune.restore(tree)
    assert contents(tree) == before
    assert not (tree / RECORD).exists()


def test_a_second_time_keeps_what_was_there_at_first(tree: Path) -> None:
    slow(tree)
    before = contents(tree)
    tune.apply(tune.changes(tree), tree)
    put(tree, GOVERNOR, "ondemand")  # another program, in between
    tune.apply(tune.changes(tree), tree)
    assert tune.recorded(tree)[GOVERNOR] == "powersave"
    tune.restore(tree)
    assert contents(tree) == before


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    governors=st.lists(
        st.sampled_from(["performance", "powersave", "schedutil"]), min_size=4, max_size=4
    ),
    disabled=st.lists(st.sampled_from("01"), min_size=4, max_size=4),
    meanwhile=st.sampled_from(["performance", "ondemand", "powersave"]),
)
def test_whatever_was_there_is_there_again(
    tmp_path_factory: pytest.TempPathFactory,
    governors: list[str],
    disabled: list[str],
    meanwhile: str,
) -> None:
    tree = write_tree(tmp_path_factory.mktemp("root"))
    for core, (name, bit) in enumerate(zip(governors, disabled, strict=True)):
        put(tree, f"{CPU}/cpu{core}/cpufreq/scaling_governor", name)
        put(tree, f"{CPU}/cpu{core}/cpuidle/state2/disable", bit)
    before = contents(tree)
    wanted = tune.changes(tree)
    tune.apply(wanted, tree)
    for change in wanted:
        if change.path.endswith("governor"):
            put(tree, change.path, meanwhile)
    tune.restore(tree)
    assert contents(tree) == before


def test_a_value_that_is_refused_leaves_all_as_it_was(tree: Path) -> None:
    slow(tree)
    before = contents(tree)
    refusing = "sys/devices/refusing"
    (tree / refusing).mkdir()  # as the kernel, it may be opened and takes nothing
    wanted = [*tune.changes(tree), Change(refusing, "a", "b", "why")]
    with pytest.raises(ActdError, match=r"does not take b .*; nothing was changed"):
        tune.apply(wanted, tree)
    assert {path: text for path, text in contents(tree).items() if path != str(RECORD)} == before


def test_the_record_is_written_before_anything_is_changed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(tree)
    before = contents(tree)
    write = Path.write_text
    written: list[str] = []

    def dies(file: Path, text: str) -> int:
        written.append(file.name)
        if len(written) == 4:
            raise KeyboardInterrupt
        return write(file, text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", dies)
        with pytest.raises(KeyboardInterrupt):
            tune.apply(tune.changes(tree), tree)
    assert written[0].startswith(RECORD.name)
    assert contents(tree) != before
    tune.restore(tree)
    assert contents(tree) == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"sys/x": 3}',
        '{"etc/passwd": "x"}',
        '{"sys/../etc/passwd": "x"}',
        '{"/etc/passwd": "x"}',
        "\x00",
    ],
)
def test_a_damaged_record_writes_nothing(text: str, tree: Path) -> None:
    put(tree, str(RECORD), text)
    before = contents(tree)
    with pytest.raises(ActdError, match=r"damaged .*; start the computer again"):
        tune.restore(tree)
    slow(tree)
    with pytest.raises(ActdError, match="damaged"):
        tune.apply(tune.changes(tree), tree)
    assert (tree / GOVERNOR).read_text() == "powersave\n"
    assert str(RECORD) in before


def test_a_core_that_is_gone_is_left_out(tree: Path) -> None:
    slow(tree)
    tune.apply(tune.changes(tree), tree)
    (tree / GOVERNOR).unlink()
    tune.restore(tree)
    assert (tree / f"{CPU}/cpu1/cpufreq/scaling_governor").read_text() == "schedutil"
    assert not (tree / RECORD).exists()


@contextmanager
def as_nobody(tree: Path) -> Iterator[None]:
    """As another user than the one whose files these are, where we may become one."""
    if os.geteuid() != 0:
        files = [file for file in tree.rglob("*") if file.is_file()]
        for file in files:
            file.chmod(0o444)
        yield
        for file in files:
            file.chmod(0o644)
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_without_root_one_line_and_nothing_is_changed(tree: Path) -> None:
    for folder in (tree, *tree.parents[:3]):
        folder.chmod(0o755)
    slow(tree)
    before, wanted = contents(tree), tune.changes(tree)
    with as_nobody(tree), pytest.raises(UsageError) as error:
        tune.apply(wanted, tree)
    assert str(error.value) == (
        f"/{GOVERNOR}: must not be written by this user; run it again with sudo $(which actd)"
    )
    assert contents(tree) == before
    tune.apply(wanted, tree)
    with as_nobody(tree), pytest.raises(UsageError, match="run it again with sudo"):
        tune.restore(tree)
    tune.restore(tree)
    assert contents(tree) == before


def test_a_record_that_cannot_be_written_changes_nothing(tree: Path) -> None:
    slow(tree)
    before = contents(tree)
    put(tree, "run", "a file where the folder should be")
    with pytest.raises(UsageError, match="nothing could be put back"):
        tune.apply(tune.changes(tree), tree)
    (tree / "run").unlink()
    assert contents(tree) == before
