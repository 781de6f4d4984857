"""What a survey says: what is odd and what to do, a table, one JSON object, three lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..data.datasets.assumptions import about_shares
from ..data.datasets.segmentation import WAYS
from ..modeling.category_ids import FIRST_CATEGORY_ID
from .document_index import DocumentIndex
from .survey import TINY_AREA, Survey
from .tally import aligned, share

# Share of the instances from which on what single masks can be is odd as a whole.
_ODD_SHARE = 0.1
# Categories, image sizes and gaps that a table lists.
_MOST_LISTED = 6
_QUANTILES = (5, 25, 50, 75, 95)
# What closes gaps in the masks of an input.
_CLOSES = "DEOCCLUSION.GAP auto"


@dataclass(frozen=True)
class Report:
    """A survey, with what only the whole file tells.

    Attributes:
        survey: of all of the file, or of some of its images.
        items: annotations of the file that are read, crowd regions among them.
        images: how many the file has, and how many of them have annotations.
        category_names: by id.
        doubt: what speaks against the format that the user has named, if anything does.
        predicted: whether the file holds COCO results.
        bridged: gaps of up to so many pixels are bridged by the method that is asked for.
    """

    survey: Survey
    items: int
    images: tuple[int, int]
    category_names: Mapping[int, str]
    doubt: str | None = None
    predicted: bool = False
    bridged: int = 0

    @classmethod
    def of(cls, index: DocumentIndex, survey: Survey, **settings: Any) -> Report:
        """The report on a survey of a file.

        Args:
            settings: ``predicted`` and ``bridged``.
        """
        is_read = index.image_of_item >= 0
        annotated = np.unique(index.image_of_item[is_read])
        return cls(
            survey,
            int(index.instances_of_item[is_read].sum()),
            (index.num_images, len(annotated)),
            {category["id"]: category["name"] for category in index.categories},
            index.doubt,
            **settings,
        )

    # ---------------------------------------------------------------- what is odd

    def oddities(self) -> list[str]:
        """What is odd about the file, and what to do: a sentence each."""
        tally = self.survey.tally
        lines = [self.doubt] if self.doubt else []
        lines += tally.oddities()
        if not tally.has_done_nothing:
            lines += [line for line in (self.not_touching(), *self._of_masks()) if line]
        lines += self._of_categories()
        return lines

    def not_touching(self) -> str | None:
        """What to say where no two masks touch; None where some do, or there is none."""
        survey, census = self.survey, self.survey.census
        if census.near_pairs(self.bridged) or not survey.visible:
            return None
        where = ""
        if survey.looked_at < self.images[1]:
            where = f" in the {survey.looked_at:,} images looked at"
        if max(survey.per_image, default=0) < 2:
            reason = (
                "no image has two instances, and only instances of one image can hide each other: "
                "annotate all objects of an image, and give them its 'image_id'"
            )
        elif census.closing():
            reason = f"gaps part them, which {_CLOSES} closes"
        else:
            gaps = np.flatnonzero(census.pairs)
            apart = (
                f"by {gaps[0]} px or more" if len(gaps) else f"by {len(census.pairs)} px or more"
            )
            reason = (
                f"they are apart {apart}: where the pictures show one object behind another, "
                "annotate both; where gaps part them, see DEOCCLUSION.GAP"
            )
        return f"no two masks touch{where}: amodal will equal modal: {reason}"

    def _of_masks(self) -> list[str | None]:
        survey, tally = self.survey, self.survey.tally
        count = survey.visible

        def many(name: str) -> bool:
            return getattr(survey, name) >= max(_ODD_SHARE * count, 1)

        def of(name: str, total: int = count) -> str:
            return f"{getattr(survey, name):,} of {total:,}"

        def first(name: str) -> str:
            return f"(first: {survey.first[name]})"

        some_shares = tally.normalised and not about_shares(tally.normalised, tally.instances)
        without_mask = tally.boxes_kept - tally.specks
        return [
            some_shares
            and f"the polygons of {tally.normalised:,} of {tally.instances:,} instances lie "
            "between 0 and 1: coordinates are pixels, multiply x by the width and y by the height",
            without_mask > 0
            and f"{without_mask:,} of {tally.instances:,} instances have a box, but no mask: they "
            "stay as they are, and hide nothing: make masks of them first",
            survey.duplicates
            and f"{survey.duplicates:,} masks are those of another instance, pixel by pixel "
            f"{first('duplicates')}: leave one of each out, or each is taken to hide the other",
            many("displaced")
            and f"the boxes of {of('displaced')} instances are not where their masks are "
            f"{first('displaced')}: 'height' and 'width' must be those of the image that was "
            "annotated, not of one that was resized later",
            many("rectangles")
            and f"the masks of {of('rectangles')} instances are full boxes {first('rectangles')}: "
            "are they boxes written as masks? Their outlines tell nothing of the order: make masks "
            "first",
            many("tiny")
            and f"the masks of {of('tiny')} instances have fewer than {TINY_AREA} pixels "
            f"{first('tiny')}: too few for a network to complete; leave them out, or annotate "
            "larger images",
            self._shared(),
        ]

    def _shared(self) -> str | None:
        overlaps = self.survey.tally.overlaps
        if overlaps is None or self.predicted:
            return None
        survey = self.survey
        part = (overlaps.shared_pixels - survey.duplicate_pixels) / sum(survey.areas)
        if part < _ODD_SHARE:
            return None
        return (
            f"masks share {100 * part:.0f} % of their pixels: are they whole (amodal) masks? The "
            "visible ones are wanted; as they are, a shared pixel goes to the smaller mask, which "
            "is taken to be in front"
        )

    def _of_categories(self) -> list[str]:
        survey = self.survey
        lines = []
        low = {c: n for c, n in survey.categories.items() if c < FIRST_CATEGORY_ID}
        if low:
            lines.append(
                f"{_ids(low)}: a network that multiplies masks by their ids refuses ids below "
                f"{FIRST_CATEGORY_ID}: number the categories from {FIRST_CATEGORY_ID}, or use one "
                "that does not"
            )
        if survey.unknown_categories:
            lines.append(
                f"{_ids(survey.unknown_categories)} not among the categories: name them in "
                "'categories'"
            )
        return lines

    # ---------------------------------------------------------------- text

    def table(self) -> str:
        """The counts, a line each; of what is rare no line where there is none."""
        survey, tally, census = self.survey, self.survey.tally, self.survey.census
        listed, annotated = self.images
        sizes = {f"{w} x {h}": n for (h, w), n in survey.sizes.items()}
        rows = [
            ("images", f"{listed:,}, {annotated:,} with annotations"),
            ("  width x height, px", _listed(sizes, "more sizes")),
            ("instances that take part", f"{tally.instances:,}"),
            ("  masks written as", _listed(survey.written, "")),
            ("  by category", _listed(self._named(survey.categories), "more categories")),
            ("  visible ones per image", _spread(_quantiles(list(survey.per_image.elements())))),
            *_counted(
                ("crowd regions, which stay as they are", tally.crowds),
                ("without a mask, box kept", tally.boxes_kept),
                ("empty masks", tally.hidden),
                ("predictions of low score, left out", tally.low_scores),
                ("skipped", sum(tally.skipped.values())),
            ),
            *tally.reading_rows(),
            ("touching pairs", f"{census.touching:,}, {tally.overlapping:,} of them overlap"),
            ("  instances in them", share(survey.touching_instances, survey.visible)),
        ]
        if tally.overlaps is not None:
            rows.append(("  pixels of several masks", str(tally.overlaps)))
        rows += [
            ("pairs by gap, px", _gaps(census.pairs)),
            ("  gap to be closed", self._closing()),
            ("cut by the border of the image", share(survey.cut, survey.visible)),
            ("area, px", _spread(_quantiles(survey.areas))),
            ("square root of the area, px", _spread(_quantiles(np.sqrt(survey.areas)))),
        ]
        return aligned(rows)

    def shares(self) -> list[tuple[str, int, int]]:
        """(what, how many instances, of how many): for the picture."""
        survey, tally = self.survey, self.survey.tally
        visible = survey.visible
        return [
            ("touch another one", survey.touching_instances, visible),
            ("covered by more than half", tally.covered, visible),
            ("cut by the image's border", survey.cut, visible),
            ("full boxes", survey.rectangles, visible),
            (f"below {TINY_AREA} px", survey.tiny, visible),
            ("masks given twice", survey.duplicates, visible),
            ("without a visible pixel", tally.hidden, tally.instances),
        ]

    def _closing(self) -> str:
        gap, census = self.survey.census.closing(), self.survey.census
        if not gap:
            return "none"
        return f"{gap} px, by which {census.near_pairs(gap):,} pairs touch: {_CLOSES} closes it"

    def _gap_in_short(self) -> str:
        if self.bridged:
            return f"gaps of up to {self.bridged} px are closed"
        gap = self.survey.census.closing()
        return (
            f"gaps of up to {gap} px part others: {_CLOSES} closes them"
            if gap
            else "no gap to be closed"
        )

    def _named(self, categories: Mapping[int, int]) -> dict[str, int]:
        return {f"{self.category_names[c]} ({c})": n for c, n in categories.items()}

    def opening(self) -> list[str]:
        """Three lines for the beginning of a conversion, each "name  value".

        What there is to say where nothing touches is left to ``not_touching``.
        """
        survey, tally, census = self.survey, self.survey.tally, self.survey.census
        listed, annotated = self.images
        looked_at = f"{tally.instances:,} instances"
        if survey.looked_at < annotated:
            looked_at += f" in {survey.looked_at:,} images at equal distances"
        overlaps = "" if self.predicted else f", {tally.overlapping:,} of them overlap"
        odd = [line for line in self.oddities() if line != self.not_touching()]
        more = f" (and {len(odd) - 1} more: deocclusion-d2 check)" if len(odd) > 1 else ""
        return aligned(
            [
                (
                    "to convert",
                    f"{self.items:,} annotations in {annotated:,} of {listed:,} images; looked at: "
                    f"{looked_at}",
                ),
                (
                    "neighbours",
                    f"{census.touching:,} touching pairs{overlaps}; "
                    f"{share(survey.touching_instances, survey.visible)} of the instances in them; "
                    f"{self._gap_in_short()}",
                ),
                ("odd", f"{odd[0]}{more}" if odd else "nothing"),
            ]
        ).splitlines()

    # ---------------------------------------------------------------- JSON

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-able. Quantiles are None where there is nothing to take them of."""
        survey, tally, census = self.survey, self.survey.tally, self.survey.census
        listed, annotated = self.images
        return {
            "images": {
                "listed": listed,
                "annotated": annotated,
                "with_instances": tally.images,
                "sizes": [
                    {"height": h, "width": w, "images": n}
                    for (h, w), n in sorted(survey.sizes.items(), key=_most_first)
                ],
            },
            "instances": {
                "count": tally.instances,
                "visible": survey.visible,
                "empty": tally.hidden,
                "boxes_without_mask": tally.boxes_kept,
                "normalised": tally.normalised,
                "crowds": tally.crowds,
                "skipped": sum(tally.skipped.values()),
                "low_scores": tally.low_scores,
                "written_as": {way.replace(" ", "_"): survey.written[way] for way in WAYS},
                "per_image": _quantiles(list(survey.per_image.elements())),
                "area": _quantiles(survey.areas),
                "sqrt_area": _quantiles(np.sqrt(survey.areas)),
                "cut_by_border": survey.cut,
                "rectangles": survey.rectangles,
                "duplicates": survey.duplicates,
                "tiny": survey.tiny,
                "boxes_elsewhere": survey.displaced,
            },
            "categories": [
                {"id": c, "name": name, "instances": survey.categories[c]}
                for c, name in sorted(self.category_names.items())
            ],
            "unknown_category_ids": [
                {"id": c, "annotations": n} for c, n in sorted(survey.unknown_categories.items())
            ],
            "pairs": {
                "touching": census.touching,
                "touching_instances": survey.touching_instances,
                "overlapping": tally.overlapping,
                "overlapping_pixels": tally.shared_pixels,
                "by_gap": census.pairs.tolist(),
                "by_overlap": census.overlaps.tolist(),
                "closing": census.closing(),
            },
            "assumed": dict(tally.assumed.counts),
            "skipped": dict(tally.skipped),
            "odd": self.oddities(),
        }


