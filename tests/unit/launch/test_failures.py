"""What went wrong, in a sentence: workers that died or hang, what is waited for, a Ray that does not start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.train import WorkerGroupError

from dualgnn_dist.base.errors import Failed, UserError
from dualgnn_dist.base.liveness.heartbeat import Pulse, Silence
from dualgnn_dist.launch import failures, ray_deaths, ray_start, ray_watch
from dualgnn_dist.launch.ray_deaths import Member, hang_of, sentence
from dualgnn_dist.launch.ray_waiting import waiting_line
from dualgnn_dist.launch.ray_watch import user_error

GLOO = "gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:5259: Connection reset by peer."


def members(*processes: int) -> dict[int, Member]:
    pulse = Pulse(3, "training", 2, 17)
    return {rank: Member(rank, process, "n", "10.0.0.1", False, pulse) for rank, process in enumerate(processes)}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("The actor died unexpectedly. Worker exit detail: connection error code 2. End of file.", "such as SIGKILL"),
        ("The actor died. Worker exits with an exit code 3.", "exit code 3"),
        ("The actor died because its node has died.", "its node is gone"),
        ("The actor died. killed due to the node running low on memory.", "for want of memory"),
        ("The actor abc is unavailable: RpcError: Connection reset by peer", "cannot be reached"),
    ],
)
def test_who_died_and_how_without_those_who_only_noticed(text: str, cause: str) -> None:
    said = sentence(members(7, 8), {0: (RuntimeError(GLOO), GLOO), 1: (RuntimeError("health"), text)})
    assert said.startswith("worker 1 (process 8 of 10.0.0.1) died (last seen at: training, epoch 3, step 17): ")
    assert cause in said and "worker 0" not in said and "\n" not in said


def test_an_error_of_python_is_named_with_its_first_line() -> None:
    error = RuntimeError("sizes \x1b[31mdiffer\nand more")
    said = sentence(members(7), {0: (error, "Traceback ...")})
    assert said.endswith("failed (last seen at: training, epoch 3, step 17) with RuntimeError: sizes \\x1b[31mdiffer")


def test_a_hang_says_where() -> None:
    silence = Silence()
    silence.last, silence.seconds = Pulse(3, "training", 2, 17), 312.0
    hang = hang_of(silence, False)
    assert str(hang) == "has not moved on for 5:12 and answers nothing: it stands at training, epoch 3, step 17"
    assert sentence(members(7), {0: (hang, "")}) == f"worker 0 (process 7 of 10.0.0.1) {hang}"


def test_the_log_of_a_worker_names_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(0, 7, "n", "10.0.0.1", True)
    died = {0: (RuntimeError(), "The actor died unexpectedly.")}
    for log, cause in (
        ("*** SIGSEGV received at time=1 ***", "SIGSEGV"),
        ("Fatal Python error: Bus error\n", "Bus error"),
    ):
        monkeypatch.setattr(ray_deaths, "log_of", lambda process, log=log: log)
        assert sentence({0: member}, died).endswith(f"died: {cause}")
    monkeypatch.setattr(ray_deaths, "log_of", lambda process: "")
    monkeypatch.setattr(ray_deaths, "kills_for_memory", lambda: member.kills_before + 1)
    assert sentence({0: member}, died).endswith("the system killed it for want of memory")


def test_what_is_waited_for_and_why_it_is_not_there() -> None:
    needs = {"CPU": 4.0, "GPU": 0.0}
    small = waiting_line("4 workers", needs, {"CPU": 2.0}, {"CPU": 2.0}, 2)
    assert small.startswith("waiting for 4 workers (4 CPUs); free are 2 of 2 CPUs on 2 nodes: the cluster is too small")
    assert waiting_line("4 workers", needs, {}, {"CPU": 8.0}, 2).endswith("0 of 8 CPUs on 2 nodes: others use it")
    assert waiting_line("1 worker", {"CPU": 1.0}, {"CPU": 8.0}, {"CPU": 8.0}, 1).endswith("they are being started")


def test_stories_are_numbered_and_their_first_line_is_the_sentence(tmp_path: Path) -> None:
    for number in (1, 2):
        said = failures.write(tmp_path, f"failure {number}", "Traceback \x1b[2J")
        file = tmp_path / "failures" / f"000{number}.txt"
        assert said == f"failure {number}; the whole story: {file}"
        assert failures.sentence_of(file) == f"failure {number}" and "\x1b" not in file.read_text()


def test_a_story_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "failures").write_text("in the way")
    assert failures.write(tmp_path, "it failed", "a story").endswith("so here is the whole story:\na story")


def test_a_refusal_is_found_below_what_ray_wraps_it_in() -> None:
    outer = RuntimeError("group")
    outer.worker_failures = {1: RuntimeError("x")}  # type: ignore[attr-defined]
    outer.worker_failures[1].__cause__ = UserError("the store is gone")  # type: ignore[attr-defined]
    assert str(user_error(outer)) == "the store is gone"
    assert user_error(RuntimeError()) is None


# A Ray that does not start


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What is said where nothing of Ray may have been started."""
    monkeypatch.setattr(ray_start.ray, "init", lambda **options: pytest.fail("Ray was started"))
    monkeypatch.setattr(ray_start, "SECONDS_TO_ANSWER", 0.1)
    for name in ("RAY_ADDRESS", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error, ray_start.connected():
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_address_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        said = refused(monkeypatch, RAY_ADDRESS=f"127.0.0.1:{port}")
    assert said.startswith(f"no Ray cluster answers at RAY_ADDRESS=127.0.0.1:{port} (Connection refused)")
    assert "is no address; write HOST:PORT" in refused(monkeypatch, RAY_ADDRESS="garbage")
    assert "no Ray cluster answers" in refused(monkeypatch, RAY_ADDRESS="127.0.0.1:99999")


def test_a_folder_for_temporary_files_that_is_too_long_or_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("a" * 100)
    assert f"{long} has {len(str(long))} letters" in refused(monkeypatch, TMPDIR=str(long))
    assert "Ray cannot write its temporary files to /proc/x" in refused(monkeypatch, RAY_TMPDIR="/proc/x")
    monkeypatch.setattr(ray_start.shutil, "disk_usage", lambda folder: _Usage(1 << 20))
    assert "has 1 MB free and Ray needs 64" in refused(monkeypatch, RAY_TMPDIR="/tmp")


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.9\n Python: 3.9"),
            UserError,
            "(Ray: 2.9 Python: 3.9)",
        ),
        (OSError(28, "No space left on device"), Failed, "Ray did not start (OSError: its disk is full)"),
        (RuntimeError("The current node timed out\nduring startup"), Failed, "node timed out during startup)"),
    ],
)
def test_what_ray_says_when_it_does_not_start_is_one_sentence(
    error: Exception, kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def init(**options: object) -> None:
        os.write(2, b"twenty lines of C++\n")
        raise error

    monkeypatch.setattr(ray_start.ray, "init", init)
    monkeypatch.setattr(ray_start, "cache_root", lambda: tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    with pytest.raises(kind) as said, ray_start.connected():
        pass
    assert words in str(said.value) and "\n" not in str(said.value)
    if kind is Failed:
        story = (tmp_path / "failures" / "0001.txt").read_text()
        assert "Traceback" in story and "twenty lines of C++" in story


# A run in this process


HANGS = """
import sys, threading
from pathlib import Path
from types import SimpleNamespace
from numba import njit
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.launch import in_process

@njit("int64(int64)", nogil=True)
def endless(x):
    while x > 0:
        x += 1 if x < 1000 else -1
    return x

heartbeat.stepped(2, 17)
config = SimpleNamespace(resources=SimpleNamespace(hang_timeout=1.0), run=SimpleNamespace(folder=Path(sys.argv[1])))
with in_process._watched(config):
    endless(1)
"""


def test_a_kernel_that_never_ends_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    command = [sys.executable, tmp_path / "hangs.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    assert done.stderr.startswith("error: no sign of life for 1 s (training, epoch 3, step 17): the run hangs")
    assert done.stderr.count("\n") == 1
    assert "endless(1)" in (tmp_path / "failures" / "0001.txt").read_text()


def test_who_stands_at_a_breakpoint_does_not_hang() -> None:
    from dualgnn_dist.launch.in_process import is_debugged

    assert not is_debugged()
    source = "def at_breakpoint(look):\n    return look()\n"
    names: dict[str, object] = {}
    exec(compile(source, "/usr/lib/python3.11/pdb.py", "exec"), names)
    assert names["at_breakpoint"](is_debugged)  # type: ignore[operator]


def test_only_what_this_process_started_is_killed() -> None:
    from dualgnn_dist.base.liveness.signals import descendants

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        assert {child.pid, other.pid} <= set(descendants(os.getpid())) and os.getppid() not in descendants(os.getpid())
        assert descendants(child.pid) == []
    finally:
        for process in (child, other):
            process.send_signal(signal.SIGKILL)
            process.wait()


def watch_of(*pulses: Pulse, seconds: float) -> Any:
    """A watch that has seen these workers not move for so long."""
    watch = ray_watch.Watch(SimpleNamespace(resources=SimpleNamespace(hang_timeout=10.0)), Path("nowhere"))  # type: ignore[arg-type]
    for rank, pulse in enumerate(pulses):
        watch._silences[rank] = Silence()
        watch._silences[rank].last = pulse
        watch._silences[rank].seconds = seconds if pulse.beats == 0 else 0.0
        watch._members[rank] = Member(rank, 0, "n", "10.0.0.1", True)
    return watch


BUSY, WAITING, MOVING = (
    Pulse(0, "training", is_slow=False),
    Pulse(0, "training", is_waiting=True, is_slow=False),
    Pulse(9, "training", is_slow=False),
)


@pytest.mark.parametrize(
    ("pulses", "blamed"),
    [
        ((BUSY, WAITING), {0}),
        ((WAITING, BUSY), {1}),
        ((WAITING, WAITING), {0, 1}),
        ((WAITING, MOVING), None),
        ((MOVING, BUSY), {1}),
    ],
)
def test_who_waits_for_another_one_is_not_to_blame(
    pulses: tuple[Pulse, ...], blamed: set[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(*pulses, seconds=11.0)
    monkeypatch.setattr(ray_watch, "_kill", lambda member: None)
    monkeypatch.setattr(watch, "_answers", lambda ranks, question: dict.fromkeys(ranks, "a stack"))
    if blamed is None:
        watch._end_hanging({0, 1})
        return
    with pytest.raises(WorkerGroupError) as error:
        watch._end_hanging({0, 1})
    assert set(error.value.worker_failures) == blamed
