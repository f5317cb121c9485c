"""Checks of this computer's own settings and condition."""

from __future__ import annotations

from collections.abc import Iterator

from actd.doctor.facts import Facts
from actd.doctor.finding import Check, Finding, Fine, NotApplicable, Problem

DEEP_US = 100
"""A sleep from which a core needs longer to wake is deep."""
NEAR_LIMIT_C = 5.0
HOT_C = 85.0
SWAPPINESS = 10
LEAST_AVAILABLE_MB = 500.0
_SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "refined-jiffies", "pit")
_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "hot"}
TUNE = "sudo $(which actd) doctor --tune"

SLOW_GOVERNOR = Problem(
    "warning",
    "cores lower their frequency when idle, and an inference begins slowly",
    TUNE,
)
DEEP_SLEEP = Problem(
    "warning",
    f"cores may sleep so deeply that waking takes more than {DEEP_US} us",
    f"{TUNE}; or let the daemon forbid it while it runs, by a udev rule: "
    'KERNEL=="cpu_dma_latency", GROUP="video", MODE="0660"',
)
HOT = Problem(
    "warning",
    "the computer is near the temperature at which it is slowed",
    "see to its fan, its dust and its air; lower the load",
)
THROTTLED = Problem(
    "warning",
    "cores were slowed for heat since the computer was started",
    "see to its fan, its dust and its air; then start it again, which clears the count",
)
UNDERVOLTED = Problem(
    "failure",
    "the power supply is too weak, or the board too hot: the firmware slows the processor",
    "use the board's own power supply, a short cable and a fan, then start it again",
)
ON_BATTERY = Problem(
    "warning",
    "it runs on its battery, on which most computers are slower",
    "connect the mains",
)
SLOW_PROFILE = Problem("warning", "the platform profile is not performance", TUNE)
SLOW_MODE = Problem(
    "warning",
    "the power mode of the Jetson is not its fastest",
    "sudo nvpmodel -m {mode} && sudo jetson_clocks",
)
SWAPPING = Problem(
    "warning",
    "memory was moved to the disk: an inference that needs it waits for milliseconds",
    "end what takes the memory (ps aux --sort -rss | head), then: "
    "sudo swapoff -a && sudo swapon -a",
)
SWAPPY = Problem(
    "warning",
    f"the kernel moves memory to swap early (vm.swappiness above {SWAPPINESS})",
    TUNE,
)
NO_MEMORY = Problem(
    "failure",
    f"less than {LEAST_AVAILABLE_MB:g} MB of memory are available",
    "end what takes it (ps aux --sort -rss | head)",
)
UNSYNCHRONIZED = Problem(
    "warning",
    "the clock is not set by the network: recordings of several computers do not fit together",
    "sudo timedatectl set-ntp true, and see that a server is reached (timedatectl timesync-status)",
)
SLOW_CLOCK = Problem(
    "warning",
    "the kernel reads its time from a slow or coarse device",
    "start the kernel with tsc=reliable where the hardware has a steady TSC (dmesg | grep -i tsc)",
)
NO_REALTIME = Problem(
    "failure",
    "the kernel gives real-time threads no time at all (sched_rt_runtime_us 0)",
    f"{TUNE}, or: sudo sysctl kernel.sched_rt_runtime_us=950000",
)


def governor(facts: Facts) -> Iterator[Finding]:
    """The frequency governor of every core."""
    governors = facts.computer.governors
    if not governors:
        yield NotApplicable("this kernel does not set the frequency (a virtual machine?)")
        return
    observed = ", ".join(f"{name} on {count} cores" for name, count in governors.items())
    slow = governors.keys() - {"performance"} and facts.computer.can_perform
    yield SLOW_GOVERNOR.seen(observed) if slow else Fine(observed)


def idle(facts: Facts) -> Iterator[Finding]:
    """How deeply cores may sleep."""
    states = [state for state in facts.computer.idle_states if state.enabled]
    if not states:
        yield NotApplicable("this kernel has no idle states")
        return
    deepest = max(states, key=lambda state: state.exit_us)
    observed = f"deepest is {deepest.name}, {deepest.exit_us} us to wake"
    tick = facts.daemon or facts.loops
    held = tick is not None and tick.granted.get("cpu_dma_latency") == "ok"
    if deepest.exit_us <= DEEP_US:
        yield Fine(observed)
    elif held:
        yield Fine(f"{observed}; the tick keeps cores from it")
    else:
        yield DEEP_SLEEP.seen(observed)


