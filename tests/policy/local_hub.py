"""A Hugging Face hub of one repository, served from a folder on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Where it listens and what it was asked for."""

    endpoint: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(repo: str, folder: Path) -> Iterator[Hub]:
    """Serve `folder` as the repository `repo`."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            hub.asked.append(self.path)
            listing = f"/api/models/{repo}"
            start = f"/{repo}/resolve/{COMMIT}/"
            files = sorted(folder.iterdir())
            asked = self.path.split("?")[0]
            if asked in (listing, f"{listing}/revision/main"):
                names = [{"rfilename": p.name} for p in files]
                described = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": names}
                self._send(json.dumps(described).encode(), body, "application/json")
            elif asked == f"{listing}/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": p.name, "oid": p.name, "size": p.stat().st_size}
                    for p in files
                ]
                self._send(json.dumps(tree).encode(), body, "application/json")
            elif self.path.startswith(start) and (folder / self.path[len(start) :]).is_file():
                self._send((folder / self.path[len(start) :]).read_bytes(), body, "text/plain")
            else:
                self.send_error(404)

        def _send(self, data: bytes, body: bool, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
