"""A child process is supervised: its log, its exit status, and that nothing of it survives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from factory.teacher.child import GUARD, Child

DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], start_new_session=AWAY)
open(sys.argv[1], "w").write(f"{os.getpid()} {grandchild.pid} ")
time.sleep(600)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.02)


def pids(path: Path) -> list[int]:
    wait_for(lambda: path.exists() and path.read_text().endswith(" "))
    return [int(pid) for pid in path.read_text().split()]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ended(child: Child) -> int | None:
    wait_for(lambda: not child.running)
    return child.poll()


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(0)", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_exit_status_is_the_commands(tmp_path: Path, code: str, status: int) -> None:
    child = Child(python(code), tmp_path / "log")
    child.start()
    assert ended(child) == status
    child.stop()


def test_the_log_has_stdout_stderr_and_the_ending(tmp_path: Path) -> None:
    child = Child(python("import sys; print('out', flush=True); sys.exit('err')"), tmp_path / "deep" / "log")
    child.start()
    ended(child)
    child.stop()
    assert child.tail() == "out\nerr\nguard: the command ended, exit status 1"
    assert child.tail(1) == "guard: the command ended, exit status 1"


def test_a_command_that_is_not_there_is_told_in_the_log(tmp_path: Path) -> None:
    child = Child([str(tmp_path / "nothing")], tmp_path / "log")
    child.start()
    assert ended(child) == 127
    child.stop()
    assert "nothing cannot be started: No such file or directory" in child.tail()


def test_the_environment_is_the_one_given(tmp_path: Path) -> None:
    child = Child(python("import os; print(os.environ['SAID'])"), tmp_path / "log", {"SAID": "hello"})
    child.start()
    ended(child)
    child.stop()
    assert child.tail(2).startswith("hello")


def test_lines_reach_a_fed_child_and_its_stdin_ends_with_stop(tmp_path: Path) -> None:
    child = Child(
        python("import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"), tmp_path / "log", fed=True
    )
    child.start()
    child.send("abc")
    wait_for(lambda: "cba" in child.tail())
    child.stop()
    assert not child.running


def test_a_started_child_can_be_started_again(tmp_path: Path) -> None:
    child = Child(python("import time; print('up', flush=True); time.sleep(600)"), tmp_path / "log")
    for _ in range(2):
        child.start()
        wait_for(lambda: child.tail() == "up")
    child.stop()
    assert (tmp_path / "log").read_text().count("up") == 2


@pytest.mark.parametrize("away", [False, True], ids=["in its group", "in a session of its own"])
def test_stop_ends_children_that_ignore_sigterm(tmp_path: Path, away: bool) -> None:
    child = Child(python(DEAF.replace("AWAY", str(away)), str(tmp_path / "pids")), tmp_path / "log", grace=0.3)
    child.start()
    found = pids(tmp_path / "pids")
    child.stop()
    assert [gone(pid) for pid in found] == [True, True]


def test_what_a_command_that_died_left_running_is_ended(tmp_path: Path) -> None:
    child = Child(python(DEAF.replace("AWAY", "False"), str(tmp_path / "pids")), tmp_path / "log", grace=0.3)
    child.start()
    command, grandchild = pids(tmp_path / "pids")
    psutil.Process(command).kill()
    assert ended(child) == 137
    child.stop()
    assert gone(grandchild)
    assert "signal 9 (SIGKILL); ended what it left running" in child.tail()


OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from factory.teacher.child import Child
folder = Path(sys.argv[2])
Child([sys.executable, "-I", "-S", "-c", sys.argv[3], str(folder / "pids")], folder / "log", grace=0.3).start()
time.sleep(600)
"""


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_end_of_its_owner(tmp_path: Path, signal_: signal.Signals) -> None:
    root = str(GUARD.parents[2])
    command = [sys.executable, "-c", OWNER, root, str(tmp_path), DEAF.replace("AWAY", "False")]
    owner = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    found = pids(tmp_path / "pids")
    owner.send_signal(signal_)
    owner.wait()
    wait_for(lambda: all(gone(pid) for pid in found))


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_the_command_ends_when_the_guard_is_killed(tmp_path: Path) -> None:
    child = Child(python("import time; time.sleep(600)"), tmp_path / "log")
    child.start()
    guard = psutil.Process().children()[-1]
    wait_for(guard.children)
    command = guard.children()[0].pid
    guard.kill()
    wait_for(lambda: gone(command))
    child.stop()


def test_ctrl_c_in_our_terminal_does_not_reach_the_child(tmp_path: Path) -> None:
    code = "import os, sys; open(sys.argv[1], 'w').write(f'{os.getsid(0)} {os.getpgid(0)} ')"
    child = Child(python(code, str(tmp_path / "pids")), tmp_path / "log")
    child.start()
    session, group = pids(tmp_path / "pids")
    child.stop()
    ours = psutil.Process()
    assert session == group != ours.pid
    assert session != os.getsid(0)


def test_the_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Child(python(""), tmp_path / "none").tail() == ""


def test_what_was_written_is_what_came_since_the_last_start(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    child = Child(python("print('now')"), tmp_path / "log")
    child.start()
    ended(child)
    child.stop()
    assert child.written() == "now\nguard: the command ended, exit status 0\n"
    assert child.written(most=10) == "t status 0\n"[-10:]
    assert (tmp_path / "log").read_text().startswith("of an earlier run\nnow")
