"""The models by name. A further model is one file here and its line in `MODELS`."""

from dualgnn_dist.models.bpr_mf import BPRMF
from dualgnn_dist.models.contract import CoUsers, Recommender
from dualgnn_dist.models.dualgnn import DualGNN
from dualgnn_dist.models.lightgcn import LightGCN

MODELS: dict[str, type[Recommender]] = {
    "dualgnn": DualGNN,
    "lightgcn": LightGCN,
    "bpr_mf": BPRMF,
}

__all__ = ["MODELS", "CoUsers", "Recommender"]
