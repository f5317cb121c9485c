"""The real reader against files of /proc and /sys: each fact is read, and its fix seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from actd.doctor import tune
from actd.doctor.checks import computer as checks
from actd.doctor.computer import read_computer, stolen_ms
from actd.doctor.examine import judge
from actd.doctor.facts import Facts
from actd.doctor.finding import Problem, Trouble
from tests.doctor.tree import CPU, put, put_on_all

Edit = Callable[[Path], None]


def seen(tree: Path) -> list[Problem]:
    """The problems of the computer in `tree`, whose clock is synchronized."""
    computer = replace(read_computer(tree), clock_synchronized=True)
    rows = judge(Facts(computer=computer))
    return [row.finding.problem for row in rows if isinstance(row.finding, Trouble)]


def puts(path: str, text: str) -> Edit:
    return lambda tree: put(tree, path, text)


def puts_on_all(path: str, text: str) -> Edit:
    return lambda tree: put_on_all(tree, path, text)


def set_up(tree: Path) -> None:
    """What `sudo actd doctor --tune` does."""
    tune.apply(tune.changes(tree), tree)


def swapping(tree: Path) -> None:
    put(tree, "proc/meminfo", "MemAvailable: 9000000 kB\nSwapTotal: 4000000 kB\nSwapFree: 9 kB\n")


def with_swap(tree: Path) -> None:
    put(tree, "proc/meminfo", "MemAvailable: 9000000 kB\nSwapTotal: 4000 kB\nSwapFree: 4000 kB\n")
    put(tree, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/swap file 4000 0 -2\n")


def in_15_w(tree: Path) -> None:
    put(tree, "var/lib/nvpmodel/status", "pmode:0000 fmode:cool\n")
    modes = "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN >\n"
    put(tree, "etc/nvpmodel.conf", modes)


class Worse(NamedTuple):
    """A computer that `edit` makes worse, and what puts it right."""

    problem: Problem
    edit: Edit
    fix: Edit


THERMAL = "sys/class/thermal/thermal_zone0"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
RT = "proc/sys/kernel/sched_rt_runtime_us"
WORSE = (
    Worse(checks.SLOW_GOVERNOR, puts_on_all("cpufreq/scaling_governor", "powersave\n"), set_up),
    Worse(
        checks.SLOW_GOVERNOR, puts(f"{CPU}/cpu2/cpufreq/scaling_governor", "schedutil\n"), set_up
    ),
    Worse(checks.DEEP_SLEEP, puts_on_all("cpuidle/state2/disable", "0\n"), set_up),
    Worse(checks.DEEP_SLEEP, puts(f"{CPU}/cpu3/cpuidle/state2/disable", "0\n"), set_up),
    Worse(checks.SLOW_PROFILE, puts("sys/firmware/acpi/platform_profile", "low-power\n"), set_up),
    Worse(checks.SWAPPY, with_swap, set_up),
    Worse(checks.NO_REALTIME, puts(RT, "0\n"), set_up),
    Worse(checks.HOT, puts(f"{THERMAL}/temp", "93000\n"), puts(f"{THERMAL}/temp", "60000\n")),
    Worse(
        checks.THROTTLED,
        puts(f"{CPU}/cpu1/thermal_throttle/core_throttle_count", "3\n"),
        puts(f"{CPU}/cpu1/thermal_throttle/core_throttle_count", "0\n"),
    ),
    Worse(checks.UNDERVOLTED, puts(FIRMWARE, "50000\n"), puts(FIRMWARE, "0\n")),
    Worse(
        checks.ON_BATTERY,
        puts("sys/class/power_supply/AC/online", "0\n"),
        puts("sys/class/power_supply/AC/online", "1\n"),
    ),
    Worse(checks.SLOW_MODE, in_15_w, puts("var/lib/nvpmodel/status", "pmode:0002 fmode:cool\n")),
    Worse(
        checks.NO_MEMORY,
        puts("proc/meminfo", "MemAvailable: 90000 kB\n"),
        puts("proc/meminfo", "MemAvailable: 9000000 kB\n"),
    ),
    Worse(checks.SWAPPING, swapping, puts("proc/meminfo", "MemAvailable: 9000000 kB\n")),
    Worse(checks.SLOW_CLOCK, puts(CLOCK, "hpet\n"), puts(CLOCK, "tsc\n")),
)


@pytest.mark.parametrize("worse", WORSE, ids=lambda worse: worse.problem.cause[:40])
def test_a_problem_is_read_and_its_fix_ends_it(worse: Worse, tree: Path) -> None:
    assert seen(tree) == []
    worse.edit(tree)
    assert seen(tree) == [worse.problem]
    worse.fix(tree)
    assert seen(tree) == []


def test_every_problem_of_the_computer_is_read_but_the_clocks_own() -> None:
    told = {problem for check in checks.CHECKS for problem in check.problems}
    assert told - {worse.problem for worse in WORSE} == {checks.UNSYNCHRONIZED}


def test_a_computer_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    computer = read_computer(tmp_path)
    assert computer.governors == {}
    assert computer.available_mb is None
    assert stolen_ms(tmp_path) == 0.0


def test_damaged_files_are_facts_that_are_not_told(tree: Path) -> None:
    for path in (f"{THERMAL}/temp", "proc/meminfo", RT, f"{CPU}/cpu0/cpuidle/state1/latency"):
        (tree / path).write_bytes(b"\xff\xfe\n:: x\n")
    computer = read_computer(tree)
    assert computer.zones == ()
    assert computer.rt_runtime_us is None


def test_stolen_time_is_in_ms(tree: Path) -> None:
    assert stolen_ms(tree) == 70.0


def test_this_computer_can_be_read() -> None:
    computer = read_computer()
    assert computer.available_mb is not None
    assert computer.available_mb > 10
    assert computer.clock_synchronized in (True, False, None)
    assert computer.clocksource
