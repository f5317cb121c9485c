"""Checks of the robot: what its controller sends, and whether training ever saw it."""

from __future__ import annotations

from collections.abc import Iterator

from actd.doctor.facts import Facts
from actd.doctor.finding import Check, Finding, Fine, NotApplicable, Problem

_UNLIKE = "training never left"

REFUSED = Problem(
    "failure",
    "the controller's messages cannot be used: other names of joints, another robot, values far "
    "outside the limits, a second sender",
    "correct robot.joints and robot.state of actd.yaml, or what the controller sends",
)
SILENT = Problem(
    "warning",
    "a daemon runs, and the robot's controller sends it nothing",
    "start the controller, and see that it sends to port {port}",
)
UNLIKE = Problem(
    "warning",
    "a measured value is where the training data never were: another unit, zero or calibration",
    "compare the robot's units and calibration with the training data's, or move it to such a pose",
)


def state(facts: Facts) -> Iterator[Finding]:
    """The names and values that come, against those that are wanted."""
    daemon, controller = facts.daemon, facts.controller
    if daemon is not None:
        port = next((port.number for port in facts.ports if port.name == "state"), 0)
        if daemon.state_age_ms is not None and daemon.state_age_ms < 1e3:
            yield Fine(f"the running daemon has it, {daemon.state_age_ms:.0f} ms old")
        elif daemon.rejected:
            yield REFUSED.told(f"{daemon.rejected} messages refused: {daemon.rejection}")
        else:
            yield SILENT.seen("nothing comes", port=port)
    elif controller is None:
        yield NotApplicable(_not_heard(facts))
    elif controller.messages == 0:
        yield NotApplicable(f"no controller within {controller.seconds:g} s; start it to check it")
    elif controller.rejected:
        refusals = f"{controller.rejected} of {controller.messages} messages refused"
        yield REFUSED.told(f"{refusals}: {controller.rejection}")
    else:
        rate = controller.messages / controller.seconds
        yield Fine(f"{controller.messages} messages, {rate:.0f} Hz, every joint named")


def _not_heard(facts: Facts) -> str:
    here = facts.deployment
    if here is None or here.manifest is None:
        return "no deployment" if here is None else "no engine to say which names are wanted"
    return "its port is taken"


def statistics(facts: Facts) -> Iterator[Finding]:
    """Measured values against the training data's range."""
    daemon, controller = facts.daemon, facts.controller
    if daemon is not None:
        if daemon.state_age_ms is None:
            yield NotApplicable("no state to compare")
        elif _UNLIKE in daemon.engine:
            yield UNLIKE.seen(daemon.engine)
        else:
            yield Fine(f"the running daemon names nothing; inference {daemon.engine}")
    elif controller is None or controller.messages == controller.rejected:
        yield NotApplicable("no state to compare")
    elif controller.unlike is None:
        yield NotApplicable("the engine does not know its training data's range")
    else:
        for sentence in controller.unlike:
            yield UNLIKE.seen(sentence)
        if not controller.unlike:
            yield Fine("every value is within the training data's range")


CHECKS = (
    Check(
        "robot state",
        "what the controller sends, judged as the daemon judges it",
        (REFUSED, SILENT),
        state,
    ),
    Check(
        "statistics",
        "measured values against the training data's range",
        (UNLIKE,),
        statistics,
    ),
)
