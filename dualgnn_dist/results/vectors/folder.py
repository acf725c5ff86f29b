"""The folder of exported vectors: made beside its place under a hidden name, and moved there whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.files import umask, writing_to
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.vectors import files, indexes

_WRITERS: Mapping[str, Callable[[Path, OpenedRun], dict[str, float] | None]] = {
    "parquet": files.write_parquet,
    "npy": files.write_npy,
    "safetensors": files.write_safetensors,
    "faiss": indexes.write_flat,
    "hnsw": indexes.write_hnsw,
}
ABOUT = "vectors.json"


def check_absent(folder: Path) -> None:
    """Refuses to write where something lies.

    Raises:
        UserError: it does.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} is there already; remove it, or choose another folder with --output")


def export_to(folder: Path, opened: OpenedRun, kind: str) -> dict[str, Any]:
    """Writes a run's vectors as files of one kind; returns what `vectors.json` says of them.

    Raises:
        UserError: something lies there, it cannot be written, or the kind needs a library that is not installed.
    """
    check_absent(folder)
    with writing_to(folder), _appearing_whole(folder) as building:
        measured = _WRITERS[kind](building, opened) or {}
        about = {**_about(opened), "to": kind, **measured}
        (building / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    return about


def _about(opened: OpenedRun) -> dict[str, Any]:
    users, items = opened.learned.users, opened.learned.items
    return {
        "score": files.SCORE,
        "num_users": len(users),
        "num_items": len(items),
        "num_rankable_items": len(files.rankable_rows(opened)),
        "width": items.shape[1],
        "model": opened.run.config.model.name,
        "run": opened.run.run_id,
        "store": opened.run.fingerprint,
    }


@contextmanager
def _appearing_whole(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        building.chmod(0o777 & ~umask())  # mkdtemp makes folders that only their owner reads
        yield building
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
