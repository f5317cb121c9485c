"""What HTTP may do: pages of other origins nothing, watchers hold and stop, the operator arm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from actd.dashboard.app import HEADER, make_app
from actd.dashboard.view import Picture
from actd.errors import LinkError, RecordingError
from actd.mode import Mode

PERCENTILES = {"p50": 20.0, "p99": 40.0, "p999": 60.0, "max": 80.0}
STATUS: dict[str, Any] = {
    "mode": "ARMED",
    "ready": True,
    "uptime_s": 12.5,
    "control": {
        "ticks": 600,
        "missed": 2,
        "underruns": 1,
        "rate_hz": 50.0,
        "target_hz": 50.0,
        "lateness_us": PERCENTILES,
        "work_us": PERCENTILES,
        "chunk_age_ms": PERCENTILES,
    },
    "inference": {
        "engine": "ort-int8",
        "state": "running",
        "ms": PERCENTILES,
        "chunks": 100,
        "restarts": 1,
        "rejected": 0,
    },
    "state_rejected": {"count": 3, "newest": ""},
    "state_age_ms": None,
    "beyond_training": {"waist": 0.0, "elbow": 0.25},
    "cameras": {
        'the "top"': {
            "fps": 30.0,
            "frames": 300,
            "drops": 4,
            "damaged": 0,
            "restarts": 0,
            "age_ms": 12.0,
            "likeness": {"brightness": -0.9, "contrast": 0.5, "why": "darker"},
        },
        "wrist": {
            "fps": 0.0,
            "frames": 0,
            "drops": 0,
            "damaged": 0,
            "restarts": 0,
            "age_ms": None,
            "likeness": None,
        },
    },
}
Client = TestClient[Any, Any]


class Watched:
    """A daemon that writes down its orders."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.refusal = ""
        self.answers = True

    def live(self) -> dict[str, Any]:
        return {"mode": "IDLE"}

    def history(self, after: int) -> dict[str, Any]:
        return {"after": after}

    def config(self) -> list[dict[str, Any]]:
        return []

    def tick(self, number: int) -> dict[str, Any] | None:
        if number == 13:
            raise RecordingError("ticks-00001.bin: not a flight segment; remove it")
        return {"number": number} if number == 7 else None

    def picture_of(self, number: int, camera: str) -> bytes | None:
        return b"jpeg" if (number, camera) == (7, "the top") else None

    def picture(self, camera: str) -> Picture | None:
        return {"top": Picture(b"jpeg", 12.4), "dark": None}[camera]

    async def status(self) -> dict[str, Any]:
        if not self.answers:
            raise LinkError("no actd answers")
        return STATUS

    async def order(self, command: str, fields: Mapping[str, str]) -> dict[str, Any]:
        self.orders.append(" ".join((command, *fields.values())))
        if self.refusal:
            raise LinkError(self.refusal)
        return {"warnings": ["joint_0 is where the training never was"] if command == "arm" else []}


def served(work: Callable[[Client, Watched], Awaitable[None]], *, may_arm: bool = True) -> None:
    async def main() -> None:
        view, time = Watched(), iter(range(10**9))
        app = make_app(view, lambda: next(time), may_arm=may_arm)
        async with TestClient(TestServer(app)) as client:
            await work(client, view)

    asyncio.run(main())


async def order(
    client: Client, command: str, page: str = "a", fields: Any = None, **headers: str
) -> tuple[int, Any]:
    body = {"command": command, "page": page, **(fields or {})}
    async with client.post("/order", json=body, headers={HEADER: "1", **headers}) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9875", "127.0.0.1.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/", "/live.json", "/camera/top.jpg", "/status.json", "/metrics"])
def test_a_name_that_was_bound_to_this_computer_reads_nothing(host: str, path: str) -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get(path, headers={"Host": host}) as answer:
            assert answer.status == 403
            assert "not this computer's name" in await answer.text()

    served(work)


@pytest.mark.parametrize("host", ["127.0.0.1:9875", "localhost", "[::1]:9875"])
def test_loopback_names_read(host: str) -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get("/live.json", headers={"Host": host}) as answer:
            assert answer.status == 200

    served(work)


def test_pages_of_other_origins_order_nothing() -> None:
    async def work(client: Client, view: Watched) -> None:
        own = f"http://127.0.0.1:{client.port}"
        for origin in ("http://evil.example", f"{own}0", "null", "http://127.0.0.1:1"):
            status, _ = await order(client, "stop", Origin=origin)
            assert status == 403
        async with client.post("/order", data={"command": "stop", "page": "a"}) as answer:
            assert answer.status == 403  # as a form sends it
        async with client.get("/order", headers={HEADER: "1"}) as answer:
            assert answer.status == 405
        assert view.orders == []
        assert (await order(client, "stop", Origin=own))[0] == 200
        assert view.orders == ["stop"]

    served(work)


def test_everyone_holds_and_stops_and_one_page_arms() -> None:
    async def work(client: Client, view: Watched) -> None:
        assert (await order(client, "arm"))[0] == 409
        assert (await order(client, "take"))[0] == 200
        status, answer = await order(client, "arm")
        assert status == 200
        assert answer["warnings"] == ["joint_0 is where the training never was"]
        assert (await order(client, "takeover"))[0] == 200
        assert (await order(client, "takeover", "b"))[0] == 409
        for command in ("hold", "stop", "keep"):
            assert (await order(client, command, "b"))[0] == 200
        status, answer = await order(client, "reset", "b")
        assert status == 409
        assert "another page operates" in answer["errors"][0]
        assert view.orders == ["arm", "takeover", "hold", "stop", "keep"]
        for page, seen in (("a", "you"), ("b", "another"), ("", "another")):
            async with client.get(f"/live.json?page={page}") as found:
                assert (await found.json())["operator"] == seen

    served(work)


