"""The saved moments of a run as films: what the cameras saw beside what each tick did.

Pictures and ticks have one clock. A film has every picture near its moment and one a second
further away: all of them are in the moment's file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from actd.control.flag_words import FLAG_WORDS
from actd.errors import RecordingError
from actd.flightlog.pictures import SavedMoment
from actd.mode import Mode
from actd.report.page import Film, Instant, PageSection, Table
from actd.runtime.run_info import RunInfo

_MOST_FILMS = 3
_NEAR_NS = 3_000_000_000
_FAR_APART_NS = 1_000_000_000
# A picture older than this is not what the camera saw then.
_LASTS_NS = 1_500_000_000

_TITLES = {
    "fault": "FAULT",
    "order": "Kept",
    "end": "An end that was not clean",
    "killed": "Killed",
}


def moment_sections(
    moments: Sequence[SavedMoment], problems: Sequence[str], ticks: Any, info: RunInfo
) -> Iterator[PageSection]:
    """A section for each of the newest moments, newest first, and one for what is left out."""
    newest = list(reversed(moments))
    rows = [("damaged", problem) for problem in problems]
    for saved in newest[:_MOST_FILMS]:
        try:
            film = _film(saved, ticks, info)
        except RecordingError as error:
            rows.append(("damaged", str(error)))
            continue
        if film is not None:
            yield film
    rows += [("not shown", str(saved.path)) for saved in newest[_MOST_FILMS:]]
    if rows:
        yield PageSection("Further pictures", [Table(rows, numeric=False)])


def _film(saved: SavedMoment, ticks: Any, info: RunInfo) -> PageSection | None:
    moment = saved.moment
    times = {camera: sorted(pictures) for camera, pictures in saved.pictures.items() if pictures}
    if not times:
        return None
    chosen = _thinned(max(times.values(), key=len), moment.t_ns)
    instants = [_instant(saved, times, ticks, info, t_ns) for t_ns in chosen]
    start_ns = int(ticks["due_ns"][0])
    at = f"{_TITLES[moment.cause]} at {(moment.t_ns - start_ns) / 1e9:.2f} s"
    reason = f"{moment.reason[:1].upper()}{moment.reason[1:]}. " if moment.reason else ""
    note = (
        f"{reason}Click the strip, then step with the arrow keys. Seconds are from the moment; "
        "joints are as the tick of the picture's time had them. "
        f"All {sum(map(len, times.values()))} pictures: {saved.path}"
    )
    place = max(0, bisect_right(chosen, moment.t_ns) - 1)
    return PageSection(at, [Film(instants, place)], note=note)


def _thinned(times_ns: Sequence[int], moment_ns: int) -> list[int]:
    chosen: list[int] = []
    for t_ns in times_ns:
        near = abs(t_ns - moment_ns) <= _NEAR_NS
        if near or not chosen or t_ns - chosen[-1] >= _FAR_APART_NS:
            chosen.append(t_ns)
    return chosen


def _instant(
    saved: SavedMoment, times: dict[str, list[int]], ticks: Any, info: RunInfo, t_ns: int
) -> Instant:
    pictures = []
    for camera in info.cameras:
        of_camera = times.get(camera, [])
        place = bisect_right(of_camera, t_ns) - 1
        taken_ns = of_camera[place] if place >= 0 else None
        current = taken_ns is not None and t_ns - taken_ns <= _LASTS_NS
        pictures.append((camera, saved.read(camera, taken_ns) if current and taken_ns else b""))
    label = f"{(t_ns - saved.moment.t_ns) / 1e9:+.2f} s"
    place = int(ticks["due_ns"].searchsorted(t_ns, side="right")) - 1
    if place < 0 or t_ns - int(ticks["due_ns"][place]) > _LASTS_NS:
        return Instant(label, "", pictures, "no tick was recorded then", ())
    tick = ticks[place]
    mode = Mode(int(tick["mode"]))
    words = [f"tick {tick['number']}", mode.name, f"{int(tick['late_ns']) / 1e3:.0f} us late"]
    if tick["chunk_age_ns"] >= 0:
        words.append(f"chunk {int(tick['chunk_age_ns']) / 1e6:.0f} ms old")
    words += [text for flag, text in FLAG_WORDS.items() if int(tick["flags"]) & flag]
    pairs = zip(
        info.control.joints, tick["positions"].tolist(), tick["action"].tolist(), strict=True
    )
    rows = [(name, f"{measured:.4g}", f"{command:.4g}") for name, measured, command in pairs]
    return Instant(label, mode.name.lower(), pictures, ", ".join(words), rows)
