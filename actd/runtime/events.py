"""Everything that the daemon logs: one table, from which docs/events.md is made.

Pure. A line is logged as one of these (`event_log.say`), so that none lacks a cause and a remedy.
Ids and message ids are what people filter by: they do not change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID, uuid5

_NAMESPACE = UUID("5d0f0b5e-6c39-4c1c-9a4f-0b3f6f7f6d0a")


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line: a row of docs/events.md.

    `level` is one of `logging`'s. Raises ValueError where a warning or an error says no cause or
    no remedy.
    """

    id: str
    level: int
    meaning: str
    cause: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.level > logging.INFO and not (self.cause and self.remedy):
            raise ValueError(f"{self.id}: needs a cause and a remedy")

    @property
    def message_id(self) -> str:
        """32 hex digits, systemd's MESSAGE_ID: always the same for an id."""
        return uuid5(_NAMESPACE, self.id).hex


def _info(name: str, meaning: str) -> Event:
    return Event(name, logging.INFO, meaning)


def _warning(name: str, meaning: str, cause: str, remedy: str) -> Event:
    return Event(name, logging.WARNING, meaning, cause, remedy)


def _error(name: str, meaning: str, cause: str, remedy: str) -> Event:
    return Event(name, logging.ERROR, meaning, cause, remedy)


# The daemon as a whole.
STARTING = _info("starting", "The configuration is correct; the processes are started.")
READY = _info("ready", "The engine is warm and every camera delivers.")
STOPPING = _info("stopping", "Told to end, or no longer able to go on: the arm is ramped to rest.")
STOPPED = _info("stopped", "Every process has ended.")
DAEMON_FAILED = _error(
    "daemon-failed",
    "The daemon cannot start, or cannot go on, and ends.",
    "As the line says: a mistake in actd.yaml, an engine that does not load, a port in use, or the "
    "end of the tick process.",
    "Do what stands behind its last semicolon, then start it again; `actd doctor` finds more.",
)
CONFIGURATION_DOUBTFUL = _warning(
    "configuration-doubtful",
    "The configuration is used, but one of its values is probably not what was meant.",
    "As the line says: a limit, a rate or a runtime other than the policy's.",
    "Change the key that it names; `actd config check` says it again.",
)
NOT_READY = _warning(
    "not-ready",
    "A minute after the engine is warm a camera has still not delivered, or no tick was made. The "
    "daemon stays up, IDLE, and arming is refused.",
    "The camera is unplugged, busy, or another one: see `camera-failed`.",
    "Mend the camera; the daemon opens it again by itself and then says `ready`.",
)
REQUEST_FAILED = _error(
    "request-failed",
    "A request for status was not answered, by a mistake in actd.",
    "Not foreseen: the line names a file with the traceback.",
    "Report it with that file; ticks and orders are not touched by it.",
)
LIBRARY_MESSAGE = _warning(
    "library-message",
    "A library that the daemon's first process uses has said something.",
    "As the line says.",
    "None where the daemon works; else report it.",
)

