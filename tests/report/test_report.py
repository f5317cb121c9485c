"""Pages of flights: eventful ones and the ones with hardly anything in them."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from actd.control.flag_words import FLAG_WORDS
from actd.control.limits import Flag
from actd.control.state import Event
from actd.errors import RecordingError
from actd.flightlog.reader import Flight
from actd.mode import Mode
from actd.replay.motion_charts import CommandedMotion
from actd.replay.page import flight_page
from actd.replay.timeline import moments
from actd.report import formatting
from actd.report.page import PageSection, Table, page
from actd.runtime.channels import EVENTS, tick_dtype
from actd.runtime.run_info import run_info
from tests.report.flights import JOINTS, eventful, fly, record, with_hole

MIB = 1 << 20
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags match, and keeps headings and everything that points elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def flight() -> Flight:
    return eventful()


def test_the_page_stands_alone_and_tells_everything(flight: Flight) -> None:
    text = flight_page(flight)
    outline = Outline(text)
    assert outline.headings == [
        "Summary",
        "What happened",
        "Joints",
        "Punctuality",
        "Chunks",
        "Limits and conditions",
        "Cameras",
        "Deployment",
    ]
    assert all(address.startswith("#") for address in outline.addresses)
    assert "script" not in outline.tags
    assert "url(http" not in text
    assert "A &lt;fast&gt; CPU &amp; more" in text
    # Colours are the page's own, light or dark; a stand-in left over would be nearly black.
    assert "#0000" not in text
    for name in re.findall(r"var\(--(\w+)\)", text):
        assert f"--{name}:" in text
    for name in [*JOINTS, "cam_high", "cam_wrist", "ort-int8", "1 fault."]:
        assert name in text


def test_the_numbers_are_those_of_the_recording(flight: Flight) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", "|", flight_page(flight)))
    late_us = flight.ticks["late_ns"] / 1e3
    assert f"p50 {np.median(late_us):.0f}" in text
    assert f"max {late_us.max():.0f} us" in text
    armed = (flight.ticks["mode"] == Mode.ARMED).mean()
    assert f"ARMED {armed:.2%}" in text
    assert f"|{len(flight.ticks)} ticks" in text or f", {len(flight.ticks)} ticks" in text


def test_the_story_of_a_run(flight: Flight) -> None:
    told = [moment.text for moment in moments(flight.ticks, EVENTS)]
    assert told == [
        "recording begins in IDLE",
        "operator: arm (stays IDLE)",
        "operator: arm (IDLE → ARMED)",
        "ARMED → HOLD: chunks ran out",
        "HOLD → ARMED: all inputs are fresh again",
        "operator: hold (ARMED → HOLD)",
        "operator: arm (HOLD → ARMED)",
        "ARMED → HOLD: chunks ran out",
        "HOLD → FAULT: the gap lasted too long (chunks ran out)",
        "operator: reset (FAULT → IDLE)",
        "operator: stop (IDLE → STOP)",
    ]


def test_a_process_that_died_is_not_an_operator(flight: Flight) -> None:
    ticks = flight.ticks[:2].copy()
    ticks["mode"] = [Mode.ARMED, Mode.FAULT]
    ticks["events"][1, 0], ticks["commands"][1, 0] = EVENTS.index(Event.FAULT), 5
    told = [moment.text for moment in moments(ticks, EVENTS)]
    assert told[-1] == "daemon: a process ended (ARMED → FAULT)"


def test_every_flag_has_words() -> None:
    assert set(FLAG_WORDS) == set(Flag)


def test_a_hole_in_the_recording_is_told(flight: Flight) -> None:
    holed = with_hole(flight, 300, 40)
    told = moments(holed.ticks, EVENTS)
    assert "40 ticks before this were not recorded" in [moment.text for moment in told]
    assert "40 ticks</td>" in flight_page(holed)


def test_limits_are_seen_in_the_commands(flight: Flight) -> None:
    control = run_info(flight).control
    motion = CommandedMotion(flight.ticks, control.limits, control.period_ns)
    shares = motion.at_limit.mean(axis=0)
    assert shares[JOINTS.index("shoulder")] > 0.3
    # The others wait for the shoulder; they are not at limits of their own.
    assert shares[JOINTS.index("waist")] < 0.2 * shares[JOINTS.index("shoulder")]


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(lambda: fly(0.02), id="one tick"),
        pytest.param(lambda: fly(0.04), id="two ticks"),
        pytest.param(lambda: fly(3.0), id="never armed"),
        pytest.param(lambda: fly(3.0, silent=[(0, 9)]), id="no chunk"),
        pytest.param(lambda: fly(3.0, commands={0: Event.STOP}), id="stopped at once"),
        pytest.param(lambda: fly(200.0, hz=20, commands={9: Event.ARM}), id="in bins"),
    ],
)
def test_hardly_anything_recorded_is_a_page_too(subject: object) -> None:
    Outline(flight_page(subject()))  # type: ignore[operator]


def test_times_are_told_in_ms_also_where_every_joint_has_its_own() -> None:
    told = formatting.flat({"ttl_ns": 100_000_000, "latency_ns": [0, 15_500_000]}, "control")
    assert told == {"control.ttl": "100 ms", "control.latency": "0 ms, 15.5 ms"}


def test_no_camera_and_no_state() -> None:
    flight = fly(2.0)
    flight.ticks["positions"] = np.nan
    flight.ticks["camera_ages_ns"] = -1
    assert "never delivered" in flight_page(flight)
    ticks = np.zeros(len(flight.ticks), [("number", "<u8"), *tick_dtype(len(JOINTS), 0).descr])
    for name in set(ticks.dtype.names or ()) - {"camera_ages_ns", "camera_unchanged_ns"}:
        ticks[name] = flight.ticks[name]
    bare = replace(flight, settings={**flight.settings, "cameras": {}}, ticks=ticks)
    assert "Cameras" not in Outline(flight_page(bare)).headings


def test_a_recording_without_ticks_is_refused(flight: Flight) -> None:
    with pytest.raises(RecordingError, match="no tick"):
        flight_page(replace(flight, ticks=flight.ticks[:0]))


def test_a_long_run_stays_small() -> None:
    flight = fly(30.0, hz=100, commands={50: Event.ARM})
    long = np.tile(flight.ticks, 40)
    for name in ("due_ns", "wake_ns", "sent_ns"):
        shift = np.repeat(np.arange(40), len(flight.ticks)) * 30_000_000_000
        long[name] += shift
    long["number"] = long["seq"] = np.arange(1, len(long) + 1)
    assert len(flight_page(replace(flight, ticks=long))) < 2 * MIB


def test_text_is_escaped_in_every_place() -> None:
    evil = "<script>&"
    text = page(evil, evil, [PageSection(evil, [Table([(evil, evil)], (evil,), evil)], evil)])
    assert "<script>" not in text
    assert text.count("&lt;script&gt;&amp;") == 10


@pytest.mark.slow
def test_the_command(flight: Flight, tmp_path: Path) -> None:
    run = record(flight, tmp_path / "flights")

    def report(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "actd", "report", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    done = report(tmp_path)  # as what `actd demo` writes, a folder with one of runs
    assert done.returncode == 0, done.stderr
    target = tmp_path / f"{run.name}.html"
    assert done.stdout.splitlines() == [f"wrote {target.name}", f"next: actd replay {run}"]
    assert target.read_text() == flight_page(flight)

    assert report(run, "--out", target).returncode == 0  # its own page is replaced
    mine = tmp_path / "thesis.html"
    mine.write_text("<p>mine")
    rejected = report(run, "--out", mine)
    assert (rejected.returncode, mine.read_text()) == (2, "<p>mine")
    assert "not written by actd" in rejected.stderr
    assert report(tmp_path / "nothing").returncode == 2