# -------------------------------------------------------------------- numbers as text


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """ "min", "p5" ... "p95", "max": each a value that is there; None of no values."""
    if not len(values):
        return None
    levels = [0, *_QUANTILES, 100]
    found = np.percentile(values, levels, method="inverted_cdf")
    names = ["min", *(f"p{level}" for level in _QUANTILES), "max"]
    return {name: round(value, 2) for name, value in zip(names, found.tolist(), strict=True)}


def _spread(quantiles: Mapping[str, float] | None) -> str:
    if quantiles is None:
        return "-"
    if quantiles["min"] == quantiles["max"]:
        return f"{quantiles['min']:,.4g}"
    lowest, *middle, highest = (
        f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in quantiles.values()
    )
    levels = " / ".join(map(str, _QUANTILES))
    return f"{lowest} to {highest}; {' / '.join(middle)} at {levels} %"


def _gaps(pairs: np.ndarray) -> str:
    """Such as "1: 20, 2: 9, 5-8: 3": what is 0 is left out, and wide gaps stand together."""
    edges = [1, 2, 3, 4, 5, 9, 17, len(pairs)]
    texts = [
        f"{low if high == low + 1 else f'{low}-{high - 1}'}: {count:,}"
        for low, high in pairwise(edges)
        if (count := int(pairs[low:high].sum()))
    ]
    return ", ".join(texts) or "-"


def _most_first(item: tuple[Any, int]) -> tuple[int, Any]:
    return -item[1], item[0]


def _listed(counts: Mapping[str, int], more: str) -> str:
    """The most frequent ones, such as "car: 12, person: 3, 4 more"."""
    ordered = sorted(counts.items(), key=_most_first)
    texts = [f"{name}: {count:,}" for name, count in ordered[:_MOST_LISTED] if count]
    if len(ordered) > _MOST_LISTED:
        texts.append(f"{len(ordered) - _MOST_LISTED:,} {more}")
    return ", ".join(texts) or "-"


def _counted(*rows: tuple[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in rows if count]


def _ids(counts: Mapping[int, int]) -> str:
    """Such as "category ids 0 (3 x) and -1 (1 x)"."""
    shown = ", ".join(
        f"{number} ({count:,} x)" for number, count in sorted(counts.items())[:_MOST_LISTED]
    )
    more = f" and {len(counts) - _MOST_LISTED:,} more" if len(counts) > _MOST_LISTED else ""
    return f"category id{'s' if len(counts) > 1 else ''} {shown}{more}"
