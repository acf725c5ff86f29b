"""The sections of a config that belong to no single part: data, tables, optimizer, length, metrics, workers, name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dualgnn_dist.base.files import working_folder
from dualgnn_dist.base.remote import is_url
from dualgnn_dist.data.hidden_content import DropModality
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.staging import stage
from dualgnn_dist.evaluation.metrics import NdcgConvention
from dualgnn_dist.training.trackers import TrackerName


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The store that is trained on.

    Args:
        store: its folder, or a URL such as `s3://bucket/stores/mine`, which every node copies to its disk once.
        modalities: those that the model may read, in this order; null takes all that the store has.
        drop_modality: content to hide, as an experiment; null hides nothing.
        cache: where such copies go; null takes `stores` in the node's cache, see `node_cache`.
        verify: reads every byte before the store is used; what is damaged of a copy is fetched again.
    """

    store: str
    modalities: tuple[str, ...] | None = None
    drop_modality: DropModality | None = None
    cache: str | None = None
    verify: bool = False

    def folder(self) -> Path:
        """The store's folder on this node; what lies behind a URL is copied here first, unless it has been.

        Raises:
            UserError: there is no store behind the URL, or it cannot be copied.
        """
        return stage(self.store, self.cache, self.verify) if is_url(self.store) else Path(self.store)

    def open(self) -> Store:
        """The store, with the content hidden that is to be hidden.

        Raises:
            UserError: there is no such store, it is damaged, or it has no such modality to hide.
        """
        store = Store.open(self.folder(), self.drop_modality)
        if self.verify and not is_url(self.store):
            store.verify()
        if self.drop_modality is not None:
            self.drop_modality.check(dict(store.manifest.modalities))
        return store


@dataclass(frozen=True, kw_only=True)
class TablesConfig:
    """Where embedding rows and their optimizer state lie.

    Args:
        device: `worker` is the worker's own device; `host` its main memory, for tables that a GPU cannot hold.
    """

    device: Literal["worker", "host"] = "worker"


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam, for dense weights and table rows alike.

    Args:
        learning_rate: null takes the model's own.
        rows: `catch_up` gives untouched rows the moment decay and the momentum that dense Adam would have given them,
            when they are next read; `lazy` leaves them as they were.
    """

    learning_rate: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    rows: Literal["catch_up", "lazy"] = "catch_up"

    def __post_init__(self) -> None:
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")
        if not (0 <= self.beta1 < 1 and 0 < self.beta2 < 1 and self.epsilon > 0):
            raise ValueError("beta1 and beta2 must lie in [0, 1), beta2 and epsilon above 0")


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

    epochs: int = 100
    eval_every: int = 5
    patience: int | None = 4
    metric: str = "recall@20"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if min(self.epochs, self.eval_every) < 1 or (self.patience is not None and self.patience < 1):
            raise ValueError("epochs, eval_every and patience must be at least 1")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Full ranking over all items but the user's earlier ones.

    Args:
        ks: list lengths.
        ndcg_convention: `dualgnn` takes the ideal over the hits found, as the released DualGNN does; for comparisons.
    """

    ks: tuple[int, ...] = (5, 10, 20, 50)
    ndcg_convention: NdcgConvention = "standard"

    def __post_init__(self) -> None:
        if not self.ks or min(self.ks) < 1:
            raise ValueError("ks must be list lengths of at least 1")


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    """Workers and what each of them gets.

    Args:
        num_workers: Ray Train workers; [least, most] is elastic; 0 trains in this process without Ray.
        use_gpu: one GPU a worker.
        cpus_per_worker: CPUs that Ray sets aside, and threads of a worker's own kernels.
        max_failures: worker failures after which the run goes on from the last checkpoint; -1 without limit.
    """

    num_workers: int | tuple[int, int] = 2
    use_gpu: bool = False
    cpus_per_worker: int = 1
    max_failures: int = 2

    def __post_init__(self) -> None:
        workers = (self.num_workers,) if isinstance(self.num_workers, int) else self.num_workers
        if min(workers) < (0 if len(workers) == 1 else 1) or list(workers) != sorted(workers):
            raise ValueError("num_workers must be 0 or more, or [least, most] with 1 <= least <= most")
        if self.cpus_per_worker < 1:
            raise ValueError("cpus_per_worker must be at least 1")


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What survives a crash, beside the best state, which is always kept.

    Args:
        every_steps: also saves within an epoch, after so many steps; null saves at each validation only.
    """

    every_steps: int | None = None

    def __post_init__(self) -> None:
        if self.every_steps is not None and self.every_steps < 1:
            raise ValueError("every_steps must be at least 1, or null")


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """The run's name, its place and its seed.

    Args:
        name: a new folder under `output`; left out, the config's file name, the model and the seed make it.
        output: a folder that every node sees, or a URL: then each node works in its cache, and `mirror` keeps the run
            at the URL.
        seed: of first values, order, negatives and neighbours.
        trackers: where the run is written down beside its folder and TensorBoard: `mlflow`, `wandb`.
    """

    name: str
    output: str = "runs"
    seed: int = 1
    trackers: tuple[TrackerName, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"name {self.name!r} must be a plain folder name")
        if self.seed < 0:
            raise ValueError("seed must not be negative")
        if self.seed >= 1 << 63:
            raise ValueError(f"seed={self.seed} must be below 2^63")

    @property
    def folder(self) -> Path:
        """Where everything of the run goes; on this node, if it is kept at a URL."""
        return working_folder(self.output, self.name) if is_url(self.output) else Path(self.output) / self.name