def temperature(facts: Facts) -> Iterator[Finding]:
    """Heat, now and since boot."""
    computer = facts.computer
    if not computer.zones and computer.throttled is None:
        yield NotApplicable("no thermometer here")
        return
    if computer.throttled:
        yield THROTTLED.seen(f"{computer.throttled} times")
    margins = [
        ((zone.limit or HOT_C + NEAR_LIMIT_C) - zone.celsius, zone) for zone in computer.zones
    ]
    if not margins:
        if not computer.throttled:
            yield Fine("never slowed since boot")
        return
    margin, zone = min(margins, key=lambda pair: pair[0])
    observed = f"{zone.name} at {zone.celsius:.0f} °C"
    if margin < NEAR_LIMIT_C:
        yield HOT.seen(observed)
    elif not computer.throttled:
        yield Fine(observed)


def power(facts: Facts) -> Iterator[Finding]:
    """Supply, profile, power mode."""
    computer = facts.computer
    seen: list[Finding] = []
    flags = computer.firmware or 0
    now = [text for bit, text in _NOW.items() if flags >> bit & 1]
    before = [text for bit, text in _NOW.items() if flags >> (bit + 16) & 1]
    if now or before:
        words = [*now, *(f"{text} before" for text in before if text not in now)]
        seen.append(UNDERVOLTED.seen(", ".join(words)))
    if computer.on_battery:
        seen.append(ON_BATTERY.seen("no mains supply is connected"))
    if computer.profile not in (None, "performance") and computer.can_profile:
        seen.append(SLOW_PROFILE.seen(f"platform profile {computer.profile}"))
    fastest = computer.fastest_mode
    mode = computer.power_mode
    if mode is not None and fastest is not None and not mode.startswith("MAXN"):
        seen.append(SLOW_MODE.seen(f"power mode {mode}", mode=fastest))
    yield from seen or [Fine(mode or computer.profile or "nothing that slows it")]


def memory(facts: Facts) -> Iterator[Finding]:
    """Memory and swap."""
    computer = facts.computer
    available = computer.available_mb
    if available is not None and available < LEAST_AVAILABLE_MB:
        yield NO_MEMORY.seen(f"{available:.0f} MB available")
    elif computer.swap_used_mb > 0.5 * LEAST_AVAILABLE_MB:
        yield SWAPPING.seen(f"{computer.swap_used_mb:.0f} MB in swap")
    elif computer.swap_mb and (computer.swappiness or 0) > SWAPPINESS:
        yield SWAPPY.seen(f"vm.swappiness {computer.swappiness}, {computer.swap_mb:.0f} MB swap")
    else:
        swap = f"{computer.swap_mb:.0f} MB swap" if computer.swap_mb else "no swap"
        yield Fine(f"{swap}, {available or 0:.0f} MB available")


def clock(facts: Facts) -> Iterator[Finding]:
    """The clock's source, and whether it is set by the network."""
    computer = facts.computer
    source = computer.clocksource or "unknown source"
    if computer.clocksource in _SLOW_CLOCKS:
        yield SLOW_CLOCK.seen(source)
    if computer.clock_synchronized is False:
        yield UNSYNCHRONIZED.seen("the kernel says: not synchronized")
    elif computer.clock_synchronized is None:
        yield NotApplicable("the kernel does not tell")
    elif computer.clocksource not in _SLOW_CLOCKS:
        yield Fine(f"synchronized, {source}")


def throttling(facts: Facts) -> Iterator[Finding]:
    """What the kernel lets real-time threads have."""
    runtime = facts.computer.rt_runtime_us
    if runtime is None:
        yield NotApplicable("this kernel does not limit real-time threads")
    elif runtime == 0:
        yield NO_REALTIME.seen("kernel.sched_rt_runtime_us is 0")
    else:
        yield Fine("not limited" if runtime < 0 else f"{runtime / 1e4:.0f} % of a core")


CHECKS = (
    Check("governor", "the frequency governor of every core", (SLOW_GOVERNOR,), governor),
    Check("idle states", "how deeply cores may sleep", (DEEP_SLEEP,), idle),
    Check("temperature", "heat, now and since the start", (HOT, THROTTLED), temperature),
    Check(
        "power",
        "supply, platform profile, a Jetson's power mode, a Raspberry Pi's flags",
        (UNDERVOLTED, ON_BATTERY, SLOW_PROFILE, SLOW_MODE),
        power,
    ),
    Check("memory", "what is available, and swap", (NO_MEMORY, SWAPPING, SWAPPY), memory),
    Check("clock", "who sets it, and where it is read", (UNSYNCHRONIZED, SLOW_CLOCK), clock),
    Check("real-time share", "kernel.sched_rt_runtime_us", (NO_REALTIME,), throttling),
)
