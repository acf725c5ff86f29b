"""Workers that hang, die and refuse, and signals to a run that hears nothing: said in a sentence, ended in seconds."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.faults

# What a worker does here takes the place of a training; the rest is a run's own.
SCENARIOS = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path

from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.launch import workers
from dualgnn_dist.launch.ray_start import connected
from dualgnn_dist.training.load import load


def is_first(marker):
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def loops_once(config, host, marker):
    import numba

    @numba.njit("int64(int64)", nogil=True)
    def endless(x):
        while x > 0:
            x += 1 if x < 1000 else -1
        return x

    heartbeat.stepped(2, 17)
    if host.world.rank == 1 and is_first(marker):
        endless(1)
    host.world.barrier()
    return "done"


def stops_once(config, host, marker):
    heartbeat.stepped(4, 5)
    time.sleep(5)  # so that it is seen there
    if host.world.rank == 0 and is_first(marker):
        os.kill(os.getpid(), signal.SIGSTOP)
    host.world.barrier()
    return "done"


def refuses(config, host, argument):
    if host.world.rank == 1:
        raise UserError("the store of this node is damaged")
    host.world.barrier()


def crashes(config, host, argument):
    time.sleep(3)
    if host.world.rank == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    host.world.barrier()


def main():
    config, folder = load(sys.argv[1]), Path(sys.argv[2])
    config.run.folder.mkdir(parents=True)
    with connected(folder=config.run.folder):
        for function in (loops_once, stops_once):
            began = time.monotonic()
            returned = workers.run_on_workers(config, function, str(folder / function.__name__))
            print(function.__name__, returned, round(time.monotonic() - began), flush=True)
        try:
            workers.run_on_workers(config, refuses)
        except UserError as error:
            print("refused:", error, flush=True)
        workers.run_on_workers(config, crashes)


if __name__ == "__main__":
    run_program(main)
"""


def test_workers_that_hang_die_and_refuse(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "scenarios.py").write_text(SCENARIOS)
    resources = {"num_workers": 2, "hang_timeout": 6, "max_failures": 1}
    config = write_config({f"resources.{name}": value for name, value in resources.items()})
    program = start("scenarios", [config, tmp_path], tmp_path)
    assert program.wait() == 1, program.output
    assert not program.leftovers(), "a stopped worker was left behind"
    stories = tmp_path / "runs" / "tiny" / "failures"
    said = "\n".join(program.lines)

    assert re.search(
        r"^worker 1 \(process \d+ of [\d.]+\) has not moved on for \d+ s.*: it stands at training, epoch 3, step 17; "
        rf"the run goes on from its start, .* \(0 of 1 failures left\); the whole story: {stories}/0001.txt$",
        said,
        re.M,
    ), program.output
    assert "endless" in (stories / "0001.txt").read_text(), "where the thread stands"
    assert re.search(
        r"^worker 0 \(process \d+ .* and answers nothing: it stands at training, epoch 5, step 5; ", said, re.M
    ), program.output
    for name in ("loops_once", "stops_once"):
        seconds = int(re.search(rf"^{name} done (\d+)$", said, re.M)[1])  # type: ignore[index]
        assert 6 <= seconds < 90
    assert "refused: the store of this node is damaged" in program.lines
    assert not any("refused: the store" in story.read_text() for story in stories.glob("*")), "tried again"

    assert len(program.complaints) == 1, program.output
    assert re.match(
        r"error: worker 1 \(process \d+ of .*\) died.*: SIGSEGV; resources.max_failures=1 are used up and the run "
        rf"ends; it has no checkpoint; the whole story: {stories}/\d+.txt$",
        program.complaints[0],
    )
    assert not any(line.startswith(("Traceback", "(raylet")) for line in program.lines), program.output


def test_a_second_signal_ends_a_run_with_a_stopped_worker(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    config = write_config({"resources.num_workers": 2, "train.epochs": 10_000, "sampler.batch_size": 128})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    line = program.wait_for(lambda: next((line for line in program.lines if "epoch 1/" in line), None), "an epoch")
    worker = psutil.Process(int(re.search(r"RayTrainWorker pid=(\d+)", line)[1]))  # type: ignore[index]
    assert worker.pid in {process.pid for process in program.descendants()}
    worker.suspend()
    program.process.send_signal(signal.SIGTERM)
    program.wait_for(lambda: any("asked to stop" in line for line in program.errors), "an answer", 5)
    time.sleep(3)
    assert program.process.poll() is None
    program.process.send_signal(signal.SIGINT)
    assert program.wait(5) == 130, program.output
    assert not program.leftovers(5)
