"""Half-finished conversions of version 0.1, which later versions go on with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..config import flatten, own_keys, renamed_keys
from ..systems import systems

if TYPE_CHECKING:
    from detectron2.config import CfgNode

# Keys, or nodes of them, that all systems share and 0.1 did not have.
_NEW = {
    "DEOCCLUSION.BEYOND_IMAGE",
    "DEOCCLUSION.DETECTED",
    "DEOCCLUSION.VIEWS",
    "MODEL.SYSTEM",
    "INPUT.PARTIAL_COMPLETION.DRAW_ON",
    "INPUT.PARTIAL_COMPLETION.SEAMS",
    "DEOCCLUSION.CATEGORY_MAP",
    "DEOCCLUSION.CONTENT",
    "DEOCCLUSION.ORDERING_CONFIG",
    "DEOCCLUSION.COMPLETION_CONFIG",
    "DEOCCLUSION.CONTENT_CONFIG",
    "DEOCCLUSION.CONTENT_INSET",
    "DEOCCLUSION.ENGINE",
    "DEOCCLUSION.GAP",
    "DEOCCLUSION.OVERLAPS",
}
# Keys that only cost time, or count otherwise, and what 0.1 put there.
_LEFT_OUT = {"MODEL.DEVICE": "", "MODEL.WEIGHTS": "", "DEOCCLUSION.PATCHES_PER_BATCH": 0}


def config_hash_of_0_1(cfg: CfgNode) -> str:
    """What version 0.1 noted about a config beside its shards."""
    new = _NEW.union(*(own_keys(s) for s in systems().values() if s.since != "0.1"))
    old_name = {now: old for old, now in renamed_keys().items()}
    values = {**dict(flatten(cfg)), **_LEFT_OUT}
    old: dict[str, Any] = {}
    for key, value in values.items():
        if key in new or key.rpartition(".")[0] in new:
            continue
        *nodes, leaf = old_name.get(key, key).split(".")
        node = old
        for name in nodes:
            node = node.setdefault(name, {})
        node[leaf] = value
    hashed = (old["MODEL"], old["DEOCCLUSION"], old["INPUT"]["PARTIAL_COMPLETION"])
    text = "".join(type(cfg)(node).dump() for node in hashed)
    return hashlib.sha256(text.encode()).hexdigest()
