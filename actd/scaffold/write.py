"""Writes a commented actd.yaml, and holds its limits against the demonstrations.

What nothing tells is filled in with a careful guess and marked `check:`, so that nothing is missing
and nothing is taken on trust. Raises ActdError; never replaces a file unless told to.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from actd.camera_setup import connected_matches
from actd.config import Config, fit_warnings, load
from actd.datasets import Dataset
from actd.engine.manifest import MANIFEST
from actd.errors import ConfigError, UsageError, unwritable
from actd.policy.overrides import Overrides
from actd.replay.limits import LimitReport, check_dataset
from actd.runtime.settings import control_without_policy
from actd.scaffold.deployment import Deployment, decide
from actd.scaffold.joints import still_joints
from actd.scaffold.knowledge import Knowledge, learn
from actd.scaffold.text import CHECK, deployment_lines

_CHECKED_EPISODES = 100


def write_config(
    source: str | Path,
    out: Path,
    *,
    engine: Path | None = None,
    robot: str | None = None,
    dataset: str | None = None,
    match: Path | None = None,
    robot_cameras: bool = False,
    force: bool = False,
    overrides: Overrides | None = None,
) -> Iterator[str]:
    """Write `out` for the checkpoint or engine folder `source`; yields lines to show.

    `dataset`: a folder or a name on the hub. `match`: the LeRobotDataset whose first images tell
    which camera is which. `robot_cameras`: they are the robot's, and `actd drive` serves them.
    """
    if match and robot_cameras:
        raise UsageError("init: both --match and --robot-cameras; give one of them")
    if out.exists() and not force:
        raise UsageError(f"{out}: exists already: give --force to replace it, or another --out")
    known = learn(source, dataset, overrides)
    spec = known.spec
    if robot_cameras and not spec.cameras:
        raise UsageError(f"--robot-cameras: {source} sees no cameras; leave it out")
    deployment = decide(known, robot)
    is_engine = (Path(source) / MANIFEST).is_file()
    engine = engine or (Path(source) if is_engine else Path("engines/ort-int8"))
    named = os.path.relpath(engine.resolve(), out.parent.resolve())
    matches = None if robot_cameras else connected_matches(match) if match else []
    lines = list(
        deployment_lines(spec, known.motion, deployment, matches, source=str(source), engine=named)
    )
    is_new = not out.parent.exists()
    config = _write(lines, out)
    yield f"{out}: written for {spec.action_dim} joints and {len(spec.cameras)} cameras"
    if is_new:
        yield f"note: {out.parent}: a new folder"
    for warning in dict.fromkeys((*known.warnings, *fit_warnings(config, spec))):
        yield f"warning: {warning}"
    for note in (*known.notes, *deployment.notes):
        yield f"note: {note}"
    yield from _decisions(known, deployment)
    if known.dataset is not None:
        yield _limits_words(_check_limits(known.dataset, config))
    guesses = sum(CHECK in line for line in lines)
    yield f"left to guess: {f'{guesses}, the lines marked `check:`' if guesses else 'nothing'}"
    yield f"next: actd config check {out}"


def _write(lines: list[str], out: Path) -> Config:
    """Write the file and read it back: one that is replaced is lost to a good one only."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".actd-init-", dir=out.parent) as scratch:
            new = Path(scratch) / out.name
            new.write_text("\n".join(lines) + "\n", encoding="utf-8")
            config = load(new)
            new.replace(out)
    except OSError as error:
        raise unwritable(out, error) from None
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(new), str(out))) from None
    return config


def _decisions(known: Knowledge, deployment: Deployment) -> Iterator[str]:
    """What was decided, and what from."""
    names = list(deployment.joints)
    still = ", ".join(names[j] for j in sorted(still_joints(known.spec, deployment.kinds)))
    yield (
        "joints: "
        + ", ".join(f"{count} {kind}" for kind, count in Counter(deployment.kinds).items())
        + (f"; never moved in training: {still}" if still else "")
    )
    how = "the fps of the training data" if known.spec.trained_hz else "a guess"
    yield (
        f"rates: {deployment.policy_hz:g} rows per second ({how}), "
        f"{deployment.playback.rate_hz:g} commands per second"
    )
    units = deployment.units
    yield f"units: {units.text(deployment.preset)} ({units.evidence})"
    if (motion := known.motion) is not None:
        yield f"limits: from {motion.rows} rows of {motion.episodes} episodes of {motion.source}"


def _check_limits(dataset: Dataset, config: Config) -> LimitReport:
    """How often the limits act on the demonstrations that they come from."""
    settings = control_without_policy(config, 1, dataset.fps)
    return check_dataset(dataset, settings, most_episodes=_CHECKED_EPISODES)


def _limits_words(report: LimitReport) -> str:
    counts = np.rint(report.fired * report.ticks).astype(int)
    position, velocity, acceleration = counts.sum(axis=1)
    of = report.ticks * len(report.joints)
    words = (
        f"limits on {report.ticks} ticks of {report.stretches} episodes: would act on a joint "
        f"{counts.sum()} times ({counts.sum() / of:.2%}: position {position}, velocity {velocity}, "
        f"acceleration {acceleration})"
    )
    worst = int(counts.sum(axis=0).argmax())
    share = counts[:, worst].sum() / report.ticks
    return words + (f", most at {report.joints[worst]} ({share:.2%})" if counts.any() else "")
