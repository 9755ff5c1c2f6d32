"""The things that clips are about: more than thirty kinds, each in any number of variants.

A variant is one draw of a kind's measures, colours and pattern. Each split takes its own
variants of every kind, so that all splits know what a mug is and share no mug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from gasm_cast.minidata import large_things, small_things, soft_things
from gasm_cast.minidata.things import Thing

Role = Literal["small", "roller", "container", "platform", "slidable", "cover", "coverable", "light"]
Split = Literal["train", "validation", "test"]
Maker = Callable[[np.random.Generator], Thing]

VARIANTS: Mapping[Split, range] = {"train": range(12), "validation": range(12, 18), "test": range(18, 24)}
"""Variants of each kind of thing, table-top and wall that a split may use."""


@dataclass(frozen=True)
class Item:
    """One thing of the catalogue.

    Attributes:
        id: Kind and variant; names it in the record of a draw.
        thing: Its solid, looks and measures.
    """

    id: str
    thing: Thing


KINDS: Mapping[str, tuple[Maker, tuple[Role, ...]]] = {
    "ball": (small_things.ball, ("small", "roller")),
    "orange": (small_things.orange, ("small", "roller", "coverable")),
    "apple": (small_things.apple, ("small", "coverable")),
    "lemon": (small_things.lemon, ("small", "coverable")),
    "egg": (small_things.egg, ("small", "coverable")),
    "banana": (small_things.banana, ("slidable",)),
    "block": (small_things.block, ("small", "coverable", "slidable")),
    "die": (small_things.die, ("small", "coverable")),
    "duck": (small_things.duck, ("small", "coverable", "slidable")),
    "car": (small_things.car, ("small", "coverable", "slidable")),
    "tape": (small_things.tape, ("small", "coverable", "slidable")),
    "sponge": (small_things.sponge, ("slidable",)),
    "soap": (small_things.soap, ("small", "coverable")),
    "stone": (small_things.stone, ("small", "coverable")),
    "candle": (small_things.candle, ("slidable",)),
    "mug": (large_things.mug, ("container", "slidable")),
    "cup": (large_things.paper_cup, ("container", "slidable")),
    "bowl": (large_things.bowl, ("container", "cover")),
    "pot": (large_things.pot, ("container", "cover")),
    "basket": (large_things.basket, ("container", "cover")),
    "box": (large_things.open_box, ("container", "cover")),
    "carton": (large_things.carton, ("platform", "slidable")),
    "book": (large_things.book, ("platform", "slidable")),
    "plate": (large_things.plate, ("platform",)),
    "board": (large_things.board, ("platform",)),
    "can": (large_things.can, ("slidable",)),
    "bottle": (large_things.bottle, ("slidable",)),
    "jar": (large_things.jar, ("slidable",)),
    "phone": (large_things.phone, ("slidable",)),
    "remote": (large_things.remote, ("slidable",)),
    "wallet": (large_things.wallet, ("slidable",)),
    "paper-roll": (large_things.paper_roll, ("roller",)),
    "cloth": (soft_things.cloth, ("cover",)),
    "sheet": (soft_things.sheet, ("light",)),
    "tissue": (soft_things.tissue, ("light",)),
    "leaf": (soft_things.leaf, ("light",)),
    "feather": (soft_things.feather, ("light",)),
}
"""Every kind: its maker, and what it can do in a clip."""


def kinds_for(*roles: Role) -> list[str]:
    """Kinds that can play any of the roles."""
    return [kind for kind, (_, can) in KINDS.items() if set(roles) & set(can)]


@lru_cache(maxsize=1024)
def item(seed: int, kind: str, variant: int) -> Item:
    """One variant of a kind."""
    maker, _ = KINDS[kind]
    rng = np.random.default_rng([seed, 3, list(KINDS).index(kind), variant])
    return Item(f"{kind}-{variant:02d}", maker(rng))
