"""The baselines' rows of tables, and the figures that the paper reports for them."""

from __future__ import annotations

from ..base import Row

_COMPLETIONS = ("completion", "predicted_modal", "label_conversion")
ROWS = (
    Row("Area", "area", "raw", tables=("ordering",)),
    Row("Y-axis", "y_axis", "raw", tables=("ordering",)),
    Row("Raw", "convex", "raw", tables=_COMPLETIONS),
    Row("Convex", "convex", "convex", tables=("ordering", *_COMPLETIONS)),
    Row("Convex^R", "convex", "convex_r", tables=_COMPLETIONS),
)

# Tables 1 to 4 of "Self-Supervised Scene De-occlusion".
PUBLISHED = {
    "ordering": {
        "KINS": {"Area": 77.4, "Y-axis": 81.9, "Convex": 76.3},
        "COCOA": {"Area": 62.4, "Y-axis": 58.7, "Convex": 76.0},
    },
    "completion": {
        "KINS": {"Raw": 87.03, "Convex^R": 90.75},
        "COCOA": {"Raw": 65.47, "Convex^R": 74.43},
    },
    "predicted_modal": {"KINS": {"Raw": 82.05, "Convex^R": 84.12}},
    "label_conversion": {"KINS": {"Raw": 22.7, "Convex": 22.2, "Convex^R": 25.9}},
}
