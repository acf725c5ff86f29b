"""A run from a config to its metrics, on whatever workers it asks for."""

from __future__ import annotations

from pathlib import Path

from dualgnn_dist.base import files
from dualgnn_dist.base.screen import say
from dualgnn_dist.data.make import ensure_store
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch import in_process, ray_train
from dualgnn_dist.launch.ray_blocks import blocks_of
from dualgnn_dist.sampling.order import num_steps
from dualgnn_dist.training import checkpoint, trackers
from dualgnn_dist.training.checkpoint import latest_checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_folder import RunFolder
from dualgnn_dist.training.state import author, make_model, num_parameters


def prepare_store(config: RunConfig) -> Store:
    """The config's store, made first where there is none and the config says how."""
    return ensure_store(config.data, config.prepare, blocks_of(config.prepare))


def train(config: RunConfig, resume: bool = False) -> Path:
    """Makes the store if it is not there, runs the job, and returns the run's folder.

    Raises:
        UserError: the run exists already, it is to be resumed with other settings, or what its parts refuse.
    """
    config = config.with_absolute_paths()
    if notice := files.notice():
        say(notice)
    folder, mirror = config.run.folder, Mirror(config.run)
    mirror.check(resume)
    trackers.check(config.run.trackers)
    RunFolder.check(folder, config.to_yaml(), resume)
    store = prepare_store(config)
    plan = describe(config, store)  # makes the model: what does not fit the data is refused here
    if resume and (newest := latest_checkpoint(folder)):
        checkpoint.check_written_by(newest, author(config, store))
    RunFolder.create(folder, config.to_yaml(), resume)
    mirror.start()
    say(f"{plan}\nrun folder: {folder}")
    launch = in_process.launch if config.resources.num_workers == 0 else ray_train.launch
    try:
        launch(config, resume)
    except BaseException:
        RunFolder.remove_unless_started(folder)
        mirror.withdraw_unless_started()
        raise
    mirror.pull_results()
    return folder


def describe(config: RunConfig, store: Store) -> str:
    """What will run, on what, in two lines.

    Raises:
        UserError: the model does not fit the store.
    """
    sizes, batch_size, workers = store.manifest, config.sampler.batch_size, config.resources.num_workers
    interactions = sizes.num_interactions["train"]
    shown = "this process" if workers == 0 else "1 worker" if workers == 1 else f"{workers} workers"
    if not isinstance(workers, int):
        shown = f"{workers[0]} to {workers[1]} workers"
    return (
        f"{config.model.name}, {num_parameters(make_model(config, store), store):,} parameters, on {shown}: "
        f"{config.train.epochs} epochs of {num_steps(interactions, batch_size):,} steps of {batch_size:,} interactions"
        f"\nstore {store.path}: {sizes.num_users:,} users, {sizes.num_items:,} items, "
        f"{interactions:,} training interactions"
    )
