"""Feature store: tokens of both streams for every clip, on disk, open to any program."""

from gasm_cast.store.manifest import (
    StoredDtype,
    StoreDescription,
    StreamDescription,
    crops_of,
    difference,
    fingerprint,
    provenance,
    with_crops_of,
)
from gasm_cast.store.prefetch import Batch
from gasm_cast.store.reader import FeatureStore
from gasm_cast.store.sampler import BatchSampler
from gasm_cast.store.slots import Features
from gasm_cast.store.writer import FeaturesError, StoreWriter

__all__ = [
    "Batch",
    "BatchSampler",
    "FeatureStore",
    "Features",
    "FeaturesError",
    "StoreDescription",
    "StoreWriter",
    "StoredDtype",
    "StreamDescription",
    "crops_of",
    "difference",
    "fingerprint",
    "provenance",
    "with_crops_of",
]
