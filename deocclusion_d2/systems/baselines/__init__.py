"""Methods without a network: what "Self-Supervised Scene De-occlusion" compares with.

Orderings Area, Y-axis and Convex (Table 1), completions Raw, Convex and Convex^R (Tables 2 to 4),
and a smooth fill or OpenCV's inpainting (Telea, 2004) in place of content completion. The released
code's Convex order is dual completion by convex hulls.
"""

from ..base import Step, System, lazily
from .experiments import PUBLISHED, ROWS

_ = lazily(__name__)


def _rule(name: str, *args: object, text: str = "", **options: object) -> Step:
    return Step(_(name, *args), uses_network=False, text=text, **options)


SYSTEM = System(
    name="baselines",
    add_config=_("config.add_config"),
    orderings={
        "area": _rule("steps.build_ordering", "area", keys=("GAP",)),
        "y_axis": _rule("steps.build_ordering", "y_axis", keys=("GAP",)),
        "convex": _rule("steps.build_ordering", "convex", keys=("GAP",)),
    },
    completions={
        "raw": _rule("steps.build_raw", text="the modal masks themselves"),
        "convex": _rule("steps.build_convex", False, text="convex hull"),
        "convex_r": _rule(
            "steps.build_convex", True, text="the hull inside occluders only", keys=("GAP",)
        ),
    },
    # The first one is taken where nothing is named.
    contents={
        "smooth": _rule("steps.build_smooth", text="a smooth fill"),
        "telea": _rule("steps.build_telea", text="OpenCV's inpainting"),
    },
    rows=ROWS,
    published=PUBLISHED,
    since="0.1",
    exports={
        "ConvexCompletion": _("steps.ConvexCompletion"),
        "HeuristicOrdering": _("steps.HeuristicOrdering"),
        "RawCompletion": _("steps.RawCompletion"),
    },
)
