"""Stands in for the Python of vLLM's environment: it serves, or answers files of requests, as `behaviour.json` says.

`python -c PROBE`, `python -m vllm... serve ...` and `python .../vllm_child.py READY ...` are what it is asked to run.
It keeps the arguments of each start in `starts.jsonl`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

ECHO = "echo: "


def interpreter(folder: Path, **behaviour: object) -> str:
    """Write a `python` into a folder and return its path; `behave` changes what it does."""
    folder.mkdir(parents=True, exist_ok=True)
    behave(folder, **behaviour)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I {Path(__file__).resolve()} {folder} "$@"\n')
    python.chmod(0o755)
    return str(python)


def behave(folder: Path, **behaviour: object) -> None:
    """probe: what the probe prints · dies: what it writes before it ends with status 2, at each start · hangs: it is
    never ready · crashes: so many starts end after `after` replies · poison: a text that ends it · refuses: a text that
    it refuses · pause: seconds before each reply."""
    (folder / "behaviour.json").write_text(json.dumps(behaviour))


def starts(folder: Path) -> list[dict[str, Any]]:
    """Return {argv, key} of each start so far."""
    path = folder / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def chat_body(asked: dict[str, Any]) -> dict[str, Any]:
    text = ECHO + asked["messages"][-1]["content"]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    return {"id": "1", "object": "chat.completion", "model": asked["model"], "choices": [choice], "usage": usage}


def refusal(asked: dict[str, Any], refuses: str) -> str | None:
    said = asked["messages"][-1]["content"]
    if refuses and refuses in said:
        return f"you must not say {refuses}"
    return "maximum context length is 8 tokens" if "too long" in said else None


class Fake:
    def __init__(self, folder: Path, argv: list[str]) -> None:
        self.said = json.loads((folder / "behaviour.json").read_text())
        before = len(starts(folder))
        self.crashes = before < self.said.get("crashes", 0)
        self.replies = 0
        with (folder / "starts.jsonl").open("a") as file:
            file.write(json.dumps({"argv": argv, "key": os.environ.get("VLLM_API_KEY")}) + "\n")
        if "dies" in self.said:
            print(self.said["dies"], flush=True)
            sys.exit(2)
        if self.said.get("hangs"):
            time.sleep(600)

    def may_crash(self, asked: dict[str, Any], replies: TextIO | None = None) -> None:
        if (self.crashes and self.replies >= self.said.get("after", 0)) or (
            self.said.get("poison") and self.said["poison"] in asked["messages"][-1]["content"]
        ):
            print("RuntimeError: the engine is gone", flush=True)
            if replies:
                replies.write('{"custom_id": "torn')
                replies.flush()
            os._exit(70)
        self.replies += 1


def serve(fake: Fake, argv: list[str]) -> None:
    port, name = int(argv[argv.index("--port") + 1]), argv[argv.index("--served-model-name") + 1]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def send(self, status: int, body: object) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def allowed(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {os.environ['VLLM_API_KEY']}"

        def do_GET(self) -> None:  # noqa: N802
            if self.path == "/health":
                self.send(200, {})
            elif not self.allowed():
                self.send(401, {"error": "Unauthorized"})
            else:
                self.send(200, {"object": "list", "data": [{"id": name, "object": "model", "root": name}]})

        def do_POST(self) -> None:  # noqa: N802
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.allowed():
                self.send(401, {"error": "Unauthorized"})
                return
            fake.may_crash(asked)
            self.send(200, chat_body(asked))

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def answer_files(fake: Fake, ready: Path) -> None:
    ready.write_text("4")
    for line in sys.stdin:
        part = json.loads(line)
        with open(part["requests"]) as requests, open(part["replies"], "a") as replies:
            for text in requests:
                if not Path(part["requests"]).exists():
                    break
                asked = json.loads(text)
                fake.may_crash(asked["body"], replies)
                time.sleep(fake.said.get("pause", 0))
                said = refusal(asked["body"], fake.said.get("refuses", ""))
                error = {"message": said, "code": 400} if said else None
                body = {"error": error} if error else chat_body(asked["body"])
                response = {"status_code": 400 if error else 200, "body": body}
                replies.write(
                    json.dumps({"custom_id": asked["custom_id"], "response": response, "error": error}) + "\n"
                )
                replies.flush()


def main(folder: Path, argv: list[str]) -> None:
    if argv[0] == "-c":
        print(json.loads((folder / "behaviour.json").read_text()).get("probe", "module"))
    elif argv[0] == "-m":
        serve(Fake(folder, argv), argv)
    else:
        answer_files(Fake(folder, argv), Path(argv[1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
