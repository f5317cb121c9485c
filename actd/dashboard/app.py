"""The page over HTTP: what a browser on this computer may read and order.

A page of another origin must not move an arm, nor read a camera: requests are answered only
under a loopback name (so no name that is rebound to 127.0.0.1 works), and an order must come
from the page itself, with a header that no form can send. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from urllib.parse import urlsplit

from aiohttp import web

from actd.dashboard.lease import Lease
from actd.dashboard.metrics import exposition
from actd.dashboard.view import View
from actd.errors import SEPARATOR, LinkError, RecordingError
from actd.link.sockets import LOOPBACK

HEADER = "X-Actd"
"""What every order has, and no page of another origin can send unasked."""

_ALWAYS = ("hold", "stop", "keep")
_OPERATORS = ("arm", "takeover", "reset", "episode")
_SCORES = ("episode",)
"""What moves nothing, so that a page which may not arm may order it too."""
_EPISODE = ("do", "place")
_STATIC = {
    "": ("index.html", "text/html"),
    "app.js": ("app.js", "text/javascript"),
    "style.css": ("style.css", "text/css"),
    "grafana.json": ("grafana.json", "application/json"),
}
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST_ID = 64
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(view: View, now_ns: Callable[[], int], *, may_arm: bool) -> web.Application:
    """The application; `may_arm`: whether arm, takeover and reset are offered at all."""
    app = web.Application(middlewares=[_guard], client_max_size=4096)
    page = _Page(view, now_ns, may_arm)
    app.add_routes([web.get(f"/{name}", _static(*file)) for name, file in _STATIC.items()])
    app.add_routes(
        [
            web.get("/live.json", page.live),
            web.get("/history.json", page.history),
            web.get("/tick/{number}.json", page.tick),
            web.get("/tick/{number}/{camera}.jpg", page.picture_of),
            web.get("/config.json", page.config),
            web.get("/status.json", page.status),
            web.get("/camera/{name}.jpg", page.camera),
            web.get("/metrics", page.metrics),
            web.get("/healthz", page.healthz),
            web.get("/readyz", page.readyz),
            web.post("/order", page.order),
        ]
    )
    return app


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname
    if host not in LOOPBACK:
        return _refused(403, f"{host}: not this computer's name; use 127.0.0.1 or localhost")
    if request.method == "POST":
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            return _refused(403, f"{origin}: only actd's own page may order")
        if HEADER not in request.headers:
            return _refused(403, f"{HEADER}: missing; only actd's own page may order")
    try:
        response = await handler(request)
    except RecordingError as error:
        response = _refused(500, str(error))
    except LinkError as error:
        response = _refused(503, str(error))
    except web.HTTPException as error:
        response = _refused(error.status, f"{request.path}: {error.reason}")
    response.headers.update(_SECURITY)
    return response


def _refused(status: int, why: str) -> web.Response:
    return web.json_response({"ok": False, "errors": [why]}, status=status, headers=_SECURITY)


def _tick_number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not text.isdecimal() or len(text) > 18:
        raise web.HTTPBadRequest(reason="a tick is a whole number")
    return int(text)


def _static(name: str, kind: str) -> _Handler:
    text = (resources.files("actd.dashboard") / "static" / name).read_text(encoding="utf-8")

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=kind, charset="utf-8")

    return answer


class _Page:
    """What each address answers."""

    def __init__(self, view: View, now_ns: Callable[[], int], may_arm: bool) -> None:
        self._view = view
        self._now_ns = now_ns
        self._may_arm = may_arm
        self._lease = Lease()

    async def live(self, request: web.Request) -> web.Response:
        """The newest tick; asking keeps the asker's lease alive."""
        holder = self._lease.holder(request.query.get("page", "")[:_LONGEST_ID], self._now_ns())
        return web.json_response(
            {**self._view.live(), "operator": holder, "may_arm": self._may_arm}
        )

    async def history(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal() or len(after) > 18:
            return _refused(400, f"after: {after!r:.40}; expected a whole number")
        return web.json_response(self._view.history(int(after)))

    async def tick(self, request: web.Request) -> web.Response:
        number = _tick_number(request)
        tick = await asyncio.to_thread(self._view.tick, number)
        if tick is None:
            return _refused(404, f"tick {number}: not recorded, or no longer there")
        return web.json_response(tick)

    async def picture_of(self, request: web.Request) -> web.Response:
        """What a camera saw at a tick."""
        number, camera = _tick_number(request), request.match_info["camera"]
        jpeg = await asyncio.to_thread(self._view.picture_of, number, camera)
        if jpeg is None:
            return _refused(404, f"tick {number}: no picture of camera {camera:.64}")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def config(self, _: web.Request) -> web.Response:
        return web.json_response(self._view.config())

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response(await self._view.status())

    async def camera(self, request: web.Request) -> web.Response:
        """The newest picture with its age: the page never shows an old one as if it were live."""
        name = request.match_info["name"]
        try:
            picture = self._view.picture(name)
        except KeyError:
            return _refused(404, f"{name!r:.64}: no such camera")
        if picture is None:
            return _refused(503, f"camera {name}: no picture yet")
        headers = {"X-Age-Ms": f"{picture.age_ms:.0f}"}
        return web.Response(body=picture.jpeg, content_type="image/jpeg", headers=headers)

    async def metrics(self, _: web.Request) -> web.Response:
        try:
            status = await self._view.status()
        except LinkError:
            status = None
        text = exposition(status)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    async def healthz(self, _: web.Request) -> web.Response:
        await self._view.status()
        return web.json_response({"ok": True})

    async def readyz(self, _: web.Request) -> web.Response:
        status = await self._view.status()
        if not status["ready"]:
            return _refused(503, f"starting: inference {status['inference']['state']}")
        return web.json_response({"ok": True})

    async def order(self, request: web.Request) -> web.Response:
        """hold, stop and keep from everyone, the others from whoever has the lease."""
        try:
            body = json.loads(await request.read())
            command, page = str(body["command"]), str(body["page"])[:_LONGEST_ID]
            fields = {key: str(body[key]) for key in _EPISODE if key in body}
        except (ValueError, KeyError, TypeError):
            return _refused(400, "an order is a JSON map with command and page")
        if command == "take":
            self._lease.take(page, self._now_ns())
            return web.json_response({"ok": True})
        objection = self._objection(command, page)
        if objection is not None:
            return _refused(*objection)
        try:
            answer = await self._view.order(command, fields if command in _SCORES else {})
        except LinkError as error:
            refusal = str(error).removeprefix(f"{command} refused: ")
            return web.json_response({"ok": False, "errors": refusal.split(SEPARATOR)}, status=409)
        return web.json_response({"ok": True, "warnings": answer.get("warnings", [])})

    def _objection(self, command: str, page: str) -> tuple[int, str] | None:
        """Why this page may not order that, with HTTP's status; None: it may."""
        if command in _ALWAYS:
            return None
        if command not in _OPERATORS:
            known = ", ".join((*_ALWAYS, *_OPERATORS, "take"))
            return 400, f"{command!r:.40}: unknown; known are {known}"
        if not self._may_arm and command not in _SCORES:
            return 403, f"{command}: not from this page; use `actd {command}`, or set dashboard.arm"
        if self._lease.holder(page, self._now_ns()) != "you":
            return 409, f"{command}: another page operates, or none; take control first"
        return None
