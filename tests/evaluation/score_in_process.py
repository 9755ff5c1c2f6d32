"""One of several processes that score together: RANK WORLD FOLDER CHECKPOINT ID..."""

import sys
from pathlib import Path

import numpy as np
import torch

from gasm_cast.evaluation.scoring import score
from gasm_cast.models.checkpoints import load_checkpoint
from gasm_cast.store import FeatureStore

if __name__ == "__main__":
    rank, world, root, checkpoint, *ids = sys.argv[1:]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{root}/meeting", rank=int(rank), world_size=int(world)
    )
    model, store = load_checkpoint(Path(checkpoint)).model, FeatureStore.open(Path(root) / "store")
    for some in (ids, ids[:1]):
        scores = score(model, store, some, num_views=2, batch_size=2)
        np.savez(f"{root}/rank{rank}-{len(some)}.npz", scores.probabilities, *scores.layer_probabilities)
    torch.distributed.destroy_process_group()
