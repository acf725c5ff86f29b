"""polars as `pl`, imported when the first frame is made: whoever trains on a store that is there needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgnn_dist.base.optional import optional

if TYPE_CHECKING:
    import polars as pl
else:
    pl = optional("polars", "preparing a store")

__all__ = ["pl"]
