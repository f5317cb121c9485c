"""A Hugging Face hub of one repository, served from a folder on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Where it listens and what it was asked for."""

    endpoint: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(
    repo: str, folder: Path, branches: Mapping[str, Path] | None = None, kind: str = "models"
) -> Iterator[Hub]:
    """Serve `folder` as the repository `repo`, and other folders as its `branches`."""
    hub = Hub()
    folders = {"main": folder, **(branches or {})}
    commits = {branch: COMMIT[:-1] + str(7 + n) for n, branch in enumerate(folders)}
    of = {**folders, **{commits[branch]: path for branch, path in folders.items()}}
    listing = f"/api/{kind}/{repo}"
    files_of = f"/{repo}" if kind == "models" else f"/{kind}/{repo}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            hub.asked.append(self.path)
            asked = unquote(self.path.split("?")[0])
            if asked == listing:
                asked = f"{listing}/revision/main"
            if asked == f"{listing}/refs":
                found = [
                    {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
                    for name, commit in commits.items()
                ]
                empty: dict[str, Any] = {"converts": [], "tags": []}
                return self._send_json({"branches": found, **empty}, body)
            for view in (f"{listing}/revision/", f"{listing}/tree/", f"{files_of}/resolve/"):
                if asked.startswith(view):
                    revision, _, file = asked.removeprefix(view).partition("/")
                    if revision not in of:
                        return self._missing("RevisionNotFound")
                    return self._of(view, revision, file, body)
            return self._missing("RepoNotFound")

        def _of(self, view: str, revision: str, file: str, body: bool) -> None:
            root = of[revision]
            commit = commits.get(revision, revision)
            files = sorted(path for path in root.rglob("*") if path.is_file())
            names = [path.relative_to(root).as_posix() for path in files]
            if "resolve" in view:
                if file in names:
                    return self._send((root / file).read_bytes(), body, "text/plain", commit)
                return self._missing("EntryNotFound")
            if "tree" in view:
                sizes = [path.stat().st_size for path in files]
                tree = [
                    {"type": "file", "path": name, "oid": name, "size": size}
                    for name, size in zip(names, sizes, strict=True)
                ]
                return self._send_json(tree, body)
            siblings = [{"rfilename": name} for name in names]
            described = {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings}
            return self._send_json(described, body)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send_json(self, data: object, body: bool) -> None:
            self._send(json.dumps(data).encode(), body, "application/json", COMMIT)

        def _send(self, data: bytes, body: bool, kind: str, commit: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Repo-Commit", commit)
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