# Modes, and what ended motion.
MODE_CHANGED = _info(
    "mode-changed", "An operator's order is obeyed, a pose is reached, or the daemon is ending."
)
GAP_OVER = _info("gap-over", "What ended motion a moment ago is over, and the policy goes on.")
STATE_STALE = _warning(
    "state-stale",
    "Motion ends because the robot's measured state is too old, or stands still while the command "
    "moves.",
    "The robot's controller, its bus or the network between hangs, or repeats an old reading.",
    "See whether `actd drive` (or your controller) runs and how fast its bus is; in FAULT "
    "`actd reset`, then arm.",
)
CONTROLLER_LOST = _warning(
    "controller-lost",
    "Motion ends because the robot's controller has not acknowledged an action for too long.",
    "The controller ended, hangs, or does not receive the actions.",
    "Start it; see that its ports are those of actd.yaml; in FAULT `actd reset`, then arm.",
)
CAMERA_STALE = _warning(
    "camera-stale",
    "Motion ends because a camera's newest frame is too old.",
    "Cable, hub or network; a bus that is full; a computer too busy to decode in time.",
    "`actd status` shows its rate and drops; see `camera-failed` before it in the log, and "
    "docs/cameras.md. In FAULT `actd reset`, then arm.",
)
CAMERA_FROZEN = _warning(
    "camera-frozen",
    "Motion ends because a camera repeats one image.",
    "The camera or its server hangs, or its lens is covered.",
    "Uncover it, or unplug it and plug it in again; in FAULT `actd reset`, then arm.",
)
CHUNK_LATE = _warning(
    "chunk-late",
    "Motion ends because the newest chunk is too old to follow.",
    "Inference is slower than a chunk is good for, or stands still; see the events of `inference`.",
    "Use a faster engine (`actd bench`), or give it cores of its own (`process.inference`); in "
    "FAULT `actd reset`, then arm.",
)
TICK_SILENT = _warning(
    "tick-silent",
    "No command was sent for longer than a command lives, so the arm has stopped by itself.",
    "The computer was suspended, or the tick process was kept from running.",
    "Do not suspend it; `actd doctor` says what may keep a tick from its core. In FAULT "
    "`actd reset`, then arm.",
)
ARM_NOT_FOLLOWING = _error(
    "arm-not-following",
    "Motion ends because a joint is too far from its command.",
    "Something is in the way, the motor has no torque or is too weak, another program drives the "
    "arm, or the limits are faster than it is.",
    "Clear the way and see that the motors have torque, then `actd reset`; lower the joint's "
    "velocity and acceleration if it comes again.",
)
ACTION_NOT_FINITE = _error(
    "action-not-finite",
    "Motion ends because a command would not have been a number.",
    "A mistake in the engine, or in actd.",
    "Run `actd eval` on the engine; then report it with the recording of the run.",
)
RIVAL_CONTROLLER = _error(
    "rival-controller",
    "Motion ends because two programs send the robot's state.",
    "A second `actd drive`, or a controller that was not ended.",
    "End one of them, then `actd reset` and arm.",
)
CONTROLLER_REPLACED = _error(
    "controller-replaced",
    "Motion ends because the program that sends the robot's state is another one than when it was "
    "armed.",
    "The robot's controller was started again.",
    "Look whether the arm is where it says; then `actd reset` and arm.",
)
CAMERA_REOPENED = _error(
    "camera-reopened",
    "Motion ends because a camera was opened again: behind its name may be another one by now.",
    "It was unplugged, or had failed: see `camera-failed`.",
    "Look at its picture (dashboard, `actd cameras`), then `actd reset` and arm.",
)
PROCESS_DIED = _error(
    "process-died",
    "Motion ends because one of the daemon's processes died.",
    "See `process-ended` just before.",
    "As there; then `actd reset` and arm.",
)
MOVE_INTERRUPTED = _warning(
    "move-interrupted",
    "The move to a pose ended without arriving, or arrived where the policy may not begin.",
    "As the line says.",
    "Do what it says, then order the move again.",
)
LEADER_LOST = _warning(
    "leader-lost",
    "A takeover ends because the leader arm is not heard, or has jumped.",
    "The leader's cable or driver, or another program that moves it.",
    "See what `actd drive --teleop` says; order `actd takeover` again.",
)
STATE_REFUSED = _warning(
    "state-refused",
    "Messages with the robot's state do not fit, and are not used.",
    "Other joint names, other units, a value far outside its limits, or another sender.",
    "Compare robot.joints and robot.units of actd.yaml with what the controller sends; "
    "`actd doctor` looks at both.",
)

# Cameras.
CAMERA_OPENING = _info("camera-opening", "The camera is opened.")
CAMERA_OK = _info("camera-ok", "The camera delivers as it should.")
CAMERA_FAILED = _warning(
    "camera-failed",
    "The camera cannot be opened, or has stopped delivering; it is tried again and again.",
    "Unplugged, used by another program, no permission, or another size or rate than asked for.",
    "Do what stands behind the line's semicolon; `actd cameras` lists what is there.",
)
CAMERA_SLOW = _warning(
    "camera-slow",
    "The camera gives fewer frames than asked for. They are used.",
    "Exposure in dim light, a bus that is full, damaged images, a slow server.",
    "Do what stands behind the line's semicolon, or ask for the rate that it gives.",
)
CAMERA_GREY = _warning(
    "camera-grey",
    "The images have no colour. They are used.",
    "The infrared node of a depth camera, or a server's night mode.",
    "Name the colour node (`actd cameras` says which has none), or turn night mode off.",
)
CAMERA_UNLIKE_TRAINING = _warning(
    "camera-unlike-training",
    "The images are darker, brighter or of other colours than the training's. They are used.",
    "Other light, exposure or lens, or another camera than in training.",
    "See the light and the exposure, and that the cameras are not swapped "
    "(`actd cameras --match`).",
)

# Inference.
ENGINE_LOADING = _info("engine-loading", "The engine is loaded, and compiled where that is needed.")
ENGINE_WARM = _info(
    "engine-warm", "The engine is loaded, agrees with torch's answers, and is warm."
)
ENGINE_REFUSED = _error(
    "engine-refused",
    "The engine cannot be used, and is not tried again.",
    "Its files are damaged or of another version, it does not fit this computer, or it is too far "
    "from torch's answers here.",
    "Do what the next line says; `actd infer` shows the same; build it again with `actd export`.",
)
INFERENCE_RUNNING = _info("inference-running", "Chunks are made.")
INFERENCE_WAITING = _info(
    "inference-waiting", "No chunk is made: the line names the stream that is missing or too old."
)
INFERENCE_SKEWED = _warning(
    "inference-skewed",
    "Frames and state of one moment were not found; the newest of each are used.",
    "One stream is later than the others: exposure, encoding, network.",
    "Give that camera's `latency_ms`, or see docs/observations.md.",
)
CHUNK_REFUSED = _warning(
    "chunk-refused",
    "The engine gave a chunk with a value that is not finite; it is not used.",
    "Half precision that overflows, or a state far from what was trained.",
    "Compare with `ort-fp32` (`actd eval`); see what the state says (`actd status`).",
)
STATE_UNLIKE_TRAINING = _warning(
    "state-unlike-training",
    "A number of the robot's state is where the training data never were. It is used.",
    "Another unit, another zero, another order of joints, or a pose that was never shown.",
    "Compare robot.units and the calibration with the recording's; else start from a pose that "
    "was shown.",
)

