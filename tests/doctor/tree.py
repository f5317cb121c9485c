"""/proc and /sys of a computer that is well, as files; tests make them worse."""

from __future__ import annotations

from pathlib import Path

CPU = "sys/devices/system/cpu"
CORES = 4
FILES: dict[str, str] = {
    "proc/meminfo": (
        "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\n"
        "SwapTotal:             0 kB\nSwapFree:              0 kB\nHugePages_Total:       0\n"
    ),
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/stat": "cpu  100 0 100 1000 0 0 0 7 0 0\ncpu0 100 0 100 1000 0 0 0 7 0 0\n",
    "proc/sys/vm/swappiness": "60\n",
    "proc/sys/kernel/sched_rt_runtime_us": "950000\n",
    "proc/net/tcp": "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/firmware/acpi/platform_profile": "performance\n",
    "sys/firmware/acpi/platform_profile_choices": "low-power balanced performance\n",
    "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone0/temp": "54000\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "95000\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_type": "active\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_temp": "50000\n",
    "sys/class/power_supply/AC/type": "Mains\n",
    "sys/class/power_supply/AC/online": "1\n",
    "sys/class/power_supply/BAT0/type": "Battery\n",
}


def write_tree(root: Path) -> Path:
    """A computer that is well, under `root`."""
    for path, text in FILES.items():
        put(root, path, text)
    for core in range(CORES):
        folder = f"{CPU}/cpu{core}"
        put(root, f"{folder}/cpufreq/scaling_governor", "performance\n")
        put(root, f"{folder}/cpufreq/scaling_available_governors", "performance powersave\n")
        put(root, f"{folder}/thermal_throttle/core_throttle_count", "0\n")
        for number, (name, exit_us) in enumerate((("POLL", 0), ("C1", 2), ("C8", 200))):
            state = f"{folder}/cpuidle/state{number}"
            put(root, f"{state}/name", f"{name}\n")
            put(root, f"{state}/latency", f"{exit_us}\n")
            put(root, f"{state}/disable", "1\n" if name == "C8" else "0\n")
    return root


def put(root: Path, path: str, text: str) -> None:
    """Write one file of it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def put_on_all(root: Path, path: str, text: str) -> None:
    """Write one file of every core."""
    for core in range(CORES):
        put(root, f"{CPU}/cpu{core}/{path}", text)


def process(root: Path, pid: int, name: str, *opened: str, words: str = "") -> None:
    """A process that has these files open."""
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cmdline").write_bytes(words.replace(" ", "\0").encode())
    for number, target in enumerate(opened):
        (folder / "fd" / str(number)).symlink_to(target)
