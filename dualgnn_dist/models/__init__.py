"""The models by name. A further model is one file here and its line in `MODELS`."""

from dualgnn_dist.models.bpr_mf import BPRMF
from dualgnn_dist.models.contract import CoUsers, Nodes, Recommender
from dualgnn_dist.models.dualgnn import DualGNN
from dualgnn_dist.models.lightgcn import LightGCN
from dualgnn_dist.models.lr_gccf import LRGCCF
from dualgnn_dist.models.mmgcn import MMGCN
from dualgnn_dist.models.star_gcn import STARGCN
from dualgnn_dist.models.vbpr import VBPR

MODELS: dict[str, type[Recommender]] = {
    "dualgnn": DualGNN,
    "mmgcn": MMGCN,
    "vbpr": VBPR,
    "lightgcn": LightGCN,
    "lr_gccf": LRGCCF,
    "star_gcn": STARGCN,
    "bpr_mf": BPRMF,
}

__all__ = ["MODELS", "CoUsers", "Nodes", "Recommender"]
