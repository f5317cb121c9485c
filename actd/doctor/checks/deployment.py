"""Checks of actd.yaml, its engine, and where the daemon listens and writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from actd.doctor.deployment import GPU_RUNTIMES
from actd.doctor.facts import Facts
from actd.doctor.finding import Check, Finding, Fine, NotApplicable, Problem
from actd.holders import Holder

NO_DEPLOYMENT = "no deployment"
_NO_FILE = "no deployment file: give one; `actd init` writes it"
_LEAST_MB = 100.0
_HOT_GPU = 85.0

INVALID = Problem(
    "failure",
    "actd.yaml has a mistake, or does not fit its engine",
    "correct what the message names, then `actd config check {path}`",
)
DOUBTFUL = Problem(
    "warning",
    "allowed, and yet often a mistake: a range, a unit, a kind, what the policy says of itself",
    "look at that key of {path}; where it is meant so, leave it",
)
ENGINE_UNUSABLE = Problem(
    "failure",
    "a file of the engine is missing, damaged or changed, or the engine is for another CPU",
    "copy the engine's folder again, or build it again with actd export",
)
RUNTIME_MISSING = Problem(
    "failure",
    "the runtime that the engine needs is not installed here, or lacks a library",
    "install it as the message says",
)
OTHER_VERSION = Problem(
    "warning",
    "the engine was verified with another version of its runtime",
    "install the version it was verified with, or trust the check `reference` below",
)
TOO_FAR = Problem(
    "failure",
    "the engine computes other actions on this computer than torch did: a wrong kernel, "
    "8-bit sums that saturate, another version of the runtime",
    "build it again on this computer: {rebuild}; or use another engine",
)
NOT_COMPUTED = Problem(
    "failure",
    "the engine cannot be loaded or run here, or has no reference observations",
    "build it again: {rebuild}",
)
CHECKPOINT_UNREADABLE = Problem(
    "failure",
    "the checkpoint that was named cannot be read",
    "give a checkpoint folder: actd inspect {path}",
)
CHECKPOINT_OTHER = Problem(
    "warning",
    "the engine was built from other weights or statistics than the checkpoint that was named",
    "export that checkpoint: actd export {path} --out DIR --engine {engine}",
)
PORT_TAKEN = Problem(
    "failure",
    "another program listens on a port of the daemon",
    "stop {holder}, or choose other ports under `link:`",
)
DAEMON_HANGS = Problem(
    "failure",
    "a daemon has the ports and does not answer",
    "sudo systemctl restart actd, or where you started it yourself: kill {pid}",
)
OTHER_ROBOT = Problem(
    "failure",
    "the daemon of another robot has the ports",
    "stop that daemon, or give this robot other ports under `link:`",
)
NOT_WRITABLE = Problem(
    "failure",
    "the folder of flight recordings cannot be written",
    "give it to the user that runs the daemon (sudo chown USER {folder}), or set flight.folder",
)
DISK_FULL = Problem(
    "failure",
    f"less than {_LEAST_MB:g} MB are free for flight recordings",
    "free space on the disk of {folder}, or set flight.folder to another one",
)
DISK_SHORT = Problem(
    "warning",
    "less is free than flight recordings may still grow by",
    "free space on the disk of {folder}, or lower flight.max_mb",
)
NO_GPU = Problem(
    "failure",
    "the engine needs an NVIDIA GPU and no driver answers",
    "install the NVIDIA driver (nvidia-smi must work), or use an engine for the CPU",
)
GPU_HOT = Problem(
    "warning",
    f"the GPU is hotter than {_HOT_GPU:g} °C and will be slowed",
    "see to its fan and its air, or lower its load",
)


def configuration(facts: Facts) -> Iterator[Finding]:
    """actd.yaml and how it fits its engine."""
    here = facts.deployment
    if here is None:
        yield NotApplicable(_NO_FILE)
        return
    for error in here.errors:
        yield INVALID.told(error, path=here.path)
    for warning in here.warnings:
        yield DOUBTFUL.seen(warning, path=here.path)
    if not here.errors and not here.warnings:
        yield Fine(f"{here.path} is correct")


def engine(facts: Facts) -> Iterator[Finding]:
    """The files of the engine against its manifest, and the CPU that it was built for."""
    here = facts.deployment
    if here is None or here.config is None:
        yield NotApplicable(_without_engine(facts))
    elif here.engine_error:
        yield ENGINE_UNUSABLE.told(here.engine_error)
    elif here.manifest is None:
        yield NotApplicable("it does not fit the configuration")
    else:
        yield Fine(f"{here.manifest.engine}: {len(here.manifest.files)} files as they were built")


def runtime(facts: Facts) -> Iterator[Finding]:
    """The runtime of the engine."""
    here = facts.engine
    if here is None:
        yield NotApplicable(_without_engine(facts))
        return
    for text in here.missing:
        yield RUNTIME_MISSING.told(text)
    if here.version_note:
        yield OTHER_VERSION.seen(here.version_note)
    if not here.missing and not here.version_note:
        yield Fine("installed, in the version that the engine was verified with")


def reference(facts: Facts) -> Iterator[Finding]:
    """The engine's reference observations, computed here."""
    here, deployment = facts.engine, facts.deployment
    if here is None or deployment is None or deployment.manifest is None:
        yield NotApplicable(_without_engine(facts))
    elif here.missing:
        yield NotApplicable("see runtime")
    elif facts.daemon is not None:
        yield NotApplicable("the running daemon compared them when it started")
    elif facts.ticks:
        yield NotApplicable(facts.unmeasured)
    elif here.parity is None:
        yield NOT_COMPUTED.told(here.error, rebuild=deployment.manifest.rebuild)
    elif here.excess:
        yield TOO_FAR.seen(here.excess, rebuild=deployment.manifest.rebuild)
    else:
        parity = here.parity
        yield Fine(
            f"within tolerance on {parity.observations} observations: largest error "
            f"{parity.max_std:.2g} std, p99 {parity.p99_std:.2g} std"
        )


