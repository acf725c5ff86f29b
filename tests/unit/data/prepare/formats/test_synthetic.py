"""The synthetic data has the structure that it promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats import synthetic
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions, read_synthetic
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.prepare.raw_data import TokenLists
from dualgnn_dist.data.store.reader import Store

OPTIONS = SyntheticOptions(num_users=600, num_items=400, num_interactions=12000, num_topics=10)


def interactions(options: SyntheticOptions) -> pl.DataFrame:
    return pl.concat(list(read_synthetic(None, {}, options).blocks()))


def test_sizes_duplicates_and_popularity() -> None:
    frame = interactions(OPTIONS)
    assert abs(len(frame) - OPTIONS.num_interactions) < 0.1 * OPTIONS.num_interactions
    assert frame.n_unique() == len(frame)
    assert frame["user"].n_unique() == OPTIONS.num_users
    assert frame["user"].value_counts()["count"].min() >= OPTIONS.min_interactions
    flat = interactions(SyntheticOptions(**{**vars(OPTIONS), "zipf": 0.0, "num_communities": 100}))
    shares = [f["item"].value_counts()["count"].sort(descending=True)[:40].sum() / len(f) for f in (frame, flat)]
    assert shares[0] > 0.27 > 0.18 > shares[1]  # of the most popular tenth


def test_blocks_do_not_matter_and_the_seed_does(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interactions(OPTIONS)
    monkeypatch.setattr(synthetic, "BLOCK_USERS", 77)
    assert interactions(OPTIONS).equals(whole)
    other = interactions(SyntheticOptions(**{**vars(OPTIONS), "seed": 2}))
    assert not other.equals(whole)


def test_features_show_the_topics_and_some_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "BLOCK_ITEMS", 150)
    raw = read_synthetic(None, {}, OPTIONS)
    topics = synthetic._ground_truth(OPTIONS).topics
    for index, name in enumerate(("visual", "acoustic", "textual")):
        blocks = list(raw.modalities[name].blocks())
        assert [block.first_row for block in blocks] == [0, 150, 300]
        assert 0.85 < np.concatenate([block.present for block in blocks]).mean() < 0.99
        values = [block.values if isinstance(block.values, np.ndarray) else bags(block.values) for block in blocks]
        present = np.concatenate([block.present for block in blocks])
        vectors, labels = np.concatenate(values)[present], topics[index][present]
        centres = np.stack([vectors[labels == topic].mean(axis=0) for topic in range(OPTIONS.num_topics)])
        distances = ((vectors[:, None] - centres[None]) ** 2).sum(axis=2)
        assert (distances.argmin(axis=1) == labels).mean() > 0.8, name


def bags(lists: TokenLists) -> np.ndarray:
    counts = np.zeros((len(lists.offsets) - 1, OPTIONS.num_topics))
    words = OPTIONS.vocabulary_size // OPTIONS.num_topics
    np.add.at(counts, (np.repeat(np.arange(len(counts)), np.diff(lists.offsets)), lists.tokens // words), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def test_weighing_modalities_by_user_beats_averaging_them(tmp_path: Path) -> None:
    """A user's profile in a modality is the direction of its training items; cosines with items are the scores."""
    options = {"num_users": 600, "num_items": 600, "num_interactions": 12000}
    config = PrepareConfig(format="synthetic", split="random", options=options)
    store = Store.open(prepare(config, tmp_path / "store", say=lambda line: None))
    users, items = np.arange(600, dtype=np.int32), np.arange(600, dtype=np.int32)
    trained, held_out = np.zeros((600, 600)), np.zeros((600, 600))
    for user in users:
        trained[user, store.user_item.row(user)] = 1
        held_out[user, store.held_out("test", users[user : user + 1])[1]] = 1
    cosines = []
    for name in synthetic.MODALITIES:
        features = directions(store, name, items)
        profiles = trained @ features
        cosines.append(profiles / np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), 1e-9) @ features.T)
    deciding = users % SyntheticOptions().num_communities % 3
    recalls = {}
    for name, scores in (("personal", np.stack(cosines)[deciding, users]), ("equal", np.sum(cosines, axis=0))):
        top = np.argsort(np.where(trained > 0, 9.0, -scores), axis=1)[:, :20]
        recalls[name] = np.take_along_axis(held_out, top, axis=1).sum() / held_out.sum()
    assert recalls["personal"] > 1.25 * recalls["equal"] > 1.25 * 20 / 600


def directions(store: Store, name: str, items: np.ndarray) -> np.ndarray:
    """Unit vectors [I, D] of one modality; a list of tokens as the counts of its words."""
    feature = store.features(name).gather(items)
    if feature.values is not None:
        values = feature.values.numpy()
    else:
        assert feature.offsets is not None and feature.tokens is not None
        values = np.zeros((len(items), store.manifest.modalities[name].dimension))
        np.add.at(values, (np.repeat(items, np.diff(feature.offsets)), feature.tokens.numpy()), 1)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)


def test_it_takes_no_files() -> None:
    with pytest.raises(UserError, match=r"makes its data; leave out prepare\.input and prepare\.modalities"):
        read_synthetic("folder", {}, OPTIONS)
    with pytest.raises(UserError, match="makes its data"):
        read_synthetic(None, {"visual": "x.npy"}, OPTIONS)
