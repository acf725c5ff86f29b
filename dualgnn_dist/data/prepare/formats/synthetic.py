"""`synthetic`: data whose structure is known, of any size. Demo, tests and scale runs use it.

Every item has one topic in each of the modalities visual, acoustic and textual, drawn independently. Users live in
communities; a community has favourite topics in ONE deciding modality, so that the other two are noise to its members:
only a model that weighs modalities by user can follow that. Item popularity is Zipf, within topics and over all.
Vectors and tokens show the topics under noise, and some items miss some modalities.

Users and features are made in blocks. An interaction is a function of (seed, user, draw), whatever the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import below, key, random_bits, unit
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, Place, RawData, RawModality, TokenLists

MODALITIES = ("visual", "acoustic", "textual")
BLOCK_USERS = 1 << 15
BLOCK_ITEMS = 1 << 15  # part of what a seed means: features are drawn block by block
TOPICS, POPULARITY, FAVOURITES, MISSING, VALUES = range(5)  # what a generator is for
_MAY_BE_ZERO = ("seed", "zipf", "taste", "feature_noise", "missing_share", "textual_dimension")
USER, INTERACTION = 101, 102  # what a hash key is for


@dataclass(frozen=True, kw_only=True)
class SyntheticOptions:
    """Sizes and strengths.

    Args:
        num_users: users, ids from 0.
        num_items: items, ids from 0.
        num_interactions: expected over all users; a user has at least `min_interactions`, the rest is exponential.
        min_interactions: that every user has.
        num_communities: groups of users who share a taste.
        num_topics: of each modality.
        favourite_topics: those of a modality that draw a community's members.
        taste: the share of interactions that follow the community's taste; the rest follow popularity alone.
        zipf: popularity of the r-th item is proportional to r^-zipf.
        feature_noise: standard deviation of the noise in vectors over that of the topic centres; the share of tokens
            that are not of the item's topic is noise / (1 + noise).
        missing_share: of the items, for each modality on its own.
        visual_dimension: of an item's visual vector.
        acoustic_dimension: of an item's acoustic vector.
        vocabulary_size: different tokens of the texts.
        textual_dimension: of a text's vector; 0: a text is a list of tokens.
        seed: of everything that is drawn.
    """

    num_users: int = 2000
    num_items: int = 1000
    num_interactions: int = 40000
    min_interactions: int = 5
    num_communities: int = 30
    num_topics: int = 20
    favourite_topics: int = 2
    taste: float = 0.9
    zipf: float = 0.7
    feature_noise: float = 1.0
    missing_share: float = 0.05
    visual_dimension: int = 64
    acoustic_dimension: int = 32
    vocabulary_size: int = 1000
    textual_dimension: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in _MAY_BE_ZERO and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        for name in ("taste", "missing_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")
        for name in ("zipf", "feature_noise", "textual_dimension", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")
        if self.seed >= 1 << 63:
            raise ValueError(f"seed={self.seed} must be below 2^63")
        if self.num_interactions < self.num_users * self.min_interactions:
            raise ValueError(
                f"num_interactions={self.num_interactions} must be at least num_users * min_interactions = "
                f"{self.num_users * self.min_interactions}"
            )
        if self.num_interactions > self.num_users * self.num_items // 4:
            raise ValueError(f"num_interactions={self.num_interactions} must be at most a quarter of users * items")
        if self.favourite_topics > self.num_topics or self.vocabulary_size < self.num_topics:
            raise ValueError("num_topics must be at least favourite_topics and at most vocabulary_size")


@dataclass(frozen=True)
class GroundTruth:
    """What the seed decides before any user is made. List l < 3 has the items by their topic in modality l, list 3 all.

    Args:
        topics: int64 [3, I], the items' topics.
        favourites: int64 [communities, favourite_topics].
        items: int32 [4, I], each list's items by topic, then by popularity.
        weights: float64 [4, I], running sums of the popularity along `items`.
        offsets: int64 [4, topics + 1], where a topic's items begin.
    """

    topics: np.ndarray
    favourites: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray


def read_synthetic(input: str | None, modalities: Mapping[str, str], options: SyntheticOptions) -> RawData:
    """See the module. Raises UserError where an input or modality files are named: it makes its own."""
    if input is not None or modalities:
        raise UserError("the format 'synthetic' makes its data; leave out prepare.input and prepare.modalities")
    truth = _ground_truth(options)

    def blocks() -> Iterator[pl.DataFrame]:
        for first in range(0, options.num_users, BLOCK_USERS):
            users, items = _interactions(options, truth, first, min(first + BLOCK_USERS, options.num_users))
            yield pl.DataFrame({"user": users, "item": items})

    features = {
        "visual": _dense(options, truth, 0, options.visual_dimension),
        "acoustic": _dense(options, truth, 1, options.acoustic_dimension),
        "textual": _dense(options, truth, 2, options.textual_dimension)
        if options.textual_dimension
        else _tokens(options, truth, 2),
    }
    return RawData(
        blocks,
        features,
        ids_are_rows=True,
        num_users=options.num_users,
        num_items=options.num_items,
        no_times="what the format 'synthetic' makes has no times",
    )


def _ground_truth(options: SyntheticOptions) -> GroundTruth:
    num_lists, num_items = len(MODALITIES), options.num_items
    topics = _generator(options, TOPICS).integers(options.num_topics, size=(num_lists, num_items))
    ranks = _generator(options, POPULARITY).permutation(num_items)
    draws = _generator(options, FAVOURITES).random((options.num_communities, options.num_topics))
    lists = np.concatenate([topics, np.zeros((1, num_items), dtype=np.int64)])
    items = np.stack([np.lexsort((ranks, of_item)) for of_item in lists]).astype(np.int32)
    weights = np.cumsum((1.0 + ranks[items]) ** -options.zipf, axis=1)
    offsets = np.stack([np.searchsorted(np.sort(of_item), np.arange(options.num_topics + 1)) for of_item in lists])
    return GroundTruth(topics, np.argsort(draws, axis=1)[:, : options.favourite_topics], items, weights, offsets)


def _interactions(
    options: SyntheticOptions, truth: GroundTruth, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    mean = options.num_interactions / options.num_users - options.min_interactions
    degrees = _degrees(options.seed, first, last, options.min_interactions, mean, options.num_items // 2)
    users = np.empty(degrees.sum(), dtype=np.int32)
    items = np.empty_like(users)
    size = _draw_items(
        options.seed,
        first,
        degrees,
        options.taste,
        truth.favourites,
        truth.items,
        truth.weights,
        truth.offsets,
        users,
        items,
    )
    return users[:size], items[:size]


@kernel
def _degrees(seed: int, first: int, last: int, least: int, mean: float, most: int) -> np.ndarray:
    degrees = np.empty(last - first, dtype=np.int64)
    user_key = np.uint64(key(seed, 0, 0, USER))
    for user in range(first, last):
        more = -np.log(1.0 - unit(random_bits(user_key, user, 0, 0))) * mean + unit(random_bits(user_key, user, 1, 0))
        degrees[user - first] = np.int64(max(1.0, min(least + more, most)))
    return degrees


@kernel
def _draw_items(
    seed: int,
    first: int,
    degrees: np.ndarray,
    taste: float,
    favourites: np.ndarray,
    lists: np.ndarray,
    weights: np.ndarray,
    offsets: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
) -> int:
    """Fills `users` and `items` with `degrees[k]` different items of user `first + k`; returns how many fitted."""
    item_key = np.uint64(key(seed, 0, 0, INTERACTION))
    num_communities, num_favourites = favourites.shape
    seen = np.full(lists.shape[1], -1, dtype=np.int32)  # the last user that drew an item
    size = 0
    for k in range(len(degrees)):
        user = first + k
        community = user % num_communities
        drawn, tries = 0, 0
        while drawn < degrees[k] and tries < 8 * degrees[k]:
            list_index, topic = lists.shape[0] - 1, 0
            if unit(random_bits(item_key, user, tries, 0)) < taste:
                list_index = community % (lists.shape[0] - 1)
                topic = favourites[community, below(random_bits(item_key, user, tries, 1), num_favourites)]
            start, end = offsets[list_index, topic], offsets[list_index, topic + 1]
            tries += 1
            if start == end:
                continue
            before = weights[list_index, start - 1] if start else 0.0
            value = before + unit(random_bits(item_key, user, tries, 2)) * (weights[list_index, end - 1] - before)
            item = lists[list_index, min(start + np.searchsorted(weights[list_index, start:end], value), end - 1)]
            if seen[item] != user:
                seen[item] = user
                users[size], items[size] = user, item
                size += 1
                drawn += 1
    return size


def _dense(options: SyntheticOptions, truth: GroundTruth, index: int, dimension: int) -> RawModality:
    def blocks() -> Iterator[FeatureBlock]:
        present = _present(options, index)
        centres = _generator(options, VALUES, index).standard_normal((options.num_topics, dimension)).astype(np.float32)
        for block, first in enumerate(range(0, options.num_items, BLOCK_ITEMS)):
            rows = slice(first, min(first + BLOCK_ITEMS, options.num_items))
            noise = _generator(options, VALUES, index, 1 + block).standard_normal(
                (rows.stop - first, dimension), np.float32
            )
            values = centres[truth.topics[index, rows]] + np.float32(options.feature_noise) * noise
            yield FeatureBlock(first, None, values, present[rows])

    return RawModality("dense", dimension, "float32", _place(index), blocks, True, items=_items(options, index))


def _tokens(options: SyntheticOptions, truth: GroundTruth, index: int) -> RawModality:
    def blocks() -> Iterator[FeatureBlock]:
        present = _present(options, index)
        for block, first in enumerate(range(0, options.num_items, BLOCK_ITEMS)):
            rows = slice(first, min(first + BLOCK_ITEMS, options.num_items))
            generator = _generator(options, VALUES, index, 1 + block)
            lists = _token_lists(options, truth.topics[index, rows], present[rows], generator)
            yield FeatureBlock(first, None, lists, present[rows])

    size = options.vocabulary_size
    return RawModality("tokens", size, "int32", _place(index), blocks, True, items=_items(options, index))


def _items(options: SyntheticOptions, index: int) -> Callable[[], list[tuple[pl.Series, Place]]]:
    return lambda: [(pl.int_range(options.num_items, eager=True), _place(index))]


def _token_lists(
    options: SyntheticOptions, topics: np.ndarray, present: np.ndarray, generator: np.random.Generator
) -> TokenLists:
    """3 to 12 tokens an item: of its topic's own words, or common words, the lower ids more often."""
    words = options.vocabulary_size // options.num_topics
    offsets = np.zeros(len(topics) + 1, dtype=np.int64)
    np.cumsum(np.where(present, generator.integers(3, 13, size=len(topics)), 0), out=offsets[1:])
    topics = np.repeat(topics, np.diff(offsets))
    of_topic = topics * words + generator.integers(words, size=len(topics))
    common = (generator.random(len(topics)) ** 2 * options.vocabulary_size).astype(np.int64)
    noisy = generator.random(len(topics)) * (1 + options.feature_noise) < options.feature_noise
    return TokenLists(offsets, np.where(noisy, common, of_topic).astype(np.int32))


def _place(index: int) -> Callable[[int], str]:
    return lambda row: f"synthetic {MODALITIES[index]}, row {row}"


def _present(options: SyntheticOptions, index: int) -> np.ndarray:
    return _generator(options, MISSING, index).random(options.num_items) >= options.missing_share


def _generator(options: SyntheticOptions, *purpose: int) -> np.random.Generator:
    return np.random.default_rng((options.seed, *purpose))
