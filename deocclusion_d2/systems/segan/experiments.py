"""SeGAN's trainings, its rows of tables, and the figures of its paper."""

from __future__ import annotations

from ..base import OwnExperiment, Row, Training, lazily

_ = lazily(__package__)

# The preset's protocol is that of PCNet-M's released code; SeGAN's is another.
TRAININGS = (
    Training("segan_segment", config="segan_segment_{family}", labels="amodal", beyond_paper=True),
    Training(
        "segan_paint",
        config="segan_paint_{family}",
        labels="full_object",
        starts_from="segan_segment",
        beyond_paper=True,
    ),
    Training(
        "segan_end_to_end",
        config="segan_end_to_end_{family}",
        labels="full_object",
        starts_from="segan_paint",
        beyond_paper=True,
    ),
)

_MASKS = ("ordering", "completion", "predicted_modal")
STAGES, END_TO_END = "SeGAN stages", "SeGAN"
ROWS = (
    Row("SeGAN segmentor", "segan_layers", "segan", "segan_segment", "supervised", _MASKS),
    Row(
        "SeGAN segmentor (IoU)",
        "segan_layers",
        training="segan_segment",
        kind="supervised",
        tables=("ordering",),
        options={"LAYERS_BY": "iou"},
    ),
    # Its segmentor is that of the rows before.
    Row(
        STAGES,
        "segan_layers",
        "segan",
        "segan_paint",
        "supervised",
        ("content",),
        content="segan",
    ),
    Row(
        END_TO_END,
        "segan_layers",
        "segan",
        "segan_end_to_end",
        "supervised",
        (*_MASKS, "content"),
        content="segan",
    ),
)

EXPERIMENTS = {
    "segan": OwnExperiment(
        text="SeGAN's Tables 1 and 2, stages against end to end, and samples",
        rows=("Raw", "OG", "Supervised", "SeGAN segmentor", END_TO_END),
        figures=_("figures.draw_figures"),
    )
}
