"""The inference process: frames and state of one moment in, one chunk out, over and over.

Loads the engine, compares it with torch's answers in its folder and warms it, then makes a chunk
whenever a camera has a new frame and every stream is fresh enough. Without a whole observation
there is no chunk: it says what is missing, and the tick process sees the chunks grow old.
Warm-up runs are never published, nor is a chunk that is not finite. A number of the robot's state
where the training data never were, or in another unit, is named, once, and still goes in. An engine
that raises or gives another shape ends the process, and its end ends motion. It is niced: the tick
process goes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.engine.observations import blank, unlike_training, unlike_units
from actd.errors import EngineError, one_line
from actd.runtime import process_entry
from actd.runtime.channels import Channels, open_channels
from actd.runtime.clock import now_ns
from actd.runtime.debounce import Debounce
from actd.runtime.observation import MissingInput, Observer, Rules, TimedObservation

# New frames ring; only what must be seen without them waits for this.
_LOOK_S = 0.002
_WARM_UP_RUNS = 3
_TIMED_RUNS = 3
# Between two chunks lie an inference and the wait for a new frame, and the first of the two is as
# old as that again before it is replaced. Twice that is late, and not yet gone.
_USABLE_INFERENCES = 4
_USABLE_REST_NS = 100_000_000
_USABLE_MIN_NS = 300_000_000
# What comes and goes within this time is said once.
_WELL_AGAIN_NS = 1_000_000_000
_NUMBER = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings(process_entry.ProcessSettings):
    """`engine` is its folder, `threads` what it computes with.

    `state_names`: of the values of the measured state, in order.
    """

    engine: Path
    threads: int
    joints: tuple[str, ...]
    state_names: tuple[str, ...]
    rules: Rules


def run(settings: InferenceSettings) -> None:
    """Make chunks until the process is ended. Raises EngineError."""
    process_entry.report(state="loading")
    try:
        engine = load_engine(settings.engine, threads=settings.threads, judge=True)
    except EngineError:
        process_entry.report(state="refused")  # it would be the next time too
        raise
    channels = open_channels(settings.shapes, settings.fds)
    usable_ns = warm_up(engine)
    process_entry.report(state="warm", usable_ms=usable_ns / 1e6)
    states = {f.key: settings.state_names for f in engine.spec.vectors if f.kind == "STATE"}
    maker = ChunkMaker(engine, channels, settings.joints, usable_ns, states)
    observer = Observer(engine.spec, channels, settings.rules)
    while True:
        channels.pulse.write((now_ns(),))
        channels.wakeup.wait(_LOOK_S)
        taken = observer.take(now_ns())
        if isinstance(taken, TimedObservation):
            maker.make(taken)
            observer.let_pass()
        elif taken is not None:
            maker.report_missing(taken)


def warm_up(engine: Engine) -> int:
    """Run the engine until it is warm; returns for how long its chunks may be followed, in ns.

    That follows from the slowest of a few timed runs. Raises EngineError.
    """
    nothing = blank(engine.spec)
    for _ in range(_WARM_UP_RUNS):
        _infer(engine, nothing)
    slowest_ns = 0
    for _ in range(_TIMED_RUNS):
        started_ns = now_ns()
        _infer(engine, nothing)
        slowest_ns = max(slowest_ns, now_ns() - started_ns)
    return max(_USABLE_MIN_NS, _USABLE_INFERENCES * slowest_ns + _USABLE_REST_NS)


class ChunkMaker:
    """Turns observations into chunks, and says how that goes: each condition once."""

    def __init__(
        self,
        engine: Engine,
        channels: Channels,
        joints: Sequence[str],
        usable_ns: int,
        names: Mapping[str, Sequence[str]],
    ) -> None:
        self._engine = engine
        self._usable_ns = usable_ns
        self._chunks = channels.chunks
        self._joints = joints
        self._names = names
        self._unlike: dict[str, str] = {}
        self._reach = {f.key: np.zeros(f.shape) for f in engine.spec.vectors}
        self._rejected = 0
        self._trouble = Debounce(0, _WELL_AGAIN_NS)
        self._said: tuple[str, ...] = ()

    def make(self, observation: TimedObservation) -> None:
        """Publish one chunk, unless it is not finite. Raises EngineError."""
        started_ns = now_ns()
        actions = _infer(self._engine, observation.values)
        infer_ns = now_ns() - started_ns
        wrong = np.flatnonzero(~np.isfinite(actions).all(axis=0))
        if wrong.size:
            self._reject(self._joints[wrong[0]])
            return
        self._chunks.write(
            (observation.t_ns, started_ns, infer_ns, observation.skew_ns, self._usable_ns, actions)
        )
        self._trouble.look(bool(observation.diagnostic), started_ns)
        if observation.diagnostic:
            self._say("skewed", why=observation.diagnostic)
        elif not self._trouble.lasts:
            words = self._look_at(observation.values)
            self._say("running", " ".join(words), "; ".join(words.values()))

    def _look_at(self, values: Observation) -> dict[str, str]:
        """What is unlike the training data, by what it is about.

        Each number that was where they never were, as it first was; and another unit, until a
        number is too large for it.
        """
        spec = self._engine.spec
        self._unlike = unlike_training(values, spec, self._names) | self._unlike
        for key, reach in self._reach.items():
            np.maximum(reach, np.abs(values[key]), out=reach)
        units = tuple(unlike_units(self._reach, spec, self._names))
        return self._unlike | {f"units {number}": words for number, words in enumerate(units)}

    def report_missing(self, missing: MissingInput) -> None:
        """There is no observation to make a chunk from."""
        self._trouble.look(True, now_ns())
        self._say("waiting", missing.stream, missing.diagnostic)

    def _reject(self, joint: str) -> None:
        self._trouble.look(True, now_ns())
        self._rejected += 1
        self._said = ()
        why = f"the engine gave a non-finite action for joint {joint}: its chunk is not used"
        process_entry.report(state="refusing", why=why, rejected=self._rejected, joint=joint)

    def _say(self, state: str, about: str = "", why: str = "") -> None:
        # Once per outage: the numbers in a complaint change with every look.
        said = (state, about, _NUMBER.sub("", why))
        if said != self._said:
            self._said = said
            process_entry.report(state=state, why=why)


def _infer(engine: Engine, observation: Observation) -> NDArray[np.float32]:
    """One chunk of the shape that was trained. Raises EngineError."""
    try:
        actions = engine.infer(observation)
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001  the runtimes' errors share no base class
        reason = one_line(error)[:300]
        raise EngineError(
            f"{engine.name}: inference failed ({reason}); try `actd infer`, or export it again"
        ) from None
    spec = engine.spec
    expected = (spec.chunk_size, spec.action_dim)
    if actions.shape != expected or actions.dtype.kind != "f":
        raise EngineError(
            f"{engine.name}: gave {actions.dtype} of shape {actions.shape}, the policy gives "
            f"float32 of shape {expected}; export it again"
        )
    return actions
