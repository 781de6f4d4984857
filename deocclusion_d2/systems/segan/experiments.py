"""SeGAN's trainings, its rows of tables, and the figures of its paper."""

from __future__ import annotations

from ..base import Row, Training

# The preset's protocol is that of PCNet-M's released code; SeGAN's is another.
TRAININGS = (
    Training(
        "segan_segment",
        config="segan_segment_{family}",
        labels="amodal",
        beyond_paper=True,
        evaluated=True,
    ),
    Training(
        "segan_paint",
        config="segan_paint_{family}",
        labels="amodal",
        starts_from="segan_segment",
        beyond_paper=True,
        evaluated=True,
    ),
    Training(
        "segan_end_to_end",
        config="segan_end_to_end_{family}",
        labels="amodal",
        starts_from="segan_paint",
        beyond_paper=True,
        evaluated=True,
    ),
)

ROWS = (
    Row(
        "SeGAN segmentor",
        "segan_layers",
        "segan",
        "segan_segment",
        "supervised",
        ("ordering", "completion"),
    ),
    Row("SeGAN", "segan_layers", "segan", "segan_end_to_end", "supervised", ("completion",)),
)
