"""Item content to vectors: a modality as it is, and the maps on top of it."""

from __future__ import annotations

from torch import Tensor, nn

from dualgnn_dist.base.batch import Feature, Modality


class Content(nn.Module):
    """One modality of items as vectors: a dense one as it is, tokens averaged over a learned word embedding.

    An item that misses the modality has the zero vector.

    Args:
        words_width: of a word's embedding.

    Attributes:
        width: of the vectors.
    """

    def __init__(self, modality: Modality, words_width: int) -> None:
        super().__init__()
        is_tokens = modality.kind == "tokens"
        self.width = words_width if is_tokens else modality.dimension
        self.words = nn.EmbeddingBag(modality.dimension, words_width, mode="mean") if is_tokens else None
        if self.words is not None:
            nn.init.xavier_normal_(self.words.weight)

    def forward(self, feature: Feature) -> Tensor:
        """[i, width] of the i items in `feature`."""
        if self.words is not None:
            return self.words(feature.tokens, feature.offsets[:-1])  # type: ignore[index]
        assert feature.values is not None
        return feature.values


def two_layer_map(input_width: int, width: int, last_bias: bool = True) -> nn.Sequential:
    """`input_width -> 4 width -> width`: linear, leaky ReLU (slope 0.01), linear."""
    return nn.Sequential(
        nn.Linear(input_width, 4 * width), nn.LeakyReLU(0.01, inplace=True), nn.Linear(4 * width, width, bias=last_bias)
    )


class ItemTower(nn.Module):
    """One modality of items to vectors: linear, leaky ReLU, linear, `D -> 4 d -> d`.

    Args:
        width: d. Also the width of a word's embedding.
    """

    def __init__(self, modality: Modality, width: int) -> None:
        super().__init__()
        self.content = Content(modality, width)
        self.map = two_layer_map(self.content.width, width)

    def forward(self, feature: Feature) -> Tensor:
        """[i, d] of the i items in `feature`."""
        return self.map(self.content(feature))
