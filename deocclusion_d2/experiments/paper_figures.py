"""What the paper reports, to stand beside what is measured (percent).

Only for the data sets of the paper: figures of other data cannot be compared with them.
"""

from __future__ import annotations

# Test set -> column of the paper's tables.
_COLUMNS = {"kins_val": "KINS", "cocoa_val": "COCOA"}

# Experiment -> data set -> method -> figure. Tables 1 to 4.
_PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "ordering": {
        "KINS": {
            "Area": 77.4,
            "Y-axis": 81.9,
            "Convex": 76.3,
            "OG": 92.5,
            "OrderNet^M": 87.5,
            "OrderNet^{M+I}": 94.1,
        },
        "COCOA": {
            "Area": 62.4,
            "Y-axis": 58.7,
            "Convex": 76.0,
            "OG": 87.1,
            "OrderNet^M": 81.7,
            "OrderNet^{M+I}": 88.3,
        },
    },
    "completion": {
        "KINS": {
            "Raw": 87.03,
            "Convex^R": 90.75,
            "NOG": 93.42,
            "OG": 94.76,
            "Supervised": 94.81,
        },
        "COCOA": {
            "Raw": 65.47,
            "Convex^R": 74.43,
            "NOG": 76.91,
            "OG": 81.35,
            "Supervised": 82.53,
        },
    },
    "predicted_modal": {
        "KINS": {
            "Raw": 82.05,
            "Convex^R": 84.12,
            "NOG": 85.39,
            "OG": 86.26,
            "Supervised": 87.29,
        },
    },
    "label_conversion": {
        "KINS": {"GT": 29.3, "Raw": 22.7, "Convex": 22.2, "Convex^R": 25.9, "OG": 29.3},
    },
}


def published(experiment: str, test_dataset: str) -> dict[str, float]:
    """Method -> figure of the paper; empty where the data set is not the paper's."""
    return _PUBLISHED[experiment].get(_COLUMNS.get(test_dataset, ""), {})
