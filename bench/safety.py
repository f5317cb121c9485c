"""How the arm comes to rest, how far it moves blind, and how often it is suspected wrongly.

`python -m bench.safety stopping` lets one joint of robots/aloha.yaml run at full speed and
brings about one cause after the other, at 200 moments spread over a control period: from the
cause until the command rests, in time and in distance, with the default settings. What the arm
lags behind its command comes on top.
`python -m bench.safety following --hours 1` lets a simulated ALOHA follow scripted
demonstrations through the controller, and counts faults and how far joints are from their
commands.

Both drive the controller itself, in its own time: what the operating system adds is measured by
bench.tick.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from actd.config import Config, load
from actd.config.robot import RobotConfig
from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.mode import Mode
from actd.policy.spec import Architecture, Feature, PolicySpec
from actd.resources import resource_dir
from actd.runtime.settings import control_settings
from actd.scaffold.presets import preset
from actd.sim.aloha import AlohaSim
from actd.sim.scene import BAR
from examples.aloha.expert import Expert

MOMENTS = 200
_ROWS = 100
_PERIOD_NS = 20_000_000
_MS = 1_000_000
_FRESH_NS = 5 * _MS
_FRAME_NS = 33 * _MS

app = typer.Typer(help=__doc__, no_args_is_help=True)


def settings_of(config: Config, hz: float, chunk: int) -> ControlSettings:
    """What the daemon would decide with, for a deployment and a policy of `hz`."""
    control = config.control.model_copy(update={"policy_hz": hz, "mode": "queue"})
    joints = len(config.robot.joints)
    spec = PolicySpec(
        inputs=(Feature("observation.state", "STATE", (joints,)),),
        action=Feature("action", "ACTION", (joints,)),
        chunk_size=chunk,
        n_action_steps=chunk,
        temporal_ensemble_coeff=None,
        architecture=Architecture("", False, False, 0, 0, 0, "", 0, 0, 0),
        trained_hz=hz,
    )
    return control_settings(config.model_copy(update={"control": control}), spec)


def _aloha() -> Config:
    """ALOHA with its preset's limits and every default."""
    joints = preset("aloha").forms["rad"].joints
    return Config(engine=Path("engines/aloha"), robot=RobotConfig(name="aloha", joints=joints))


Change = Callable[[Inputs, int], Inputs]
"""From the inputs of a healthy tick and the time since the cause to what they are then."""


def _aged(inputs: Inputs, since_ns: int) -> dict[str, int]:
    return dict.fromkeys(inputs.camera_ages_ns, _FRAME_NS + since_ns)


def _order(event: Event, number: int) -> Change:
    def change(inputs: Inputs, since_ns: int) -> Inputs:
        first = since_ns <= _PERIOD_NS
        return inputs._replace(commands=((number, event),) if first else ())

    return change


CAUSES: Mapping[str, Change] = {
    "operator: stop": _order(Event.STOP, 1),
    "SIGTERM, SIGHUP, supervisor dies": _order(Event.HOLD, 0),
    "inference or camera process dies": _order(Event.FAULT, 0),
    "camera delivers no more": lambda inputs, since: inputs._replace(
        camera_ages_ns=_aged(inputs, since)
    ),
    "camera freezes": lambda inputs, since: inputs._replace(
        camera_unchanged_ns=dict.fromkeys(inputs.camera_ages_ns, since)
    ),
    "robot state ceases": lambda inputs, since: inputs._replace(state_age_ns=_FRESH_NS + since),
    "robot acknowledges no more": lambda inputs, since: inputs._replace(
        controller_age_ns=2 * _FRESH_NS + since
    ),
    "inference hangs (takes 30 ms)": lambda inputs, _: inputs._replace(chunks=()),
    "inference hangs (takes 100 ms)": lambda inputs, _: inputs._replace(chunks=()),
    "arm is blocked": lambda inputs, _: inputs,
    "leader jumps": lambda inputs, _: inputs._replace(leader=inputs.positions + 2.0),
}