# Recorders and the dashboard.
RECORDER_STATE = _info("recorder-state", "A recorder has begun, waits, or has saved.")
RECORDER_FAILED = _warning(
    "recorder-failed",
    "A recorder cannot write. The arm goes on; what happens meanwhile is not recorded.",
    "The disk is full, or the folder may not be written.",
    "Do what stands behind the line's semicolon: it goes on by itself where it can.",
)
DASHBOARD_STATE = _info("dashboard-state", "The dashboard is served at this address.")
DASHBOARD_REFUSED = _warning(
    "dashboard-refused",
    "The dashboard is not served; all else works.",
    "Its port is in use.",
    "Set dashboard.port to another one and start the daemon again.",
)
EPISODE = _info("episode", "An episode began, ended or was scored.")
EPISODE_UNSCORED = _warning(
    "episode-unscored",
    "The daemon ended while an episode was open: it does not count.",
    "Nobody scored it.",
    "Score an episode (`actd episode success`) before ending the daemon.",
)

# Processes.
PROCESS_STATE = _info("process-state", "A process of the daemon is in another state.")
PROCESS_FAILED = _warning(
    "process-failed",
    "A process of the daemon cannot do its work.",
    "As the line says.",
    "Do what stands behind its semicolon.",
)
PROCESS_ENDED = _error(
    "process-ended",
    "A process of the daemon ended by itself. It is started again, at most five times a minute; "
    "motion is not.",
    "As the line says: killed (by the kernel where memory is short: `dmesg`), or a mistake, whose "
    "traceback is in the file that it names.",
    "Give it memory; report a mistake with its file; `actd reset`, then arm.",
)
PROCESS_STUCK = _error(
    "process-stuck",
    "Inference gave no sign of life for long, and is killed and started again.",
    "A driver of the accelerator that hangs, or a process that somebody stopped.",
    "See `dmesg`; update the accelerator's driver if it comes again.",
)
PROCESS_SLOW_TO_END = _warning(
    "process-slow-to-end",
    "A process did not end in time at the daemon's end, and was killed.",
    "A driver or a disk that hangs.",
    "None if it happens once.",
)
PROCESS_SAID = _warning(
    "process-said",
    "A process, or a library in it, wrote this line to its stderr.",
    "As the line says.",
    "None where the process works (`actd status`); else do what it says.",
)
REALTIME = _info("realtime", "What the kernel granted: cores, priority, locked memory.")
REALTIME_REFUSED = _warning(
    "realtime-refused",
    "The kernel refused a real-time measure; ticks may be late.",
    "No permission: started by hand, or in a container.",
    "`actd doctor` says how to get it; the service has it.",
)

EVENTS: tuple[Event, ...] = tuple([value for value in vars().values() if isinstance(value, Event)])

CONDITIONS = {
    ("camera", "opening"): CAMERA_OPENING,
    ("camera", "ok"): CAMERA_OK,
    ("camera", "failed"): CAMERA_FAILED,
    ("camera", "slow"): CAMERA_SLOW,
    ("camera", "grey"): CAMERA_GREY,
    ("camera", "unlike training"): CAMERA_UNLIKE_TRAINING,
    ("inference", "loading"): ENGINE_LOADING,
    ("inference", "refused"): ENGINE_REFUSED,
    ("inference", "warm"): ENGINE_WARM,
    ("inference", "running"): INFERENCE_RUNNING,
    ("inference", "waiting"): INFERENCE_WAITING,
    ("inference", "skewed"): INFERENCE_SKEWED,
    ("inference", "refusing"): CHUNK_REFUSED,
    ("dashboard", "running"): DASHBOARD_STATE,
    ("dashboard", "refused"): DASHBOARD_REFUSED,
}
"""By the kind of a process and the state that it reports."""

_BAD = ("failed", "refused", "refusing")


def of_condition(kind: str, state: str, why: str) -> Event:
    """What a process's report is: `kind` is camera, recorder, inference, dashboard or tick."""
    state = state.partition(" and ")[0]  # of several at once the worst comes first
    if (kind, state) == ("inference", "running") and why:
        return STATE_UNLIKE_TRAINING
    bad, usual = (
        (RECORDER_FAILED, RECORDER_STATE) if kind == "recorder" else (PROCESS_FAILED, PROCESS_STATE)
    )
    return CONDITIONS.get((kind, state), bad if state in _BAD else usual)
