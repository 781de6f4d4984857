"""The categories of the KINS data set."""

from __future__ import annotations

CYCLIST, PEDESTRIAN, RIDER, CAR, TRAM, TRUCK, VAN, MISC = range(1, 9)

CATEGORY_NAMES: dict[int, str] = {
    CYCLIST: "cyclist",
    PEDESTRIAN: "pedestrian",
    RIDER: "rider",
    CAR: "car",
    TRAM: "tram",
    TRUCK: "truck",
    VAN: "van",
    MISC: "misc",
}
"""KINS category id to name."""

LIVING_CATEGORIES = frozenset({CYCLIST, PEDESTRIAN, RIDER})
"""Ids whose KINS supercategory is ``Living Thing``; the others are ``vehicles``."""


def kins_categories() -> list[dict[str, object]]:
    """The ``categories`` entry of a KINS JSON file."""
    return [
        {
            "id": number,
            "name": name,
            "supercategory": "Living Thing" if number in LIVING_CATEGORIES else "vehicles",
        }
        for number, name in CATEGORY_NAMES.items()
    ]
