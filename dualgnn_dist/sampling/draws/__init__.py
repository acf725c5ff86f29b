"""How a node chooses among its neighbours, one hop at a time.

contract     what a draw is asked and answers                                     -> Drawn
frame        where rows lie, how much is drawn of each, which positions of one
independent  every node alone
shared       nodes with neighbours in common choose the same ones
pyg_lib      pyg-lib's sampler behind the same contract
"""

from __future__ import annotations

from dualgnn_dist.sampling.draws.contract import ALL, NOTHING_EXCLUDED, Draw, Drawn, Excluded
from dualgnn_dist.sampling.draws.independent import IndependentDraw
from dualgnn_dist.sampling.draws.pyg_lib import PygLibDraw
from dualgnn_dist.sampling.draws.shared import SharedDraw

__all__ = ["ALL", "DRAWS", "NOTHING_EXCLUDED", "Draw", "Drawn", "Excluded"]

DRAWS: dict[str, type[Draw]] = {"independent": IndependentDraw, "shared": SharedDraw, "pyg_lib": PygLibDraw}
