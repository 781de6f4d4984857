"""What may hide the instances of a data set, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.occluders import Occluders
from deocclusion_d2.structures import OcclusionGraph, Scene, WindowMask

# Of two images: a chain of three that touch and one alone; one alone, and a pair.
BOXES = (
    [(0, 0, 10, 10), (10, 0, 20, 10), (20, 0, 30, 10), (50, 50, 60, 60)],
    [(50, 50, 60, 60), (0, 0, 10, 10), (5, 10, 20, 20)],
)


def table() -> InstanceTable:
    records = [
        {
            "file_name": f"{k}.png",
            "image_id": k,
            "height": 70,
            "width": 80,
            "annotations": [
                {
                    "id": 10 * k + row,
                    "dataset_category_id": 1,
                    "modal_segmentation": WindowMask.filled(box).to_rle(70, 80),
                }
                for row, box in enumerate(boxes)
            ],
        }
        for k, boxes in enumerate(BOXES)
    ]
    return InstanceTable(records)


def test_without_an_order_any_neighbour_may_hide():
    found = Occluders(table())
    assert [found.of(row) for row in range(len(found))] == [[1], [0, 2], [1], [], [], [6], [5]]
    assert found.whole.tolist() == [3, 4]
    assert found.hidden.tolist() == [0, 1, 2, 5, 6]


def test_with_an_order_it_is_what_lies_in_front_of_it_at_any_distance():
    """0 hides 1 and 1 hides 2 in the first image; nothing is said of the second."""
    asked: list[Sequence[int]] = []

    def order(read: Callable[[Sequence[int]], list[Scene]], count: int) -> Iterator[OcclusionGraph]:
        for number in range(count):
            asked.append([number])
            scene = read([number])[0]
            assert (scene.height, scene.width) == (70, 80)
            assert [mask.box for mask in scene.modal_masks] == list(BOXES[number])
            graph = OcclusionGraph(len(scene))
            if number == 0:
                graph.add_occlusion(0, 1)
                graph.add_occlusion(1, 2)
            yield graph

    found = Occluders(table(), order)
    assert [found.of(row) for row in range(len(found))] == [[], [0], [0, 1], [], [], [], []]
    assert found.whole.tolist() == [0, 3, 4, 5, 6]
    assert asked == [[0], [1]]
