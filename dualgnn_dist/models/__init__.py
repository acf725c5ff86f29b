"""The models by name. A further model is one file here and its line in `MODELS`.

contract      what a model is: functions of single rows
neighbor_sum  how rows meet along edges
split_rows    the parts of table rows, with one buffer for their gradients
co_users      which co-users a model reads, and what each weighs
content       item content to vectors
unit_vectors  rows of length 1, in one pass
losses        BPR and penalties
id_model      what models of ids alone share
dualgnn       DualGNN (Wang et al., 2023)
mmgcn         MMGCN (Wei et al., 2019)
vbpr          VBPR (He and McAuley, 2016)
lightgcn      LightGCN (He et al., 2020)
lr_gccf       LR-GCCF (Chen et al., 2020)
star_gcn      STAR-GCN (Zhang et al., 2019)
bpr_mf        BPR-MF (Rendle et al., 2009)
"""

from dualgnn_dist.models.bpr_mf import BPRMF
from dualgnn_dist.models.co_users import CoUsers
from dualgnn_dist.models.contract import Nodes, Recommender
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
