"""All that training changes: dense weights, tables and their optimizers, made from a config and kept in checkpoints."""

from __future__ import annotations

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

    def load(self, folder: Path, world: World) -> dict[str, Any]:
        """Takes over a checkpoint's weights and optimizers; returns its progress."""
        loaded = checkpoint.load(folder, world, tables=self.tables, written_by=self.written_by)
        self.model.load_state_dict(loaded.dense)
        if self.dense_optimizer is not None:
            self.dense_optimizer.load_state_dict(loaded.dense_optimizer)
        return loaded.progress


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
    """What a checkpoint of this run belongs to."""
    return {"model": config.model.name, "store": store.manifest.fingerprint}


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
