"""Temporary, until the formats' branch is merged."""


def looks_normalised(segmentation):
    return (
        isinstance(segmentation, list)
        and bool(segmentation)
        and all(
            isinstance(p, list)
            and p
            and all(isinstance(v, (int, float)) and 0 <= v <= 1 for v in p)
            for p in segmentation
        )
    )


def size_told_by(raw):
    for key in ("segmentation", "inmodal_seg", "visible_mask"):
        m = raw.get(key)
        if isinstance(m, dict) and "size" in m:
            return tuple(m["size"])
    return None
