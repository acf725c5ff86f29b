"""The store that is trained on: the `data` section of a config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.config import setting
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.data.hidden_content import DropModality
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.staging import stage


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The store that is trained on.

    Args:
        store: its folder, or a URL such as `s3://bucket/stores/mine`, which every node copies to its disk once.
        modalities: those that the model may read, in this order; null takes all that the store has.
        drop_modality: content to hide, as an experiment; null hides nothing.
        cache: where such copies go; null takes `stores` in the node's cache folder.
        verify: reads every byte before the store is used; what is damaged of a copy is fetched again.
    """

    store: str = setting(decides="place")
    modalities: tuple[str, ...] | None = setting(None, decides="measure")
    drop_modality: DropModality | None = setting(None, decides="measure")
    cache: str | None = setting(None, decides="place")
    verify: bool = setting(False, decides="speed")

    def folder(self) -> Path:
        """The store's folder on this node; what lies behind a URL is copied here first, unless it has been.

        Raises:
            UserError: there is no store behind the URL, or it cannot be copied.
        """
        return stage(self.store, self.cache, self.verify) if is_url(self.store) else Path(self.store)

    def open(self) -> Store:
        """The store, with the content hidden that is to be hidden.

        Raises:
            UserError: there is no such store, it is damaged, or it has no such modality to hide.
        """
        store = Store.open(self.folder(), self.drop_modality)
        if self.verify and not is_url(self.store):
            store.verify()
        if self.drop_modality is not None:
            self.drop_modality.refuse_unknown_modality(store.manifest.modalities)
        return store
