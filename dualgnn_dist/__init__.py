"""Distributed training of multimodal graph recommenders: DualGNN and its baselines, from store to full ranking.

The names below are public. Everything else may move before version 1.0.

    from dualgnn_dist import load_config, start_run, FinishedRun

    config = load_config("quickstart", ["resources.num_workers=0", "run.name=mine"])
    folder = start_run(config)
    print(FinishedRun.read(folder).metrics["test"])

A name is found when it is asked for: importing the package imports neither torch nor Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> where it is, and what it is called there.
_PUBLIC = {
    "Store": ("data.store.reader", "Store"),
    "prepare_store": ("launch.run", "prepare_store"),
    "prepare_table": ("data.from_python", "prepare_table"),
    "RunConfig": ("training.config", "RunConfig"),
    "load_config": ("training.load", "load"),
    "start_run": ("launch.run", "start_run"),
    "FinishedRun": ("results.finished_run", "FinishedRun"),
    "OpenedRun": ("results.recommend.opened_run", "OpenedRun"),
    "Recommender": ("models.contract", "Recommender"),
    "MODELS": ("models", "MODELS"),
    "FORMATS": ("data.prepare.formats", "FORMATS"),
    "UserError": ("base.errors", "UserError"),
}

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from dualgnn_dist.base.errors import UserError as UserError
    from dualgnn_dist.data.from_python import prepare_table as prepare_table
    from dualgnn_dist.data.prepare.formats import FORMATS as FORMATS
    from dualgnn_dist.data.store.reader import Store as Store
    from dualgnn_dist.launch.run import prepare_store as prepare_store
    from dualgnn_dist.launch.run import start_run as start_run
    from dualgnn_dist.models import MODELS as MODELS
    from dualgnn_dist.models.contract import Recommender as Recommender
    from dualgnn_dist.results.finished_run import FinishedRun as FinishedRun
    from dualgnn_dist.results.recommend.opened_run import OpenedRun as OpenedRun
    from dualgnn_dist.training.config import RunConfig as RunConfig
    from dualgnn_dist.training.load import load as load_config  # noqa: F401 (the public name)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
