"""Read this computer: /proc and /sys under a root, and the kernel's word on its clock.

Facts that are not told, as in a container, are None or empty; nothing is an error.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from actd.doctor.facts import Computer, IdleState, Zone

CPU = Path("sys/devices/system/cpu")
SLOWING_TRIPS = ("passive", "hot", "critical")

_TIME_ERROR = 5
_TIMEX_BYTES = 512  # more than struct timex has on any 64-bit Linux
_FASTEST = "MAXN"
_PERFORMANCE = "performance"


def read_computer(root: Path = Path("/")) -> Computer:
    """Everything that the checks of the computer judge."""
    cpu = root / CPU
    governors = _texts(cpu, "cpu[0-9]*/cpufreq/scaling_governor")
    available = _texts(cpu, "cpu[0-9]*/cpufreq/scaling_available_governors")
    throttled = _texts(cpu, "cpu[0-9]*/thermal_throttle/core_throttle_count")
    firmware = _text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    memory = _table(root / "proc/meminfo")
    mode, fastest = _jetson(root)
    return Computer(
        governors=Counter(governors),
        can_perform=any(_PERFORMANCE in line.split() for line in available),
        idle_states=_idle_states(cpu),
        zones=tuple(_zones(root / "sys/class/thermal")),
        throttled=sum(map(int, filter(str.isdecimal, throttled))) if throttled else None,
        firmware=_number(firmware, 16),
        on_battery=_on_battery(root / "sys/class/power_supply"),
        profile=_text(root / "sys/firmware/acpi/platform_profile"),
        can_profile=_PERFORMANCE
        in (_text(root / "sys/firmware/acpi/platform_profile_choices") or "").split(),
        power_mode=mode,
        fastest_mode=fastest,
        swap_mb=memory.get("SwapTotal", 0.0),
        swap_used_mb=memory.get("SwapTotal", 0.0) - memory.get("SwapFree", 0.0),
        swappiness=_number(_text(root / "proc/sys/vm/swappiness")),
        available_mb=memory.get("MemAvailable"),
        rt_runtime_us=_number(_text(root / "proc/sys/kernel/sched_rt_runtime_us")),
        clocksource=_text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        clock_synchronized=_clock_synchronized(),
    )


def stolen_ms(root: Path = Path("/")) -> float:
    """Time since boot in which the hypervisor ran others on our cores, of all of them."""
    line = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    return 10.0 * int(line[8]) if len(line) > 8 else 0.0  # USER_HZ is 100 on every Linux


def _idle_states(cpu: Path) -> tuple[IdleState, ...]:
    """Each state by its name; enabled where a single core may enter it."""
    states: dict[str, IdleState] = {}
    for folder in sorted(cpu.glob("cpu[0-9]*/cpuidle/state[0-9]*")):
        name, exit_us = _text(folder / "name"), _number(_text(folder / "latency"))
        if name is None or exit_us is None:
            continue
        enabled = _text(folder / "disable") != "1"
        before = states.get(name)
        states[name] = IdleState(name, exit_us, enabled or (before is not None and before.enabled))
    return tuple(states.values())


def _zones(folder: Path) -> list[Zone]:
    zones = []
    for zone in sorted(folder.glob("thermal_zone[0-9]*")):
        millis = _number(_text(zone / "temp"))
        if millis is None:
            continue
        trips = [
            _number(_text(zone / kind.name.replace("_type", "_temp")))
            for kind in zone.glob("trip_point_[0-9]*_type")
            if _text(kind) in SLOWING_TRIPS
        ]
        limits = [trip / 1000 for trip in trips if trip is not None and trip > 0]
        zones.append(
            Zone(_text(zone / "type") or zone.name, millis / 1000, min(limits, default=None))
        )
    return zones


def _on_battery(folder: Path) -> bool:
    """Whether there is a mains supply, and none is connected."""
    supplies = [
        _text(kind.parent / "online") for kind in folder.glob("*/type") if _text(kind) == "Mains"
    ]
    return bool(supplies) and "1" not in supplies


def _jetson(root: Path) -> tuple[str | None, int | None]:
    """The power mode of a Jetson by name, and the number of its fastest; None elsewhere."""
    status = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status") or "")
    if not status:
        return None, None
    modes = dict(
        re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", _text(root / "etc/nvpmodel.conf") or "")
    )
    names = {int(number): name for number, name in modes.items()}
    fastest = next((number for number, name in names.items() if name.startswith(_FASTEST)), None)
    return names.get(int(status[1]), f"mode {int(status[1])}"), fastest


def _clock_synchronized() -> bool | None:
    """What the kernel was told by whoever sets its clock; None where it may not be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: only asks
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    return None if state < 0 else state != _TIME_ERROR


def _table(path: Path) -> dict[str, float]:
    """/proc/meminfo in MB."""
    pairs = (line.partition(":") for line in (_text(path) or "").splitlines())
    numbers = {key: _number(rest.split()[0]) for key, _, rest in pairs if rest.split()}
    return {key: value * 1024 / 1e6 for key, value in numbers.items() if value is not None}


def _texts(folder: Path, pattern: str) -> list[str]:
    texts = (_text(path) for path in sorted(folder.glob(pattern)))
    return [text for text in texts if text is not None]


def _text(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return None


def _number(text: str | None, base: int = 10) -> int | None:
    with suppress(ValueError):
        return int(text or "", base)
    return None
