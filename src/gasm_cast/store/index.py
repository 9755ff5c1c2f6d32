"""Which ids a store holds, and where: arrays, not Python objects.

220,847 ids take a few megabytes, and worker processes share them instead of copying them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path

MOST_SHOWN = 5
LONGEST_BYTES = 512
"""Longest id: in memory, every id takes the room of the longest."""


class Index:
    """Ids in order, with the shard and the first row of each."""

    def __init__(
        self, ids: Sequence[str] | np.ndarray, shard: Int[np.ndarray, " ids"], row: Int[np.ndarray, " ids"]
    ) -> None:
        self.ids = np.array(ids, dtype=np.str_)
        self.shard = np.asarray(shard, np.int32)
        self.row = np.asarray(row, np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def positions(
        self, ids: Sequence[str] | np.ndarray, *, failures: Mapping[str, str], where: str
    ) -> Int[np.ndarray, " asked"]:
        """Position of each id in the store's order.

        Args:
            ids: Ids to look up.
            failures: Reasons for ids that have no features, for the message.
            where: The store's name, for the message.

        Raises:
            InputError: if an id is not there, or the ids are no list.
        """
        if isinstance(ids, str):
            raise InputError(f"ids are a list, got the text {ids!r}; for one clip [{ids!r}]")
        asked = np.array(ids, dtype=np.str_)
        place = np.searchsorted(self.ids, asked, sorter=self._order)
        positions = np.append(self._order, -1)[place]  # -1: after the last
        found = positions >= 0
        found[found] = self.ids[positions[found]] == asked[found]
        if not found.all():
            missing = [str(name) for name in asked[~found]]
            shown = [
                f"{name!r} (failed: {failures[name]})" if name in failures else repr(name)
                for name in missing[:MOST_SHOWN]
            ]
            more = ", ..." if len(missing) > MOST_SHOWN else ""
            raise InputError(
                f"{where} lacks {len(missing)} of {len(asked)} ids: {', '.join(shown)}{more}; extract or "
                "import them, or leave them out of the annotations"
            )
        return positions

    @functools.cached_property
    def _order(self) -> Int[np.ndarray, " ids"]:
        """Positions in ascending order of ids."""
        return np.argsort(self.ids, kind="stable")

    def save(self, path: Path) -> None:
        """Write as safetensors: `ids` (UTF-8 bytes, end to end), `ids_offsets`, `shard`, `row`."""
        encoded = [name.encode() for name in self.ids]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(name) for name in encoded], out=offsets[1:])
        arrays = {
            "ids": np.frombuffer(b"".join(encoded), np.uint8),
            "ids_offsets": offsets,
            "shard": self.shard,
            "row": self.row,
        }
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(arrays))  # `save_file` hides what the disk says

    @classmethod
    def load(cls, path: Path) -> Index:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: if the file is missing or damaged.
        """
        try:
            arrays: dict[str, Any] = load_file(path)
            text, offsets = arrays["ids"].tobytes(), arrays["ids_offsets"].tolist()
            ids = [text[a:b].decode() for a, b in itertools.pairwise(offsets)]
            return cls(ids, arrays["shard"], arrays["row"])
        except (OSError, SafetensorError, KeyError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: missing or damaged index: {error}; restore the store's copy") from None


def check_ids(ids: Sequence[str], *, where: str) -> None:
    """Refuse ids that a store cannot hold.

    Raises:
        InputError: if there are none, one occurs twice, is empty, very long, or holds a zero byte.
    """
    if not ids:
        raise InputError(f"{where}: no ids are asked for; check the annotations' split")
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise InputError(f"{where}: id {name!r} is asked for twice; ids must be unique")
        if not 0 < len(name.encode()) <= LONGEST_BYTES or "\0" in name:
            raise InputError(
                f"{where}: id {name[:80]!r} is empty, longer than {LONGEST_BYTES} bytes, or holds a "
                "zero byte; rename the file"
            )
        seen.add(name)
