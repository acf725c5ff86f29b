"""The sections of a run that belong to no single part, and `RunConfig`: all sections together.

Every other part's settings are a frozen dataclass beside the part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dualgnn_dist.base.config import Decides, decides, flat, plain, setting
from dualgnn_dist.base.storage.files import home, working_folder
from dualgnn_dist.base.storage.names import check_name
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.data.config import DataConfig
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.embeddings.config import AdamConfig, TablesConfig
from dualgnn_dist.evaluation.config import EvaluationConfig
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.training.listeners.trackers import TrackerName


@dataclass(frozen=True, kw_only=True)
class ModelSection:
    """Which model, and its own settings (the `Config` of its class)."""

    name: str
    settings: Any


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A complete run. Every section but `prepare` is complete too: nothing is decided later."""

    data: DataConfig
    model: ModelSection
    sampler: SamplerConfig
    tables: TablesConfig
    optimizer: AdamConfig
    train: TrainConfig
    evaluation: EvaluationConfig
    resources: ResourcesConfig
    checkpoint: CheckpointConfig
    run: RunSection
    prepare: PrepareConfig | None = None

    def with_absolute_paths(self) -> RunConfig:
        """The same run with paths that hold on workers, whose working directories are their own."""
        cache = None if self.data.cache is None else str(Path(self.data.cache).expanduser().absolute())
        data = dataclasses.replace(self.data, store=_absolute(self.data.store), cache=cache)
        run = dataclasses.replace(self.run, output=_absolute(self.run.output))
        return dataclasses.replace(self, data=data, run=run)

    def to_yaml(self) -> str:
        """The YAML that loads as this config."""
        values = plain(self)
        values["model"] = {"name": self.model.name, **plain(self.model.settings)}
        return yaml.safe_dump(values, sort_keys=False)


NUMBERS: tuple[Decides, ...] = ("numbers", "measure")
"""What a run's outcome depends on, however long it trains."""


def decision(section: str, key: str) -> Decides:
    """What `section.key` of a run's config decides. All settings of a model decide numbers."""
    cls = SECTIONS.get(section)
    return "numbers" if cls is None else decides(cls).get(key, "numbers")


def decided(config: RunConfig, *by: Decides) -> dict[str, Any]:
    """The settings of a run that decide one of `by`, as `section.key` -> plain value.

    Those of `prepare` are left out: the store's fingerprint stands for them. A setting of several values, such as
    `data.drop_modality`, has a key for each.
    """
    values = yaml.safe_load(config.to_yaml())
    chosen = {
        f"{section}.{key}": value
        for section, settings in values.items()
        if section != "prepare"
        for key, value in settings.items()
        if decision(section, key) in by
    }
    return flat(chosen)


def _absolute(path: str) -> str:
    """A path that holds in any working directory; URLs do."""
    return path if is_url(path) else str(home() / path)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long to train, and on what to stop.

    Args:
        epochs: at the most.
        eval_every: epochs between validation rankings.
        patience: validation rankings without a better `metric` after which training stops; null never stops early.
        metric: on the validation split, e.g. `recall@20`: higher is better.
        precision: of the dense weights' forward pass; `bfloat16` is autocast.
    """

    epochs: int = setting(100, decides="length")
    eval_every: int = setting(5, decides="length")
    patience: int | None = setting(4, decides="length")
    metric: str = setting("recall@20", decides="measure")
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if min(self.epochs, self.eval_every) < 1 or (self.patience is not None and self.patience < 1):
            raise ValueError("epochs, eval_every and patience must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    """Workers and what each of them gets.

    Args:
        num_workers: Ray Train workers; [least, most] is elastic; 0 trains in this process without Ray.
        use_gpu: one GPU a worker.
        cpus_per_worker: CPUs that Ray sets aside, and threads of a worker's own kernels.
        max_failures: worker failures after which the run goes on from the last checkpoint; -1 without limit.
        hang_timeout: seconds in which a worker must finish a step, and six times that for what is slow: kernels being
            compiled, a store being opened, the first batch, a ranking, a checkpoint. One that does not has failed;
            null waits for ever.
    """

    num_workers: int | tuple[int, int] = setting(2, decides="speed")
    use_gpu: bool = setting(False, decides="speed")
    cpus_per_worker: int = setting(1, decides="speed")
    max_failures: int = setting(2, decides="speed")
    hang_timeout: float | None = setting(300.0, decides="speed")

    def __post_init__(self) -> None:
        workers = (self.num_workers,) if isinstance(self.num_workers, int) else self.num_workers
        if min(workers) < (0 if len(workers) == 1 else 1) or list(workers) != sorted(workers):
            raise ValueError("num_workers must be 0 or more, or [least, most] with 1 <= least <= most")
        if self.cpus_per_worker < 1:
            raise ValueError("cpus_per_worker must be at least 1")
        if self.hang_timeout is not None and not 1 <= self.hang_timeout <= 1e6:
            raise ValueError("hang_timeout must be 1 to 1000000 seconds, or null")

    @property
    def fewest(self) -> int:
        """Workers with which a run begins."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[0]

    @property
    def most(self) -> int:
        """Workers at the most."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[1]

    @property
    def described(self) -> str:
        """Such as `this process`, `1 worker`, `2 to 8 workers`."""
        if self.most == 0:
            return "this process"
        if self.fewest < self.most:
            return f"{self.fewest} to {self.most} workers"
        return "1 worker" if self.most == 1 else f"{self.most} workers"


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What survives a crash, beside the best state, which is always kept.

    Args:
        every_steps: also saves within an epoch, after so many steps; null leaves that to `every_minutes`.
        every_minutes: also saves when that long ago, less often where saving would take over 3 % of the time; null
            saves at each validation only.
    """

    every_steps: int | None = setting(None, decides="speed")
    every_minutes: float | None = setting(10.0, decides="speed")

    def __post_init__(self) -> None:
        if self.every_minutes is not None and self.every_minutes <= 0:
            raise ValueError("every_minutes must be above 0, or null")
        if self.every_steps is not None and self.every_steps < 1:
            raise ValueError("every_steps must be at least 1, or null")


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """The run's name, its place and its seed.

    Args:
        name: a new folder under `output`; left out, the config's file name, the model and the seed make it.
        output: a folder that every node sees, or a URL: then each node works in its cache, and what is
            written is kept at the URL too.
        seed: of first values, order, negatives and neighbours.
        trackers: where the run is written down beside its folder and TensorBoard: `mlflow`, `wandb`.
    """

    name: str = setting(decides="place")
    output: str = setting("runs", decides="place")
    seed: int = 1
    trackers: tuple[TrackerName, ...] = setting((), decides="place")

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.seed < 0:
            raise ValueError("seed must not be negative")
        if self.seed >= 1 << 63:
            raise ValueError(f"seed={self.seed} must be below 2^63")

    @property
    def folder(self) -> Path:
        """Where everything of the run goes; on this node, if it is kept at a URL."""
        return working_folder(self.output, self.name) if is_url(self.output) else Path(self.output) / self.name


SECTIONS: dict[str, type[Any]] = {
    "data": DataConfig,
    "sampler": SamplerConfig,
    "tables": TablesConfig,
    "optimizer": AdamConfig,
    "train": TrainConfig,
    "evaluation": EvaluationConfig,
    "resources": ResourcesConfig,
    "checkpoint": CheckpointConfig,
    "run": RunSection,
    "prepare": PrepareConfig,
}
"""Every section but `model`, whose settings are those of the model that it names."""