@pytest.mark.parametrize("may_arm", [True, False])
def test_one_page_scores_whether_it_may_arm_or_not(may_arm: bool) -> None:
    start = {"do": "start", "place": "7"}

    async def work(client: Client, view: Watched) -> None:
        assert (await order(client, "episode", fields=start))[0] == 409
        await order(client, "take")
        assert (await order(client, "episode", fields=start))[0] == 200
        assert (await order(client, "episode", "b", fields={"do": "success"}))[0] == 409
        assert (await order(client, "episode", fields={"do": "success"}))[0] == 200
        assert (await order(client, "hold", fields=start))[0] == 200
        assert view.orders == ["episode start 7", "episode success", "hold"]

    served(work, may_arm=may_arm)


def test_reasons_come_one_by_one() -> None:
    async def work(client: Client, view: Watched) -> None:
        await order(client, "take")
        view.refusal = "arm refused: camera top is 400 ms old | robot state has not delivered"
        status, answer = await order(client, "arm")
        assert status == 409
        assert answer["errors"] == ["camera top is 400 ms old", "robot state has not delivered"]

    served(work)


def test_a_page_that_may_not_arm_still_stops() -> None:
    async def work(client: Client, view: Watched) -> None:
        await order(client, "take")
        for command in ("arm", "takeover"):
            status, answer = await order(client, command)
            assert status == 403
            assert f"use `actd {command}`, or set dashboard.arm" in answer["errors"][0]
        assert (await order(client, "stop"))[0] == 200
        assert view.orders == ["stop"]

    served(work, may_arm=False)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"command": 1}', b"null", b'{"command": "fly", "page": 1}'],
)
def test_what_is_no_order_moves_nothing(body: bytes) -> None:
    async def work(client: Client, view: Watched) -> None:
        async with client.post("/order", data=body, headers={HEADER: "1"}) as answer:
            assert answer.status == 400
        assert view.orders == []

    served(work)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/camera/none.jpg", 404),
        ("/camera/dark.jpg", 503),
        ("/history.json?after=x", 400),
        ("/history.json?after=-1", 400),
        ("/tick/6.json", 404),
        ("/tick/13.json", 500),
        ("/tick/-1.json", 400),
        ("/tick/9999999999999999999.json", 400),
        ("/tick/7/other.jpg", 404),
        ("/tick/7/..%2f..%2frun.json", 404),
        ("/tick/x/top.jpg", 400),
        ("/nothing", 404),
        ("/../pyproject.toml", 404),
        ("/static/..%2f..%2fapp.py", 404),
    ],
)
def test_what_is_not_there_is_said(path: str, status: int) -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get(path) as answer:
            assert answer.status == status
            assert (await answer.json())["errors"]
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    served(work)


def test_a_picture_has_its_age() -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get("/camera/top.jpg") as answer:
            assert await answer.read() == b"jpeg"
            assert answer.headers["X-Age-Ms"] == "12"
            assert answer.headers["Cache-Control"] == "no-store"

    served(work)


def test_a_tick_and_what_was_seen_then() -> None:
    async def work(client: Client, _: Watched) -> None:
        async with client.get("/tick/7.json") as answer:
            assert await answer.json() == {"number": 7}
        async with client.get("/tick/7/the%20top.jpg") as answer:
            assert (await answer.read(), answer.content_type) == (b"jpeg", "image/jpeg")

    served(work)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    async def work(client: Client, _: Watched) -> None:
        for path in ("/", "/app.js", "/style.css"):
            async with client.get(path) as answer:
                assert answer.status == 200
                assert "://" not in await answer.text()

    served(work)


def test_metrics_are_what_prometheus_reads() -> None:
    async def work(client: Client, view: Watched) -> None:
        async with client.get("/metrics") as answer:
            families = {f.name: f for f in text_string_to_metric_families(await answer.text())}
        modes = {s.labels["mode"]: s.value for s in families["actd_mode"].samples}
        assert modes == {mode.name: float(mode is Mode.ARMED) for mode in Mode}
        assert families["actd_ticks"].samples[0].value == 600
        lateness = {s.labels["quantile"]: s.value for s in
                    families["actd_tick_lateness_seconds"].samples}  # fmt: skip
        assert lateness == {"0.5": 20e-6, "0.99": 40e-6, "0.999": 60e-6}
        drops = {s.labels["camera"]: s.value for s in families["actd_camera_drops"].samples}
        assert drops == {'the "top"': 4, "wrist": 0}
        ages = {s.labels["camera"]: s.value for s in families["actd_camera_age_seconds"].samples}
        assert ages == {'the "top"': 0.012}
        beyond = families["actd_joint_beyond_training_ratio"].samples
        assert {s.labels["joint"]: s.value for s in beyond} == {"waist": 0.0, "elbow": 0.25}
        for key, value in (("brightness", -0.9), ("contrast", 0.5)):
            (sample,) = families[f"actd_camera_{key}_ratio"].samples
            assert (sample.labels["camera"], sample.value) == ('the "top"', value)
        assert "actd_state_age_seconds" not in families
        view.answers = False
        async with client.get("/metrics") as answer:
            assert answer.status == 200
            assert "actd_up 0.0" in await answer.text()

    served(work)


def test_health_is_the_daemons() -> None:
    async def work(client: Client, view: Watched) -> None:
        for path in ("/healthz", "/readyz"):
            async with client.get(path) as answer:
                assert answer.status == 200
        view.answers = False
        for path in ("/healthz", "/readyz", "/status.json"):
            async with client.get(path) as answer:
                assert answer.status == 503
                assert "no actd answers" in await answer.text()

    served(work)
