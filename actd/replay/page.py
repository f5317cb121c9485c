"""The HTML page of one flight recording, in figures, charts and text.

Takes a Flight (actd.flightlog.reader), and the pictures that lie beside it, on whose newest moment
the page opens. Raises RecordingError for a recording without a tick;
whatever else is missing (chunks, armed ticks, cameras) is left out of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.codec import encode
from actd.control.flag_words import FLAG_WORDS
from actd.control.limits import Flag
from actd.errors import RecordingError
from actd.flightlog.episodes import episodes_of, read_events
from actd.flightlog.pictures import saved_moments
from actd.flightlog.reader import Flight
from actd.mode import Mode
from actd.replay.episode_page import episodes_section
from actd.replay.episodes import read_scores
from actd.replay.motion_charts import HEADER, CommandedMotion
from actd.replay.pictures import moment_sections
from actd.replay.timeline import Moment, moments
from actd.report import formatting, plots
from actd.report.page import Figure, PageSection, Table, page
from actd.report.plots import Clock, Line
from actd.runtime.run_info import run_info
from actd.timing import percentiles

_MOST_MOMENTS = 200


def flight_page(flight: Flight) -> str:
    """The whole page as HTML text."""
    if not len(flight.ticks):
        raise RecordingError(f"{flight.folder}: no tick was recorded")
    return _Page(flight).html()


class _Page:
    """The flight, and what several sections need."""

    def __init__(self, flight: Flight) -> None:
        self.info = run_info(flight)
        self.folder = flight.folder
        self.control = self.info.control
        self.ticks, self.chunks = flight.ticks, flight.chunks
        self.gaps = flight.gaps
        self.events = read_events(flight.folder)
        self.joints = self.control.joints
        self.period_ns = self.control.period_ns
        self.start_ns = int(self.ticks["due_ns"][0])
        self.clock = Clock(self.seconds(self.ticks["due_ns"]), self.ticks["mode"])
        self.late = percentiles(self.ticks["late_ns"])
        self.work = percentiles(self.ticks["sent_ns"] - self.ticks["wake_ns"])

    def seconds(self, times_ns: NDArray[Any]) -> NDArray[np.float64]:
        """Seconds since the first tick."""
        return (times_ns - self.start_ns) / 1e9

    def html(self) -> str:
        moments, problems = saved_moments(self.folder)
        sections = [
            *moment_sections(moments, problems, self.ticks, self.info),
            self.summary(),
            self.course(),
            *self.episodes(),
            self.joint_section(),
            self.timing(),
            *self.chunk_section(),
            *self.limits(),
            *self.cameras(),
            self.deployment(),
        ]
        return page(f"actd run {self.info.name}", self.lead(), sections)

    @property
    def span_s(self) -> float:
        return float(self.ticks["due_ns"][-1] - self.start_ns + self.period_ns) / 1e9

    @property
    def missed(self) -> int:
        return int(self.ticks["missed"][-1] - self.ticks["missed"][0])

    def lead(self) -> str:
        modes = ", ".join(f"{share:.1%} {mode.name}" for mode, share in self.mode_shares())
        faults = int((np.diff((self.ticks["mode"] == Mode.FAULT).astype(np.int8)) == 1).sum())
        late = [formatting.us(ms) for ms in (self.late.p50_ms, self.late.p999_ms, self.late.max_ms)]
        return (
            f"{formatting.duration(self.span_s)} at {self.rate_hz:.2f} of "
            f"{1e9 / self.period_ns:g} Hz: "
            f"{len(self.ticks)} ticks, {self.missed} missed; woke {late[0]} late at the median, "
            f"{late[1]} at p99.9, {late[2]} at most; {modes}; "
            f"{faults} {'fault' if faults == 1 else 'faults'}."
        )

    @property
    def rate_hz(self) -> float:
        span_s = self.span_s - self.period_ns / 1e9
        return (len(self.ticks) - 1) / span_s if span_s > 0 else 0.0

    def mode_shares(self) -> Iterator[tuple[Mode, float]]:
        for mode in Mode:
            share = float((self.ticks["mode"] == mode).mean())
            if share:
                yield mode, share

    def summary(self) -> PageSection:
        started = datetime.fromtimestamp(self.info.started_unix_s, timezone.utc)
        rows = [
            ("daemon started", f"{started:%Y-%m-%d %H:%M:%S} UTC"),
            ("recorded", f"{formatting.duration(self.span_s)}, {len(self.ticks)} ticks"),
            ("rate", f"{self.rate_hz:.3f} Hz of {1e9 / self.period_ns:g}"),
            ("missed slots", str(self.missed)),
            ("lateness", formatting.percentiles(self.late)),
            ("work", formatting.percentiles(self.work)),
            ("modes", ", ".join(f"{m.name} {share:.2%}" for m, share in self.mode_shares())),
            ("chunks", f"{len(self.chunks)}" + self.chunk_rate()),
            ("waiting for chunks", f"{self.count(Flag.UNDERRUN)} ticks"),
            ("not recorded", ", ".join(f"{g.lost} {g.stream}" for g in self.gaps) or "nothing"),
        ]
        return PageSection("Summary", [Table(rows, numeric=False)])

    def chunk_rate(self) -> str:
        if len(self.chunks) < 2:
            return ""
        span_s = float(np.ptp(self.chunks["t_observation_ns"])) / 1e9
        return f", {(len(self.chunks) - 1) / span_s:.1f} per second" if span_s else ""

    def count(self, flag: Flag) -> int:
        return int(((self.ticks["flags"] & flag.value) != 0).sum())

    def course(self) -> PageSection:
        flags = self.ticks["flags"]
        rows = {label: (flags & flag.value) != 0 for flag, label in FLAG_WORDS.items()}
        rows["slots missed"] = np.diff(self.ticks["missed"], prepend=self.ticks["missed"][0]) > 0
        chart = plots.timeline(self.clock, {name: on for name, on in rows.items() if on.any()})
        entries = moments(self.ticks, self.info.events)
        entries += [Moment(e.t_ns, f"{e.title}: {e.kind}") for e in self.events]
        entries.sort(key=lambda entry: entry.due_ns)
        table = [(f"{(m.due_ns - self.start_ns) / 1e9:.2f} s", m.text) for m in entries]
        title = ""
        if len(table) > _MOST_MOMENTS:
            title = f"the first {_MOST_MOMENTS} of {len(table)}"
        return PageSection(
            "What happened",
            [
                Figure(chart, "Mode, limits and conditions over the recording."),
                Table(table[:_MOST_MOMENTS], title=title, numeric=False),
            ],
        )

    def episodes(self) -> Iterator[PageSection]:
        episodes = episodes_of(self.events)
        if episodes:
            yield episodes_section(read_scores([self.folder]), episodes)

    def joint_section(self) -> PageSection:
        action, positions = self.ticks["action"], self.ticks["positions"]
        motion = CommandedMotion(self.ticks, self.control.limits, self.period_ns)
        parts: list[Table | Figure] = []
        for j, name in enumerate(self.joints):
            chart = plots.joint(
                self.clock,
                name,
                self.info.units,
                action[:, j],
                positions[:, j],
                motion.at_limit[:, j],
            )
            parts.append(Figure(chart, "", wide=False))
        parts.append(
            Table(
                [motion.row(j, name) for j, name in enumerate(self.joints)],
                header=HEADER,
                title="Commanded motion",
            )
        )
        return PageSection(
            "Joints",
            parts,
            note="Blue: commanded, orange: measured. Shaded: not ARMED. Red below: the command "
            "is at its position, velocity or acceleration limit.",
        )

    def timing(self) -> PageSection:
        late_us = self.ticks["late_ns"] / 1e3
        work_us = (self.ticks["sent_ns"] - self.ticks["wake_ns"]) / 1e3
        over = plots.over_time(
            self.clock, [Line("lateness", self.clock.t, late_us)], "lateness, us", log=True
        )
        return PageSection(
            "Punctuality",
            [
                Figure(
                    plots.histogram(late_us, "lateness, us", formatting.marks(self.late)),
                    "From the due time of a tick to its wake-up.",
                    wide=False,
                ),
                Figure(
                    plots.histogram(work_us, "work, us", formatting.marks(self.work)),
                    "From the wake-up to the message sent.",
                    wide=False,
                ),
                Figure(over, "Lateness over the recording, largest and smallest per pixel."),
            ],
        )

    def chunk_section(self) -> Iterator[PageSection]:
        if not len(self.chunks):
            return
        chunks = self.chunks[np.argsort(self.chunks["started_ns"], kind="stable")]
        finished_s = self.seconds(chunks["started_ns"] + chunks["infer_ns"])
        ages_ms = np.where(self.ticks["chunk_age_ns"] < 0, np.nan, self.ticks["chunk_age_ns"] / 1e6)
        age = [Line("age", self.clock.t, ages_ms)]
        times = [Line("inference", finished_s, chunks["infer_ns"] / 1e6)]
        times += [Line("skew of the observation", finished_s, chunks["skew_ns"] / 1e6)]
        blended = [Line("chunks", self.clock.t, self.ticks["n"].astype(np.float64))]
        limit_ms = self.control.max_age.chunk_ns / 1e6
        caption = f"Age of the newest chunk's observation; the limit is {limit_ms:g} ms."
        rows = [("inference", *formatting.cells(percentiles(chunks["infer_ns"])))]
        rows += [("skew of the observation", *formatting.cells(percentiles(chunks["skew_ns"])))]
        yield PageSection(
            "Chunks",
            [
                Figure(plots.over_time(self.clock, age, "age, ms", limit=limit_ms), caption),
                Figure(
                    plots.over_time(self.clock, times, "inference, ms"),
                    "Duration of each inference, and time skew within its observation.",
                ),
                Figure(
                    plots.over_time(self.clock, blended, "chunks blended"),
                    "Number of chunks blended into each command.",
                ),
                Table(rows, header=formatting.PERCENTILES_MS),
            ],
        )

    def limits(self) -> Iterator[PageSection]:
        rows = []
        for flag, label in FLAG_WORDS.items():
            on = (self.ticks["flags"] & flag.value) != 0
            if on.any():
                edges = np.flatnonzero(np.diff(on, prepend=False, append=False))
                longest = int((edges[1::2] - edges[::2]).max())
                first_s = float(self.clock.t[edges[0]])
                rows.append(
                    (
                        label,
                        f"{on.sum()}",
                        f"{on.mean():.3%}",
                        f"{first_s:.2f} s",
                        f"{len(edges) // 2}",
                        f"{longest * self.period_ns / 1e6:.0f} ms",
                    )
                )
        if rows:
            header = ("", "ticks", "share", "first at", "times", "longest")
            note = "Number of ticks in which each limit acted or each condition held."
            yield PageSection("Limits and conditions", [Table(rows, header=header)], note=note)

    def cameras(self) -> Iterator[PageSection]:
        names = list(self.info.cameras)
        if not names:
            return
        lines, rows = [], []
        for place, name in enumerate(names):
            ages = self.ticks["camera_ages_ns"][:, place]
            valid = ages >= 0
            if not valid.any():
                rows.append((name, *["never delivered"] * 5, ""))
                continue
            lines.append(Line(name, self.clock.t[valid], ages[valid] / 1e6))
            still_ms = float(self.ticks["camera_unchanged_ns"][:, place].max()) / 1e6
            rows.append((name, *formatting.cells(percentiles(ages[valid])), f"{still_ms:.0f}"))
        limit_ms = self.control.max_age.camera_ns / 1e6
        parts: list[Table | Figure] = [
            Table(rows, header=(*formatting.PERCENTILES_MS, "same image, ms"))
        ]
        if lines:
            caption = f"Age of the newest frame at each tick; the limit is {limit_ms:g} ms."
            chart = plots.over_time(self.clock, lines, "age, ms", limit=limit_ms)
            parts.insert(0, Figure(chart, caption))
        yield PageSection("Cameras", parts)

    def deployment(self) -> PageSection:
        info = encode(self.info)
        limits = info["control"]["limits"]
        columns = [*limits.values(), info["control"]["start_distance"]]
        per_joint = [
            (name, *(formatting.short(column[j]) for column in columns))
            for j, name in enumerate(self.joints)
        ]
        header = ("joint", *limits, "start distance")
        parts = [Table(per_joint, header=header, title=f"Limits, in {self.info.units}")]
        facts = {"actd": self.info.actd}
        for group in ("engine", "machine", "tick", "control"):
            facts |= formatting.flat(info[group], group)
        rows = [(key, value) for key, value in facts.items()]
        return PageSection("Deployment", [*parts, Table(rows, numeric=False)])
