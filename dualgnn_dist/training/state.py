"""All that training changes: dense weights, tables and their optimizers, made from a config and kept in checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.batch import Modality, Sizes
from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.table_part import TablePart
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.models import MODELS, Recommender
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import RunConfig


@dataclass
class TrainingState:
    """A model's dense weights and its table rows on this worker, each with its optimizer."""

    model: Recommender
    dense_optimizer: torch.optim.Optimizer | None
    tables: dict[str, ShardedTable]
    written_by: dict[str, str]

    def save(self, folder: Path, world: World, progress: Mapping[str, Any]) -> None:
        """Writes a checkpoint; every worker must call it."""
        dense_optimizer = {} if self.dense_optimizer is None else self.dense_optimizer.state_dict()
        checkpoint.save(
            folder,
            world,
            dense=self.model.state_dict(),
            dense_optimizer=dense_optimizer,
            tables=self.tables,
            progress=dict(progress),
            written_by=self.written_by,
        )

    def load(self, folder: Path, world: World, is_checked: bool = False) -> dict[str, Any]:
        """Takes over a checkpoint's weights and optimizers; returns its progress. Every worker must call it.

        How fast the weights move on is what this run says, not the one that saved: it may have been resumed with
        another learning rate.

        Args:
            is_checked: the workers have called `checkpoint.check` already.

        Raises:
            UserError: on every worker, what `checkpoint.load` refuses one of them.
        """
        if not is_checked:
            checkpoint.check_together(folder, world)
        loaded = checkpoint.load(folder, world, tables=self.tables, written_by=self.written_by, is_checked=True)
        try:
            self.model.load_state_dict(loaded.dense)
            if self.dense_optimizer is not None:
                self._load_dense_optimizer(self.dense_optimizer, loaded.dense_optimizer)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder} holds other dense weights than this run's ({str(error).splitlines()[-1].strip()}); load it "
                "with the config of the run that wrote it"
            ) from error
        return loaded.progress

    def parts_not_finite(self) -> list[str]:
        """What of this worker's state is no finite number, see the function of this name."""
        return parts_not_finite(self.model, self.dense_optimizer, self.tables)

    @staticmethod
    def _load_dense_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
        settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(saved)
        for group, own in zip(optimizer.param_groups, settings, strict=True):
            group.update(own)


def make_state(config: RunConfig, store: Store, world: World) -> TrainingState:
    """First values, a function of the config alone: the same rows and weights whatever the number of workers."""
    model = make_model(config, store).to(world.device)
    storage = "host" if config.tables.device == "host" else "device"
    tables = {
        side: ShardedTable(side, num_rows, dict(parts), world, config.run.seed, config.optimizer, storage)  # type: ignore[arg-type]
        for side, (num_rows, parts) in _declared(model, store).items()
        if parts
    }
    return TrainingState(model, _dense_adam(model, config), tables, author(config, store))


def author(config: RunConfig, store: Store) -> dict[str, str]:
    """What a checkpoint of this run belongs to, beside the run itself."""
    return {"model": config.model.name, "store": store.manifest.fingerprint, "seed": str(config.run.seed)}


def make_model(config: RunConfig, store: Store) -> Recommender:
    """The model with the first values of its dense weights; no tables yet, so it costs next to nothing.

    Raises:
        UserError: the store lacks what the model needs.
    """
    torch.manual_seed(config.run.seed)
    model = MODELS[config.model.name](config.model.settings, sizes_of(store, config.data.modalities))
    _check_co_users(model, store)
    return model


def num_parameters(model: Recommender, store: Store) -> int:
    """Trained numbers: dense weights and table rows."""
    dense = sum(parameter.numel() for parameter in model.parameters())
    rows = (num * sum(part.width for part in parts.values()) for num, parts in _declared(model, store).values())
    return dense + sum(rows)


def _declared(model: Recommender, store: Store) -> dict[str, tuple[int, Mapping[str, TablePart]]]:
    """The model's tables: rows, and the parts of a row."""
    manifest = store.manifest
    return {"users": (manifest.num_users, model.user_parts), "items": (manifest.num_items, model.item_parts)}


def sizes_of(store: Store, modalities: tuple[str, ...] | None) -> Sizes:
    """What a model is told of a store; `modalities` chooses among those it has, None takes all.

    Raises:
        UserError: the store lacks a modality that was asked for.
    """
    manifest = store.manifest
    for name in modalities or ():
        if name not in manifest.modalities:
            raise UserError(
                f"data.modalities names {name!r}, the store {store.path} lacks it{nearest(name, manifest.modalities)}"
            )
    chosen = manifest.modalities if modalities is None else modalities
    kinds = {name: Modality(manifest.modalities[name].kind, manifest.modalities[name].dimension) for name in chosen}
    return Sizes(manifest.num_users, manifest.num_items, kinds)


def parts_not_finite(
    model: torch.nn.Module, dense_optimizer: torch.optim.Optimizer | None, tables: Mapping[str, ShardedTable]
) -> list[str]:
    """What is no finite number: dense weights, rows or moments, each by its name."""
    named: dict[str, Any] = {f"dense weights {name}": value for name, value in model.state_dict().items()}
    for number, moments in enumerate(dense_optimizer.state.values() if dense_optimizer else ()):
        named |= {f"dense weights' {name} {number}": value for name, value in moments.items()}
    for side, table in tables.items():
        named |= {f"{name} of {side}": value for name, value in table.state._asdict().items()}
    return [name.replace("_", " ") for name, value in named.items() if not _is_finite(value)]


def _is_finite(values: Any) -> bool:
    """Whether all numbers of a tensor are; in one pass over its memory, without a copy."""
    if not isinstance(values, torch.Tensor) or not values.is_floating_point() or not values.numel():
        return True
    return all(math.isfinite(extreme) for extreme in values.aminmax())


def _check_co_users(model: Recommender, store: Store) -> None:
    stored = store.manifest.prepared_with["num_co_users"]
    if model.co_users is not None and model.co_users.max_neighbors > stored:
        raise UserError(
            f"model.max_co_users={model.co_users.max_neighbors} asks for more co-users than the store {store.path} "
            f"keeps ({stored}); make it again with a larger prepare.num_co_users, or lower model.max_co_users"
        )


def _dense_adam(model: Recommender, config: RunConfig) -> torch.optim.Optimizer | None:
    parameters = list(model.parameters())
    if not parameters:
        return None
    adam = config.optimizer
    return torch.optim.Adam(parameters, lr=adam.rate, betas=(adam.beta1, adam.beta2), eps=adam.epsilon)
