"""A status answer as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from actd.link.request import as_sent


def render(status: Mapping[str, Any]) -> Table:
    """Two columns: what, and how it is. Takes the map that `Operator.status` gives.

    Raises LinkError.
    """
    with as_sent():
        return _table(status)


def _table(status: Mapping[str, Any]) -> Table:
    why = f": {status['reason']}" if status["reason"] else ""
    # As the log has it; an order needs no explanation.
    event = status.get("event")
    named = f" [{event}]" if why and event not in (None, "", "mode-changed") else ""
    title = Text(f"{status['robot']}: {status['mode']}{why}{named}")
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, text in _rows(status):
        table.add_row(name, str(text))  # whatever another version sends
    return table


def _rows(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    control, inference = status["control"], status["inference"]
    late, age = control["lateness_us"], control["chunk_age_ms"]
    rows = [
        ("ready", "yes" if status["ready"] else "no"),
        *([("moving", progress_in_words(status["move"]))] if status["move"] else []),
        ("uptime", f"{status['uptime_s']:.0f} s"),
        ("ticks", f"{control['ticks']} at {control['rate_hz']:.2f} of {control['target_hz']:g} Hz"),
        ("missed, underruns", f"{control['missed']}, {control['underruns']}"),
        (
            "lateness",
            f"p50 {late['p50']:.0f}  p99 {late['p99']:.0f}  p99.9 {late['p999']:.0f}  "
            f"max {late['max']:.0f} us",
        ),
        (
            "inference",
            f"{inference['engine']}: {inference['state']}; {inference['chunks']} chunks at "
            f"{inference['rate_hz']:.1f} Hz, p50 {inference['ms']['p50']:.1f}  "
            f"p99 {inference['ms']['p99']:.1f} ms",
        ),
        *([("engine", inference["runtime"])] if inference["runtime"] else []),
        ("chunk age", f"p50 {age['p50']:.0f}  p99 {age['p99']:.0f} ms"),
        ("robot state", _age(status["state_age_ms"])),
        ("robot acknowledges", _age(status["acknowledged_ms"])),
        *[("unlike training", words) for words in status["unlike_training"]],
        ("flight recorder", status["flight"]),
        ("pictures", pictures_in_words(status["pictures"])),
    ]
    rejected = status["state_rejected"]
    if rejected["count"]:
        rows.append(("state refused", f"{rejected['count']} messages: {rejected['newest']}"))
    for name, camera in status["cameras"].items():
        rows.append(
            (
                f"camera {name}",
                f"{camera['state']}; {_fps(camera)}, {camera['drops']} dropped, {_damaged(camera)}"
                f"newest {_age(camera['age_ms'])}, {camera['restarts']} restarts",
            )
        )
    for name, outcome in status["processes"].items():
        granted = ", ".join(f"{key} {value}" for key, value in outcome.items())
        rows.append((f"process {name}", granted))
    recording = status.get("recording", {"state": "off"})
    if recording["state"] != "off":
        rows.append(("recording", recording_in_words(recording)))
    episodes = status.get("episodes")
    if episodes and (episodes["open"] or episodes["last"]):
        rows.append(("episodes", episodes_in_words(episodes)))
    if control["flags"]:
        rows.append(
            ("limits", ", ".join(f"{key} {value}" for key, value in control["flags"].items()))
        )
    return rows


def pictures_in_words(pictures: Mapping[str, Any]) -> str:
    """What is kept of the cameras. Takes `pictures` of a status answer."""
    saved = f"; kept {pictures['saved']}, the newest in {pictures['newest']}"
    return f"{pictures['state']}{saved if pictures['saved'] else ''}"


def progress_in_words(move: Mapping[str, Any]) -> str:
    """How far a move to a pose has come. Takes `move` of a status answer or a ping's."""
    return f"{move['share']:.0%} of the way, {move['left_s']:.1f} s left"


def _fps(camera: Mapping[str, Any]) -> str:
    rate = camera.get("fps_asked")
    return f"{camera['fps']:.1f} of {rate:g} fps" if rate else f"{camera['fps']:.1f} fps"


def _damaged(camera: Mapping[str, Any]) -> str:
    count = camera.get("damaged")
    return f"damaged {count} of {count + camera['frames']}, " if count else ""


def _age(age_ms: float | None) -> str:
    return "nothing yet" if age_ms is None else f"{age_ms:.0f} ms old"


def episodes_in_words(episodes: Mapping[str, Any]) -> str:
    """Scored episodes in one line. Takes `episodes` of a status answer."""
    opened, last = episodes["open"], episodes["last"]
    if opened is not None:
        drove = "waits for arm" if opened["seconds"] is None else f"{opened['seconds']:.1f} s"
        halted = f", ended by {opened['halted']}: score it" if opened["halted"] else ""
        head = f"{_episode(opened)} is open: {drove}{halted}"
    elif last is not None:
        after = "" if last["seconds"] is None else f" after {last['seconds']:.1f} s"
        head = f"{_episode(last)}: {last['score']}{after}"
    else:
        head = "none is open"
    return f"{head}; {rate_in_words(episodes)}"


def rate_in_words(episodes: Mapping[str, Any]) -> str:
    """How many of this run's episodes succeeded, and how sure that is."""
    done, attempts = episodes["success"], episodes["success"] + episodes["failure"]
    if not attempts:
        return "no scored episode yet"
    low, high = episodes["interval"]
    return (
        f"{done} of {attempts} succeeded ({done / attempts:.0%}, 95 % {low:.0%} to {high:.0%}), "
        f"{episodes['discard']} discarded"
    )


def _episode(episode: Mapping[str, Any]) -> str:
    place = f" at place {episode['place']}" if episode["place"] else ""
    return f"episode {episode['episode']}{place}"


def recording_in_words(recording: Mapping[str, Any]) -> str:
    """A dataset recording in one line. Takes `recording` of a status answer."""
    state = ": ".join(filter(None, (recording["state"], recording.get("why"))))
    frames = recording.get("frames")
    if not frames:
        return f"{state} ({recording['path']})"
    return (
        f"{state}; {frames} frames, {frames / recording['fps']:.1f} s at {recording['fps']} fps, "
        f"{recording['repeated']} images repeated, {recording['late']} late "
        f"({recording['path']})"
    )
