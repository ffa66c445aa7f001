"""A local Prefect server that lives exactly as long as the run it was started for.

Prefect starts one too, but as a child that the terminal's Ctrl-C reaches as well: a flow that wants to report that it
was stopped then waits minutes for its answer. It also outlives a run that is killed. This one ignores such signals and
ends when the pipe to the run closes, for whatever reason.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

from factory.errors import FactoryError, UserError

PATIENCE = 30  # seconds it gets to write its database before it is killed


@cache
def local_server(home: Path, *, verbose: bool = False) -> str:
    """Return the API address of a server that is up, on loopback, with its files in `home`; one a process and home."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {home} cannot be made: {error.strerror}; choose another with --out DIR") from None
    # -P: a folder of the user's that is called flows must not hide ours.
    command = [sys.executable, "-P", "-m", "flows.server"]
    env = os.environ | {"PREFECT_HOME": str(home), "PREFECT_UI_ENABLED": "false"}
    log = None if verbose else subprocess.DEVNULL
    child = subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
    )
    atexit.register(_end, child)  # not sooner: Prefect sends its last logs and events when the interpreter ends
    port = child.stdout.readline().strip() if child.stdout else ""
    if not port:
        raise FactoryError("the local Prefect server did not start; -v shows its log, and `factory run` needs none")
    return f"http://127.0.0.1:{port}/api"


def _end(child: subprocess.Popen[str]) -> None:
    try:
        child.communicate(timeout=PATIENCE)  # closes its stdin
    except subprocess.TimeoutExpired:
        child.kill()


def serve() -> None:
    """Serve until stdin ends; write the port to stdout once the server answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import uvicorn
    from prefect.server.api.server import create_app

    door = socket.create_server(("127.0.0.1", 0))
    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, args=([door],))  # beside the main thread, uvicorn minds no signals
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.05)
    if server.started:
        print(door.getsockname()[1], flush=True)  # noqa: T201 - what the run waits for
        sys.stdin.read()
    server.should_exit = True
    thread.join()


if __name__ == "__main__":
    serve()
