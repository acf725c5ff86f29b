"""The prepare section: every refusal names the key, the value and the cure."""

from __future__ import annotations

from typing import Any

import pytest

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions


def test_a_section_becomes_a_config_and_back() -> None:
    section: dict[str, Any] = {"format": "synthetic", "split": "random", "options": {"num_users": 50, "zipf": 1}}
    section["options"]["num_interactions"] = 900
    config = from_mapping(PrepareConfig, section, "prepare")
    assert config.format_options() == SyntheticOptions(num_users=50, num_interactions=900, zipf=1.0)
    assert from_mapping(PrepareConfig, plain(config), "prepare") == config


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"format": "mmrecc"}, "unknown format 'mmrecc'; did you mean 'mmrec'"),
        ({"format": "csv"}, r"unknown format 'csv'; \.csv files are read by the format 'table'"),
        ({"format": ".Parquet"}, r"unknown format '\.Parquet'; \.parquet files are read by the format 'table'"),
        ({"format": "inter"}, "are read by the format 'recbole', with x_label among their columns by 'mmrec'"),
        ({"format": __file__}, "which is a file or a folder: name it as prepare.input; `python -m .* --inspect "),
        (
            {"format": "lines"},
            "unknown format 'lines'; known are: adjacency, amazon, dualgnn, microlens, mmrec, movielens, recbole, "
            "synthetic, table",
        ),
        (
            {"format": "mmrec", "options": {"user_colum": "u"}},
            "unknown config key 'prepare.options.user_colum'; did you",
        ),
        ({"format": "mmrec", "options": {"user_column": 3}}, "prepare.options.user_column=3 must be a text, not int"),
        ({"format": "table", "options": {"min_rating": 3}}, "rating_column and min_rating go together"),
        ({"format": "table", "options": {"separator": ", "}}, "separator=', ' must be one character"),
        ({"format": "mmrec", "modalities": {"a/b": "x.npy"}}, "modality name 'a/b' must be letters, digits and '_'"),
        ({"format": "mmrec", "split": "randm"}, "prepare.split='randm' is not one of given, .*; did you mean 'random'"),
        (
            {"format": "mmrec", "split_shares": [0.8, 0.1, 0.2]},
            r"split_shares=\[0.8, 0.1, 0.2\] must be three positive",
        ),
        ({"format": "mmrec", "split_shares": [0.9, 0.1, 0]}, "must be three positive shares that add up to 1"),
        ({"format": "mmrec", "split_shares": [0.8, 0.2]}, "prepare.split_shares=.* must have 3 values, not 2"),
        ({"format": "mmrec", "k_core": -1}, "k_core=-1 must be at least 0"),
        ({"format": "mmrec", "num_co_users": 0}, "num_co_users=0 must be at least 1"),
        ({"format": "mmrec", "rows_per_shard": 0}, "rows_per_shard=0 must be at least 1"),
        ({"format": "mmrec", "max_item_degree": 0}, "max_item_degree=0 must be at least 1"),
        ({"format": "mmrec", "num_threads": 0}, "num_threads=0 must be at least 1"),
        ({"format": "mmrec", "seed": "1"}, "prepare.seed='1' must be a whole number, not str"),
        ({}, "config key 'prepare.format' is missing"),
        ({"format": "synthetic", "options": {"num_items": 0}}, "num_items=0 must be at least 1"),
        ({"format": "synthetic", "options": {"taste": 1.5}}, r"taste=1.5 must lie in \[0, 1\]"),
        ({"format": "synthetic", "options": {"zipf": -1}}, "zipf=-1.0 must be at least 0"),
        (
            {"format": "synthetic", "options": {"num_interactions": 9999}},
            "must be at least num_users . min_interactions",
        ),
        ({"format": "synthetic", "options": {"num_interactions": 10**6}}, "must be at most a quarter of users . items"),
        ({"format": "synthetic", "options": {"num_topics": 1}}, "num_topics must be at least favourite_topics"),
    ],
)
def test_refusals(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(PrepareConfig, section, "prepare")
