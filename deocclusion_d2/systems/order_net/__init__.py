"""OrderNet: the supervised ordering that "Self-Supervised Scene De-occlusion" compares with.

A classifier of pairs of neighbours, from their masks (OrderNet^M) or masks and image
(OrderNet^{M+I}), trained on true orders (Table 1). A ResNet of Detectron2 is its backbone. Of a
pair both orders are looked at, so that a swap of the two gives the contrary, to the bit.
"""

from ..base import Network, Row, Step, System, Training, lazily

_ = lazily(__name__)


def _row(name: str, training: str) -> Row:
    return Row(name, "order_net", "raw", training, "supervised", ("ordering",))


SYSTEM = System(
    name="order_net",
    add_config=_("config.add_config"),
    network=Network(
        meta_architecture="OrderNet",
        model=_("network.OrderNet"),
        labels="order",
        train_loader=_("mapper.build_train_loader"),
        runner=_("steps.PairRunner.from_config"),
        needs_images=lambda cfg: cfg.MODEL.ORDER_NET.USE_RGB,
    ),
    orderings={"order_net": Step(_("steps.build_ordering"), keys=("GAP",))},
    trainings=(
        Training("order_net_m", config="order_net_m_{family}", labels="order"),
        Training("order_net_mi", config="order_net_mi_{family}", labels="order"),
    ),
    rows=(_row("OrderNet^M", "order_net_m"), _row("OrderNet^{M+I}", "order_net_mi")),
    published={
        "ordering": {
            "KINS": {"OrderNet^M": 87.5, "OrderNet^{M+I}": 94.1},
            "COCOA": {"OrderNet^M": 81.7, "OrderNet^{M+I}": 88.3},
        }
    },
    since="0.1",
    exports={
        "OrderNet": _("network.OrderNet"),
        "OrderNetMapper": _("mapper.OrderNetMapper"),
        "OrderNetOrdering": _("steps.OrderNetOrdering"),
        "PairRunner": _("steps.PairRunner"),
        "build_order_net_train_loader": _("mapper.build_train_loader"),
    },
)
