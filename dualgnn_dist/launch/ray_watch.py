"""Watches a group of workers from Ray Train's controller: who hangs, who died, what the run does about it.

The controller runs on the node of who started the run, so the run's folder is the same for both. Ray Train asks every
worker for its state every two seconds; a pulse travels the same way, from the thread that answers beside the one that
trains.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.liveness.heartbeat import Silence
from dualgnn_dist.base.screen import duration, say
from dualgnn_dist.launch import failures, ray_deaths
from dualgnn_dist.launch.ray_deaths import Member
from dualgnn_dist.launch.ray_waiting import SECONDS_BETWEEN, Waiting
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.run import Run

Errors = dict[int, tuple[Exception, str]]
_SECONDS_TO_LOOK, _SECONDS_TO_ANSWER = 1.0, 5.0
_START_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"  # after which Ray gives up waiting for resources


class Watch(WorkerGroupCallback, ControllerCallback):
    """Made where the run starts, copied into the controller; Ray calls its hooks there.

    Args:
        at_work: a file that is there while workers are at work.
    """

    def __init__(self, config: RunConfig, at_work: Path) -> None:
        self._config, self._at_work = config, at_work
        self._timeout, self._seconds_between = config.resources.hang_timeout, SECONDS_BETWEEN
        self._num_failures = self._num_failed_starts = self._num_workers = 0
        self._forget()

    def _forget(self) -> None:
        self._workers: list[Any] = []
        self._members: dict[int, Member] = {}
        self._silences: dict[int, Silence] = {}
        self._asked: dict[int, Any] = {}
        self._errors: Errors = {}
        self._stacks: dict[int, str] = {}

    # Waiting for workers

    def after_controller_start(self, train_run_context: Any) -> None:
        """Nobody works yet."""
        self._waiting, self._starting = Waiting(self._seconds_between), threading.Timer(0, print)
        self._wait_for(self._config.resources.fewest)

    def before_worker_group_start(self, worker_group_context: Any) -> None:
        """Ray Train has decided on a number, and asks for their resources."""
        self._wait_for(worker_group_context.num_workers)
        self._starting.cancel()
        if self._timeout is not None:
            patience = float(os.environ.get(_START_TIMEOUT, 60)) + heartbeat.SLOW * self._timeout
            self._starting = threading.Timer(patience, self._end_start, [patience])
            self._starting.daemon = True
            self._starting.start()

    def _end_start(self, patience: float) -> None:
        """The controller itself waits for a worker that never comes to its work, so no hook is called any more."""
        known = ", ".join(member.described for member in self._members.values()) or "none of them is known"
        kept = "--resume goes on from the last checkpoint, if it has one"
        sentence = f"the workers did not start within {duration(patience)} ({known}) and the run ends; {kept}"
        failures.write(self._config.run.folder, sentence, heartbeat.stacks())
        os._exit(1)

    def _wait_for(self, number: int) -> None:
        resources = self._config.resources
        needs = {"CPU": float(number * resources.cpus_per_worker), "GPU": float(number * int(resources.use_gpu))}
        self._waiting.begin("1 worker" if number == 1 else f"{number} workers", needs)

    def after_worker_group_start(self, worker_group: Any) -> None:
        """All processes are there."""
        here = ray.get_runtime_context().get_node_id()
        self._forget()
        self._workers = list(worker_group.get_workers())
        for worker in self._workers:
            rank, its = worker.distributed_context.world_rank, worker.metadata
            self._members[rank] = Member(rank, its.pid, its.node_id, its.node_ip, its.node_id == here)
            self._silences[rank] = Silence()

    def after_worker_group_training_start(self, worker_group: Any) -> None:
        """All workers are at work."""
        self._starting.cancel()
        self._waiting.end()
        self._num_failed_starts = 0
        with contextlib.suppress(OSError):
            self._at_work.touch()
        if self._num_workers not in (0, len(self._workers)):
            say(f"workers at work: {len(self._workers)}, before: {self._num_workers}")
        self._num_workers = len(self._workers)

    def before_worker_group_shutdown(self, worker_group: Any) -> None:
        """The group ends, or makes room for another."""
        self._at_work.unlink(missing_ok=True)

    def after_worker_group_shutdown(self, worker_group_context: Any) -> None:
        """Nobody works."""
        self._starting.cancel()
        self._wait_for(self._config.resources.fewest)

    def after_controller_finish(self, result: Any) -> None:
        """Nobody will."""
        self._waiting.end()

    def before_controller_execute_resize_decision(self, resize_decision: Any) -> None:
        """The cluster has grown or shrunk while all went well."""
        if self._at_work.exists() and resize_decision.num_workers != self._num_workers:
            say(f"the cluster has room for {resize_decision.num_workers} workers now: {self._goes_on}")

    # Watching them

    def after_worker_group_poll_status(self, worker_group_status: Any) -> None:
        """Looks at every worker.

        Raises:
            WorkerGroupError: one hangs. Ray Train takes it as a failure of the group.
            ControllerError: one refused its input, which trying again would not change.
        """
        statuses = worker_group_status.worker_statuses
        self._look({rank for rank, status in statuses.items() if status.running})
        errors = {rank: (error, str(statuses[rank].error)) for rank, error in worker_group_status.errors.items()}
        if errors and all(ray_deaths.is_collateral(*error) for error in errors.values()):
            errors |= self._who_is_gone(set(errors))
        self._errors = errors
        for error, _ in errors.values():
            if refusal := user_error(error):
                raise ControllerError(refusal)
        if not errors:
            self._end_hanging({rank for rank, status in statuses.items() if status.running})

    def _look(self, ranks: set[int]) -> None:
        for worker in self._workers:
            rank = worker.distributed_context.world_rank
            if rank in ranks and rank not in self._asked:
                self._asked[rank] = worker.execute_async(heartbeat.pulse)
        asked = {task: rank for rank, task in self._asked.items() if rank in ranks}
        answered = ray.wait([*asked], num_returns=len(asked), timeout=_SECONDS_TO_LOOK)[0] if asked else []
        pulses = {}
        for task in answered:
            del self._asked[asked[task]]
            with contextlib.suppress(Exception):  # it is gone: the next status says so
                pulses[asked[task]] = ray.get(task)
        for rank in ranks:
            self._silences[rank].look(pulses.get(rank))
            self._members[rank].pulse = self._silences[rank].last

    def _end_hanging(self, ranks: set[int]) -> None:
        if self._timeout is None:
            return
        silent = {rank for rank in ranks if self._silences[rank].is_too_long(self._timeout)}
        if not silent or (all(self._is_waiting(rank) for rank in silent) and silent != ranks):
            return  # who waits for one that moves on does not hang, however long that takes
        stuck = {rank for rank in ranks if self._silences[rank].seconds >= self._timeout / 2}
        self._stacks = self._answers(stuck, heartbeat.stacks)
        deaf = stuck - set(self._stacks)
        to_blame = deaf or {rank for rank in stuck if not self._is_waiting(rank)} or stuck
        hangs = {rank: ray_deaths.hang_of(self._silences[rank], rank not in deaf) for rank in to_blame}
        self._errors = {rank: (hang, str(hang)) for rank, hang in hangs.items()}
        for rank in stuck:
            _kill(self._members[rank])  # Ray would ask it to end, and leave a stopped process where it is
        raise WorkerGroupError("; ".join(map(str, hangs.values())), hangs)

    def _is_waiting(self, rank: int) -> bool:
        silence = self._silences[rank]
        return silence.is_answering and silence.last is not None and silence.last.is_waiting

    def _who_is_gone(self, known: set[int]) -> Errors:
        """A worker whose connection breaks is heard before the one that died."""
        others = set(self._members) - known
        gone = others - set(self._answers(others, os.getpid))
        return {rank: (ConnectionError(), "the actor died") for rank in gone}

    def _answers(self, ranks: set[int], question: Any) -> dict[int, Any]:
        tasks = {
            worker.execute_async(question): worker.distributed_context.world_rank
            for worker in self._workers
            if worker.distributed_context.world_rank in ranks
        }
        if not tasks:
            return {}
        answered, _ = ray.wait([*tasks], num_returns=len(tasks), timeout=_SECONDS_TO_ANSWER)
        answers = {}
        for task in answered:
            with contextlib.suppress(Exception):
                answers[tasks[task]] = ray.get(task)
        return answers

    # Saying what became of them

    def after_controller_state_update(self, previous_state: Any, current_state: Any) -> None:
        """After a failure Ray Train restarts the group, or ends the run; who started it says the last sentence."""
        state = type(current_state).__name__
        if state == "RestartingState":
            self._num_failures += 1
            say(self._written(current_state.training_failed_error, f"{self._goes_on}{self._failures_left}"))
        elif state == "ReschedulingState" and "startup timed out" not in str(current_state.training_failed_error):
            self._start_failed(current_state.training_failed_error)
        elif state == "ShuttingDownState":
            error = getattr(current_state.next_state, "training_failed_error", None)
            if error is not None and user_error(error) is None:
                self._written(error, self._ends)

    def _start_failed(self, error: Any) -> None:
        """Ray Train itself would try for ever."""
        self._num_failed_starts += 1
        most = self._config.resources.max_failures
        if 0 <= most < self._num_failed_starts:
            raise RuntimeError(self._written(error, self._ends))
        say(self._written(error, "trying again to start the workers"))

    def _written(self, error: Any, then: str) -> str:
        if self._errors:
            what = ray_deaths.sentence(self._members, self._errors)
        else:
            what = f"the workers could not be started: {ray_deaths.of_a_start(str(error))}"
        story = ray_deaths.story([*self._members.values()], self._errors, self._stacks)
        return failures.write(self._config.run.folder, f"{what}; {then}", f"{story}\n=== Ray Train\n{error}")

    @property
    def _goes_on(self) -> str:
        newest = Run(self._config.run).newest()
        return "the run goes on from " + ("its start, it has no checkpoint yet" if newest is None else f"{newest}")

    @property
    def _failures_left(self) -> str:
        most = self._config.resources.max_failures
        return "" if most < 0 else f" ({most - self._num_failures} of {most} failures left)"

    @property
    def _ends(self) -> str:
        newest = Run(self._config.run).newest()
        kept = "it has no checkpoint" if newest is None else f"--resume goes on from {newest}"
        most = self._config.resources.max_failures
        used_up = f"resources.max_failures={most} are used up and " if self._num_failures >= most >= 0 else ""
        return f"{used_up}the run ends; {kept}"


def first(error: Any) -> str:
    """The last line of an error, which says what it was."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it came from, as Ray wraps them."""
    to_visit: list[BaseException | None] = [error]
    seen: set[int] = set()
    while to_visit:
        at = to_visit.pop(0)
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        failures = getattr(at, "worker_failures", {})
        to_visit += [*failures.values(), *(getattr(at, name, None) for name in ("controller_failure", "cause"))]
        to_visit.append(at.__cause__)


def user_error(error: BaseException) -> UserError | None:
    """The first `UserError` among the causes."""
    return next((at for at in causes(error) if isinstance(at, UserError)), None)


def _kill(member: Member) -> None:
    if member.is_here:
        _kill_here(member.process)
        return
    where = NodeAffinitySchedulingStrategy(member.node, soft=False)
    task = ray.remote(num_cpus=0)(_kill_here).options(scheduling_strategy=where).remote(member.process)
    ray.wait([task], timeout=_SECONDS_TO_ANSWER)  # a node that does not answer is for Ray to give up


def _kill_here(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