@app.command()
def stopping(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """From a cause at full speed to rest: time and distance."""
    rows = [_stop(name, change) for name, change in CAUSES.items()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(
            f"{row['cause']:<34} {row['mode']:<6} n={row['n']} from {row['speed']:.2f} rad/s: "
            f"at rest after {row['rest_ms'][0]:.0f}-{row['rest_ms'][1]:.0f} ms and "
            f"{row['distance'][0]:.3f}-{row['distance'][1]:.3f} rad"
        )


def _stop(name: str, change: Change) -> dict[str, Any]:
    infer_ms = 100 if "100 ms" in name else 30
    led = name.startswith("leader")
    run = _Run(settings_of(_aloha(), 50.0, _ROWS), infer_ms=infer_ms, led=led)
    run.go(90)
    found = [
        copy.deepcopy(run).stop(change, blocked=name == "arm is blocked", moment=moment)
        for moment in range(MOMENTS)
    ]
    times, distances, modes = zip(*found, strict=True)
    return {
        "cause": name,
        "mode": "/".join(sorted({mode.name for mode in modes})),
        "n": MOMENTS,
        "speed": run.speed,
        "rest_ms": (min(times), max(times)),
        "distance": (min(distances), max(distances)),
    }


class _Run:
    """One joint on its way at full speed, in a daemon where all is well; `led`: by a leader."""

    def __init__(self, settings: ControlSettings, infer_ms: int, *, led: bool) -> None:
        self._settings = settings
        self._infer_ns = infer_ms * _MS
        self._begins = Event.TAKEOVER if led else Event.ARM
        self._usable_ns = max(300 * _MS, 4 * self._infer_ns + 100 * _MS)
        self._controller = Controller(settings)
        self._due_ns = self._start_ns = 1_000_000_000
        self._tick = 0
        self._rows = np.zeros((5 * _ROWS, len(settings.joints)), np.float32)
        # The waist, from one end of its range to the other.
        steps = np.arange(5 * _ROWS) * settings.limits.velocity[0] / 50.0
        self._rows[:, 0] = np.minimum(-3.0 + steps, 3.0)
        self._positions = self._rows[0].astype(float)
        self.speed = 0.0

    def go(self, ticks: int) -> None:
        """Some ticks of following."""
        for _ in range(ticks):
            before = self._positions
            output = self._controller.tick(self._inputs(self._positions))
            if output.action is not None:
                self._positions = output.action
            self.speed = float(abs(self._positions[0] - before[0]) / self._settings.period_ns * 1e9)
        if self.speed < 0.99 * self._settings.limits.velocity[0]:
            raise SystemExit(f"not at full speed: {self.speed}: {output.mode.name} {output.reason}")

    def stop(self, change: Change, *, blocked: bool, moment: int) -> tuple[float, float, Mode]:
        """The cause comes `moment` of MOMENTS into a control period: ms and rad to rest."""
        began_ns = self._due_ns + _PERIOD_NS * moment // MOMENTS
        at, stuck = self._positions[0], self._positions if blocked else None
        while True:
            inputs = self._inputs(self._positions if stuck is None else stuck)
            output = self._controller.tick(change(inputs, inputs.due_ns - began_ns))
            if output.action is None:
                raise SystemExit("nothing is commanded")
            moved, self._positions = output.action[0] != self._positions[0], output.action
            if output.mode not in (Mode.ARMED, Mode.TAKEOVER) and not moved:
                rest_ns = inputs.due_ns - _PERIOD_NS - began_ns
                return rest_ns / 1e6, abs(float(self._positions[0] - at)), output.mode
            if inputs.due_ns - began_ns > 3_000_000_000:
                raise SystemExit(f"still {output.mode.name} after 3 s")

    def _inputs(self, positions: NDArray[np.float64]) -> Inputs:
        self._tick += 1
        self._due_ns += _PERIOD_NS
        observed_ns = self._due_ns - self._infer_ns - _FRAME_NS
        chunks: tuple[ActionChunk, ...] = ()
        if self._tick % max(1, round(self._infer_ns / _PERIOD_NS)) == 1 or self._tick == 1:
            # Row 0 is where the plan's clock was at the observation: it ran since arming.
            row = max(0, self._tick - 1 - (self._infer_ns + _FRAME_NS) // _PERIOD_NS)
            rows = self._rows[row : row + _ROWS]
            chunks = (ActionChunk(self._tick, observed_ns, rows, self._usable_ns),)
        return Inputs(
            due_ns=self._due_ns,
            positions=positions,
            state_age_ns=_FRESH_NS,
            camera_ages_ns={"top": _FRAME_NS},
            camera_unchanged_ns={"top": 0},
            controller_age_ns=_FRESH_NS,
            chunks=chunks,
            commands=((1, self._begins),) if self._tick == 1 else (),
            leader=self._rows[self._tick].astype(float),
            leader_age_ns=_FRESH_NS,
        )


@app.command()
def following(
    hours: Annotated[float, typer.Option(help="Simulated time.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Clean motion of a simulated arm: how often it is taken for one that does not follow."""
    demo = load(resource_dir("configs") / "demo.yaml")
    settings = settings_of(demo, BAR.hz, 400)
    worst: NDArray[np.float64] = np.zeros(len(settings.joints))
    faults = episodes = ticks = 0
    share: list[float] = []
    with closing(AlohaSim(BAR)) as sim:
        expert = Expert(sim, above_noise_rad=0.0)  # which knocks some bars away: no clean motion
        while ticks * settings.period_ns < hours * 3600e9:
            targets = expert.demonstration(np.random.default_rng((9, episodes)))
            episodes += 1
            for output, distance in _episode(settings, sim, targets):
                ticks += 1
                np.maximum(worst, distance, out=worst)
                share.append(float(np.max(distance / settings.follow_distance)))
                if output.mode is not Mode.ARMED:
                    faults += 1
                    break
    result = {
        "hours": ticks * settings.period_ns / 3600e9,
        "episodes": episodes,
        "faults": faults,
        "largest_share_of_follow_distance": max(share),
        "p999_share": float(np.percentile(share, 99.9)),
        "largest_by_joint": dict(zip(settings.joints, worst.round(4).tolist(), strict=True)),
    }
    typer.echo(json.dumps(result) if as_json else json.dumps(result, indent=2))


def _episode(
    settings: ControlSettings, sim: AlohaSim, targets: NDArray[np.float64]
) -> Iterator[tuple[Output, NDArray[np.float64]]]:
    """One demonstration through the controller; every tick with each joint's distance."""
    rows = np.concatenate([targets, np.repeat(targets[-1:], 400, axis=0)])[:400]
    controller = Controller(settings)
    due_ns = 1_000_000_000
    chunk = ActionChunk(1, due_ns, rows.astype(np.float32), 600_000 * _MS)
    for k in range(int(len(targets) / BAR.hz * 1e9 / settings.period_ns) + 40):
        due_ns += settings.period_ns
        positions = np.array(list(sim.state().values()))
        output = controller.tick(
            Inputs(
                due_ns=due_ns,
                positions=positions,
                state_age_ns=_FRESH_NS,
                camera_ages_ns={},
                camera_unchanged_ns={},
                controller_age_ns=_FRESH_NS,
                chunks=(chunk,) if k == 0 else (),
                commands=((1, Event.ARM),) if k == 0 else (),
            )
        )
        if output.action is None:
            raise SystemExit("not armed: " + "; ".join(a.error for a in output.answers))
        yield output, np.abs(positions - output.action)
        sim.step(dict(zip(settings.joints, output.action.tolist(), strict=True)), 0.02)


if __name__ == "__main__":
    app()
