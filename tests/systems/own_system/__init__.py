"""A system of somebody else: new files alone, found by an entry point.

One convolution learns from the modal mask, on true amodal masks, how far an object reaches beyond
what is seen of it.
"""

from pathlib import Path

from deocclusion_d2.systems import Network, Row, Step, System, Training, lazily

_ = lazily(__name__)
_TABLES = ("completion",)

SYSTEM = System(
    name="own",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="OwnNet",
        model=_("network.OwnNet"),
        labels="amodal",
        train_loader=_("mapper.build_train_loader"),
    ),
    completions={"own": Step(_("steps.build_completion"), text="one convolution")},
    trainings=(
        Training("own", config="own_{family}", labels="amodal"),
        Training("own_longer", config="own_{family}", labels="amodal", starts_from="own"),
    ),
    rows=(
        Row("Own", "convex", "own", "own", "supervised", _TABLES),
        Row("Own, longer", "convex", "own", "own_longer", "supervised", _TABLES),
    ),
    published={"completion": {"KINS": {"Own": 88.0}}},
    configs=str(Path(__file__).with_name("configs")),
    exports={"OwnNet": _("network.OwnNet")},
)
