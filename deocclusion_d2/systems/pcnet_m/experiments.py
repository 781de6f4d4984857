"""PCNet-M's trainings, its rows of tables, and the figures of its paper."""

from __future__ import annotations

from ..base import Row, Training

TRAININGS = (
    Training("pcnet_m", config="pcnet_m_{family}", labels="modal"),
    Training(
        "pcnet_m_plus",
        config="pcnet_m_plus_{family}",
        labels="modal",
        like="pcnet_m",
        beyond_paper=True,
    ),
    Training(
        "pcnet_m_general",
        config="pcnet_m_general",
        labels="modal",
        beyond_paper=True,
        pretrained="general",
    ),
)

_COMPLETIONS = ("completion", "predicted_modal", "label_conversion", "reliability")
ROWS = (
    Row("NOG", "dual_completion", "nog", "pcnet_m", "self-supervised", _COMPLETIONS),
    Row("OG", "dual_completion", "og", "pcnet_m", "self-supervised", ("ordering", *_COMPLETIONS)),
    # OG with what the plus configs add to the paper's method.
    Row(
        "OG+",
        "dual_completion",
        "og",
        "pcnet_m_plus",
        "self-supervised",
        ("ordering", *_COMPLETIONS),
    ),
    # The network that comes with the package, which has seen nothing of the data.
    Row(
        "general",
        "dual_completion",
        "og",
        "pcnet_m_general",
        "self-supervised",
        ("ordering", *_COMPLETIONS),
    ),
)

# Tables 1 to 4 of the paper.
PUBLISHED = {
    "ordering": {"KINS": {"OG": 92.5}, "COCOA": {"OG": 87.1}},
    "completion": {
        "KINS": {"NOG": 93.42, "OG": 94.76},
        "COCOA": {"NOG": 76.91, "OG": 81.35},
    },
    "predicted_modal": {"KINS": {"NOG": 85.39, "OG": 86.26}},
    "label_conversion": {"KINS": {"OG": 29.3}},
}

# Around the released runs' values.
SWEEPS = {
    "DEOCCLUSION.ORDER_THRESHOLD": ("0.05", "0.1", "0.2", "0.3", "0.5"),
    "DEOCCLUSION.AMODAL_THRESHOLD": ("0.1", "0.2", "0.3", "0.4", "0.5"),
    "DEOCCLUSION.DILATION": ("0", "3", "5", "7"),
    "INPUT.PARTIAL_COMPLETION.GAMMA": ("0.5", "0.65", "0.8", "0.95"),
    "MODEL.PCNET_M.LOSS_WEIGHT_IN_ERASER": ("1", "2", "5", "10"),
}
