"""A run from its config to its metrics, on whatever workers it asks for."""

from __future__ import annotations

from pathlib import Path

from dualgnn_dist.base.screen import say
from dualgnn_dist.base.storage import files
from dualgnn_dist.data.make import ensure_store
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.workers import blocks_of, run_on_workers
from dualgnn_dist.sampling.order import num_steps
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.listeners import trackers
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.state import author, make_model, num_parameters
from dualgnn_dist.training.worker import run_worker


def prepare_store(config: RunConfig) -> Store:
    """The config's store, made first where there is none and the config says how.

    Raises:
        UserError: no store and no `prepare` section, or a store that was made with other settings.
    """
    return ensure_store(config.data, config.prepare, blocks_of(config.prepare))


def start_run(config: RunConfig, resume: bool = False) -> Path:
    """Makes the store if it is not there, trains, ranks the test items, and returns the run's folder.

    Args:
        resume: goes on with the run of this name from its newest checkpoint.

    Raises:
        UserError: the run exists already, it is to be resumed with other settings, another process is at it, or what
            its parts refuse.
        Stopped: SIGTERM or Ctrl-C asked for it, and the workers left a checkpoint.
    """
    config = config.with_absolute_paths()
    if notice := files.notice():
        say(notice)
    trackers.check(config.run.trackers)
    run = Run(config.run)
    with run.only_writer():
        run.check(config.to_yaml(), resume)
        store = prepare_store(config)
        plan = describe(config, store)  # makes the model: what does not fit the data is refused here
        if resume and (newest := run.newest()):
            checkpoint.check_written_by(newest, author(config, store))
        run.begin(config.to_yaml(), resume)
        say(f"{plan}\nrun folder: {run.name_for_people}")
        try:
            run_on_workers(config, run_worker, stops=run.folder)
        except BaseException:
            run.withdraw()
            raise
        run.fetch_results()
    return run.folder


def describe(config: RunConfig, store: Store) -> str:
    """What will run, on what, in two lines.

    Raises:
        UserError: the model does not fit the store.
    """
    sizes, batch_size = store.manifest, config.sampler.batch_size
    interactions, model = sizes.num_interactions["train"], make_model(config, store)
    return (
        f"{config.model.name}, {num_parameters(model, store):,} parameters, on {config.resources.described}: "
        f"{config.train.epochs} epochs of {num_steps(interactions, batch_size):,} steps of {batch_size:,} interactions"
        f"\nstore {store.path}: {sizes.num_users:,} users, {sizes.num_items:,} items, "
        f"{interactions:,} training interactions"
    )
