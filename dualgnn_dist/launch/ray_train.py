"""Workers under Ray Train: a `TorchTrainer` whose workers each run one function."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.torch
from ray.train import UserCallback
from ray.train.torch import TorchConfig, TorchTrainer

from dualgnn_dist.base import screen
from dualgnn_dist.base.errors import Failed, Stopped, UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.liveness.heartbeat import SLOW
from dualgnn_dist.base.process import HUGE_PAGES
from dualgnn_dist.base.storage.remote import RemoteFolder, is_url, join
from dualgnn_dist.base.world import World
from dualgnn_dist.launch import failures
from dualgnn_dist.launch.ray_metrics import RayMetrics
from dualgnn_dist.launch.ray_start import connected
from dualgnn_dist.launch.ray_watch import Watch, first, user_error
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.stop import on_signals
from dualgnn_dist.training.trainer import Diverged

WorkerFunction = Callable[[RunConfig, Host, Any], Any]
SECONDS_BETWEEN_RESIZES = 60.0  # looks for room for more workers, which costs what came after the last checkpoint
_HEALTH_CHECK = "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"  # read where a run starts, handed to its controller


def run_on_workers(config: RunConfig, function: WorkerFunction, argument: Any, stops: Path | None) -> Any:
    """See `workers.run_on_workers`.

    Connects to the cluster of `RAY_ADDRESS` (as `ray job submit` sets it), or starts a local one with its dashboard on
    the loopback address: the dashboard stays on because Ray Train's controller asks the State API behind it.
    """
    at_work = config.run.folder / "ray" / "at_work"
    with connected(folder=config.run.folder):
        check_resources(config)
        # Once connected: `ray.init` takes SIGTERM, which `ray job stop` sends, for itself.
        with nullcontext() if stops is None else on_signals(stops, has_begun=at_work.exists):
            return fit(config, function, argument)


def fit(config: RunConfig, function: WorkerFunction, argument: Any, callbacks: Sequence[UserCallback] = ()) -> Any:
    """`run_on_workers` where Ray runs already, as in a trial of a sweep."""
    resources = config.resources
    per_worker = {"CPU": float(resources.cpus_per_worker), **({"GPU": 1.0} if resources.use_gpu else {})}
    at_work = config.run.folder / "ray" / "at_work"
    at_work.parent.mkdir(parents=True, exist_ok=True)
    at_work.unlink(missing_ok=True)  # of a start that was killed
    os.environ[_HEALTH_CHECK] = str(_longest(config) + 60)
    written_before = failures.stories(config.run.folder)
    trainer = _Trainer(
        _worker,
        train_loop_config={"config": config, "function": function, "argument": argument},
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.num_workers,
            use_gpu=resources.use_gpu,
            resources_per_worker=per_worker,
            elastic_resize_monitor_interval_s=SECONDS_BETWEEN_RESIZES,
        ),
        torch_config=TorchConfig(backend="nccl" if resources.use_gpu else "gloo", timeout_s=_longest(config)),
        run_config=ray.train.RunConfig(
            **_storage(config),
            callbacks=[*callbacks, Watch(config, at_work)],
            failure_config=ray.train.FailureConfig(max_failures=resources.max_failures),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),  # our own lines say what happens
            # Ray makes a tensor on a worker before our first line runs there.
            worker_runtime_env={"env_vars": {HUGE_PAGES: os.environ.get(HUGE_PAGES, "1")}},
        ),
    )
    try:
        returned = trainer.fit().return_value
        if isinstance(returned, (Diverged, Stopped)):
            raise returned
        return returned
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise _explained(error, config, written_before) from error
    finally:
        at_work.unlink(missing_ok=True)


def _longest(config: RunConfig) -> int:
    """Seconds in which a worker must answer even in what is slow. Only then collectives and Ray itself give up.

    By then the watch has spoken: it knows which worker hangs, where a collective knows that one does. With NCCL, which
    could not be run, torch ends a process whose collective is late (TORCH_NCCL_ASYNC_ERROR_HANDLING is on by default).
    """
    timeout = config.resources.hang_timeout
    return int(SLOW * timeout) + 30 if timeout is not None else 365 * 86_400


class _Trainer(TorchTrainer):
    """Leaves Ctrl-C to `stop.on_signals`: Ray's own handler would end the workers without a checkpoint."""

    # A private name of Ray, which is why pyproject.toml caps it.
    def _register_sigint_handler(self, controller: Any) -> None:
        pass


