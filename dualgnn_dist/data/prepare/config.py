"""The settings of `prepare`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dualgnn_dist.base.config import from_mapping, setting
from dualgnn_dist.base.errors import nearest
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.data.prepare.raw_data import Glob, ModalitySource
from dualgnn_dist.data.prepare.split import SplitMethod
from dualgnn_dist.data.prepare.tabular.opening import JSON_LINES, SEPARATORS


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a store is made from raw data.

    Args:
        format: which of the input formats the raw data is in.
        input: the raw data's file or folder, here or at a URL; `{glob: PATTERN}` for the files that a pattern names, of
            the format `table`; null for formats that make their own.
        modalities: name -> file, relative to the input's folder, or a mapping that says which of its columns; for
            `recbole`, a column of its `.item` file.
        options: the format's own settings, see there.
        split: `given` by the input's labels; `random` within a user; `leave_one_out`: a user's last interaction is
            the test, the one before the validation; `user_time`: a user's latest shares; `global_time`: two moments
            for all; `cold_items`: whole items are held out, the rest is split as by `random`.
        split_shares: of training, validation and test.
        cold_share: of the items that `cold_items` holds out.
        standardize: bring every column of the modalities' vectors to mean 0 and deviation 1 over the items that have
            it, constant ones to 0; tokens stay as they are.
        k_core: drop users and items with fewer interactions until none is left; 0 keeps all.
        cold_items: items with content in a modality and without an interaction (as after `k_core`): `keep` them in the
            store, to be ranked by models that read content, or `drop` them.
        num_co_users: K_store, the co-occurrence neighbours kept of a user.
        max_item_degree: items with more training users are left out of the co-occurrence counts; null: exact counts.
        rows_per_shard: of every file of the store.
        seed: of the split and of the training interactions' order.
        num_threads: null takes all cores. The store does not depend on it.
        backend: what counts co-occurrence: `threads` of this process, or tasks of a `ray` cluster.
        overwrite: replace an existing store.
    """

    format: str
    input: str | Glob | None = setting(None, decides="place")
    modalities: dict[str, str | ModalitySource] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    split: SplitMethod = "given"
    split_shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    cold_share: float = 0.1
    standardize: bool = False
    k_core: int = 0
    cold_items: Literal["keep", "drop"] = "drop"
    num_co_users: int = 200
    max_item_degree: int | None = None
    rows_per_shard: int = 1 << 20
    seed: int = 1
    num_threads: int | None = setting(None, decides="speed")
    backend: Literal["threads", "ray"] = setting("threads", decides="speed")
    overwrite: bool = setting(False, decides="place")

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"unknown format {self.format!r}{_format_meant(self.format)}")
        self.format_options()
        if isinstance(self.input, Glob) and self.format != "table":
            raise ValueError(
                f"input={{glob: ...}} is for the format 'table'; name the file or folder of {self.format!r}"
            )
        for name, source in self.modalities.items():
            if isinstance(source, ModalitySource) and not FORMATS[self.format].has_sources:
                raise ValueError(f"modalities.{name} must be a text for the format {self.format!r}, not a mapping")
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"modality name {name!r} must be letters, digits and '_', a letter first")
        if min(self.split_shares) <= 0 or abs(sum(self.split_shares) - 1) > 1e-6:
            raise ValueError(f"split_shares={list(self.split_shares)} must be three positive shares that add up to 1")
        if not 0 < self.cold_share < 1:
            raise ValueError(f"cold_share={self.cold_share} must lie between 0 and 1")
        for name, least in {"k_core": 0, "num_co_users": 1, "rows_per_shard": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        for name in ("max_item_degree", "num_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")

    def format_options(self) -> Any:
        """The format's own frozen Options. Raises UserError for an option that it does not have."""
        return from_mapping(FORMATS[self.format].options, self.options, "prepare.options")


def _format_meant(name: str) -> str:
    """Words behind an unknown format: what reads files of such an ending, or the nearest."""
    ending = f".{name.lower().removeprefix('.')}"
    if ending == ".inter":
        return "; .inter files are read by the format 'recbole', with x_label among their columns by 'mmrec'"
    if ending in (*SEPARATORS, *JSON_LINES, ".parquet"):
        return f"; {ending} files are read by the format 'table', which goes by the ending"
    if len(name) < 200 and Path(name).exists():
        return (
            ", which is a file or a folder: name it as prepare.input; "
            f"`python -m dualgnn_dist.prepare --inspect {name}` prints the format that fits it"
        )
    return nearest(name, FORMATS)