def checkpoint(facts: Facts) -> Iterator[Finding]:
    """A checkpoint that was named."""
    here = facts.checkpoint
    if here is None:
        yield NotApplicable("none named; --checkpoint compares one with the engine")
    elif here.error:
        yield CHECKPOINT_UNREADABLE.told(here.error, path=here.path)
    elif here.same is None:
        yield Fine("can be read; there is no engine to compare it with")
    elif here.same:
        yield Fine("is the one that the engine was built from")
    else:
        manifest = facts.deployment.manifest if facts.deployment else None
        yield CHECKPOINT_OTHER.seen(
            f"{here.path} is not what the engine was built from",
            path=here.path,
            engine=manifest.engine if manifest else "NAME",
        )


def gpu(facts: Facts) -> Iterator[Finding]:
    """The GPU and its driver, where the engine needs them."""
    manifest = facts.deployment.manifest if facts.deployment else None
    if manifest is None or manifest.runtime not in GPU_RUNTIMES:
        yield NotApplicable("the engine runs on the CPU" if manifest else _without_engine(facts))
    elif facts.gpu is None:
        yield NO_GPU.seen(f"{manifest.engine} needs one, nvidia-smi tells of none")
    elif facts.gpu.celsius is not None and facts.gpu.celsius > _HOT_GPU:
        yield GPU_HOT.seen(f"{facts.gpu.name} at {facts.gpu.celsius:g} °C")
    else:
        yield Fine(f"{facts.gpu.name}, driver {facts.gpu.driver}")


def ports(facts: Facts) -> Iterator[Finding]:
    """The daemon's ports."""
    config = facts.deployment.config if facts.deployment else None
    daemon = facts.daemon
    if daemon is not None:
        name = config.robot.name if config else daemon.robot
        if daemon.robot == name:
            yield Fine(f"the daemon of {name} has them, in {daemon.mode}")
        else:
            yield OTHER_ROBOT.seen(f"{daemon.robot} has them, this is {name}")
        return
    taken: dict[Holder | None, list[str]] = defaultdict(list)
    for port in facts.ports:
        if port.listening:
            taken[port.holder].append(f"{port.number} ({port.name})")
    if hanging := [tick for tick in facts.ticks if tick in taken]:
        yield DAEMON_HANGS.seen(f"{hanging[0]} has them", pid=hanging[0].pid)
        return
    for holder, numbers in taken.items():
        who = "a program of another user" if holder is None else str(holder)
        yield PORT_TAKEN.seen(f"{', '.join(numbers)}: taken by {who}", holder=who)
    if not taken:
        yield Fine(f"{', '.join(str(port.number) for port in facts.ports)} are free")


def disk(facts: Facts) -> Iterator[Finding]:
    """Room for flight recordings."""
    here = facts.disk
    if here is None:
        has = facts.deployment is not None and facts.deployment.config is not None
        yield NotApplicable("flight.enabled: false" if has else _without_engine(facts))
    elif here.error and facts.daemon is not None:  # which may be another user's
        yield NotApplicable(f"the running daemon's recorder says: {facts.daemon.flight}")
    elif here.error:
        yield NOT_WRITABLE.seen(here.error, folder=here.folder)
    else:
        room = f"{here.free_mb:.0f} MB free, flights may grow by {here.needed_mb:.0f} MB"
        if here.free_mb < _LEAST_MB:
            yield DISK_FULL.seen(room, folder=here.folder)
        elif here.free_mb < here.needed_mb:
            yield DISK_SHORT.seen(room, folder=here.folder)
        else:
            yield Fine(room)


def _without_engine(facts: Facts) -> str:
    if facts.deployment is None:
        return NO_DEPLOYMENT
    return "the configuration has mistakes" if facts.deployment.errors else "see engine"


CHECKS = (
    Check("configuration", "actd.yaml, beside its engine", (INVALID, DOUBTFUL), configuration),
    Check("engine", "its files' hashes, and the CPU it is for", (ENGINE_UNUSABLE,), engine),
    Check(
        "runtime",
        "what the engine needs to run, in the version it was verified with",
        (RUNTIME_MISSING, OTHER_VERSION),
        runtime,
    ),
    Check(
        "reference",
        "torch's answers in the engine's folder, computed again on this computer",
        (TOO_FAR, NOT_COMPUTED),
        reference,
    ),
    Check(
        "checkpoint",
        "that of --checkpoint, beside the engine",
        (CHECKPOINT_UNREADABLE, CHECKPOINT_OTHER),
        checkpoint,
    ),
    Check("gpu", "driver and temperature, where the engine needs a GPU", (NO_GPU, GPU_HOT), gpu),
    Check(
        "ports",
        "the daemon's ports, and who has them",
        (PORT_TAKEN, OTHER_ROBOT, DAEMON_HANGS),
        ports,
    ),
    Check("disk", "room for flight recordings", (NOT_WRITABLE, DISK_FULL, DISK_SHORT), disk),
)