def _storage(config: RunConfig) -> dict[str, Any]:
    """Where Ray keeps its record of this start: beside the run, on the run's node or at its URL."""
    if is_url(config.run.output):
        remote = RemoteFolder.at(join(config.run.output, config.run.name, "ray"))
        starts = {name.split("/")[0] for name in remote.sizes()}
        place = {"storage_path": remote.path, "storage_filesystem": remote.filesystem}
    else:
        folder = config.run.folder.absolute() / "ray"
        starts = {path.name for path in folder.glob("start-*")}
        place = {"storage_path": str(folder)}
    # Ray continues a run whose name it finds. Each start is a run of its own here: what is resumed is our checkpoint.
    return {"name": f"start-{len(starts):03d}", **place}


def _worker(arguments: dict[str, Any]) -> Any:
    """What Ray Train runs on every worker; returns what would only end the same if Ray tried again."""
    logging.getLogger().setLevel(logging.WARNING)  # Ray Train logs every report, with all its metrics, on every rank
    screen.join_asides()  # the driver keeps what comes from standard error for the story of a failure
    heartbeat.start()
    context = ray.train.get_context()
    config: RunConfig = arguments["config"]
    world = World(
        rank=context.get_world_rank(),
        size=context.get_world_size(),
        device=ray.train.torch.get_device(),
        num_threads=config.resources.cpus_per_worker,
    )
    metrics = RayMetrics(config.run.name, config.model.name, world.rank)
    host = Host(world, report_checkpoint, ray.train.torch.prepare_model, [metrics])
    try:
        return arguments["function"](config, host, arguments["argument"])
    except (Diverged, Stopped) as error:
        return error


def report_checkpoint(metrics: Mapping[str, Any], folder: Path) -> None:
    """Tells Ray of a checkpoint, from every rank: it is a barrier.

    What Ray keeps is a pointer: the state itself lies in the run's folder already, where every worker sees it, and is
    not copied.
    """
    if ray.train.get_context().get_world_rank() > 0:
        with heartbeat.waiting():
            ray.train.report(dict(metrics))
        return
    with tempfile.TemporaryDirectory() as pointer:
        (Path(pointer) / "checkpoint.json").write_text(json.dumps({"folder": str(folder)}))
        with heartbeat.waiting():
            ray.train.report(dict(metrics), checkpoint=ray.train.Checkpoint.from_directory(pointer))


def check_resources(config: RunConfig) -> None:
    """Refuses what one machine can never give: Ray would wait for it without end. A cluster may still grow."""
    if len(ray.nodes()) > 1:
        return
    resources = config.resources
    least = resources.fewest
    for kind, number in {"CPU": least * resources.cpus_per_worker, "GPU": least * int(resources.use_gpu)}.items():
        there = ray.cluster_resources().get(kind, 0)
        if number > there:
            raise UserError(
                f"{least} workers need {number} {kind}s and this machine has {there:g}; lower resources.num_workers or "
                "resources.cpus_per_worker, or connect to a cluster with RAY_ADDRESS"
            )


def _explained(error: Exception, config: RunConfig, written_before: set[Path]) -> Exception:
    """The sentence of a failure, which the controller has written with its story; a refusal of a worker as it is."""
    if refusal := user_error(error):
        return UserError(str(refusal))
    folder = config.run.folder
    if stories := sorted(failures.stories(folder) - written_before):
        return Failed(f"{failures.sentence_of(stories[-1])}; the whole story: {stories[-1]}")
    story = "".join(traceback.format_exception(error))
    return Failed(failures.write(folder, f"the workers failed: {first(error)}", story))
