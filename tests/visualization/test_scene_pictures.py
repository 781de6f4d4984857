"""Pictures of scenes: exact pixels of the fills, and where arrows, tags and panels end up."""

import itertools

import cv2
import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import (
    Deocclusion,
    LayeredScene,
    ObjectLayer,
    OcclusionGraph,
    ProbabilityMap,
    Scene,
    SceneTruth,
    WindowMask,
)
from deocclusion_d2.visualization import (
    draw_amodal_boxes,
    draw_amodal_masks,
    draw_hidden_probability,
    draw_modal_masks,
    draw_occlusion_graph,
    instance_color,
    scene_panels,
)
from deocclusion_d2.visualization.canvas import SceneCanvas, drawable, text_width
from deocclusion_d2.visualization.insets import inset_windows, small_parts
from deocclusion_d2.visualization.labels import layered_labels, scene_labels
from deocclusion_d2.visualization.legend import HATCHED, graph_signs, legend, object_key
from deocclusion_d2.visualization.palette import (
    ARROW,
    BACKGROUND,
    CYCLE,
    PANEL,
    color_numbers,
)
from deocclusion_d2.visualization.placement import (
    Node,
    arc_points,
    choose_bend,
    covered_tags,
    interior_node,
    place_tags,
    place_texts,
)
from deocclusion_d2.visualization.scene import (
    _choose_tags,
    arrow_ends,
    draw_signed_graph,
    page_columns,
    title_height,
    titled_grid,
    with_insets,
)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> WindowMask:
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


def scene_of(masks: list[WindowMask], height: int = 120, width: int = 160, **more) -> Scene:
    return Scene(height, width, masks, np.ones(len(masks)), **more)


def count_color(picture: np.ndarray, color: tuple[int, int, int], tolerance: int = 12) -> int:
    return int((np.abs(picture.astype(int) - color).max(axis=-1) <= tolerance).sum())


def distance(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


@pytest.fixture
def pair() -> tuple[Scene, list[WindowMask]]:
    """Instance 0 at x 20-80; instance 1 visible at 80-140, hidden at 50-80 and 140-150."""
    scene = scene_of([rectangle(20, 20, 80, 100), rectangle(80, 40, 140, 80)])
    return scene, [scene.modal_masks[0], rectangle(50, 40, 150, 80)]


class TestAmodalMasks:
    def test_hidden_part_differs_from_visible_part_occluder_and_background(self, pair):
        scene, amodal = pair
        modal_picture = draw_modal_masks(scene)
        picture = draw_amodal_masks(scene, amodal)
        assert picture.shape == (120, 160, 3) and picture.dtype == np.uint8
        background, occluder, visible = picture[110, 150], picture[90, 40], picture[60, 110]
        assert tuple(background) == BACKGROUND
        np.testing.assert_array_equal(occluder, modal_picture[90, 40])
        np.testing.assert_array_equal(visible, modal_picture[60, 110])
        over_occluder, over_nothing = picture[45:75, 56:74], picture[45:75, 143:147]
        for hidden, others in (
            (over_occluder, (occluder, visible)),
            (over_nothing, (background, visible)),
        ):
            for other in others:
                apart = np.abs(hidden.astype(int) - other).max(axis=-1)
                assert (apart > 20).mean() > 0.95
        # Hatched: two levels, both often.
        levels, counts = np.unique(over_occluder.reshape(-1, 3), axis=0, return_counts=True)
        assert len(levels) == 2 and counts.min() > 0.3 * counts.sum()

    def test_instance_has_one_color_in_every_picture(self, pair):
        scene, amodal = pair
        pictures = [
            draw_modal_masks(scene),
            draw_amodal_masks(scene, amodal),
            draw_amodal_boxes(scene, np.full((2, 4), np.nan)),
        ]
        for point in ((90, 40), (60, 110)):
            assert len({tuple(p[point]) for p in pictures}) == 1
        graph = draw_occlusion_graph(scene, OcclusionGraph(2))
        for i in range(2):
            assert count_color(graph, instance_color(i), 2) > 40  # the tag

    def test_small_mask_stays_visible_on_a_larger_one_that_overlaps_it(self):
        small, large = rectangle(60, 40, 90, 70), rectangle(10, 10, 150, 110)
        picture = draw_modal_masks(scene_of([small, large]))
        assert distance(picture[55, 75], picture[100, 20]) > 40

    def test_completely_hidden_instance_is_hatched(self):
        scene = scene_of([rectangle(20, 20, 140, 100), WindowMask.empty()])
        picture = draw_amodal_masks(scene, [scene.modal_masks[0], rectangle(50, 40, 110, 80)])
        apart = np.abs(picture[45:75, 55:105].astype(int) - picture[30, 30]).max(axis=-1)
        assert (apart > 20).mean() > 0.9

    def test_boxes_are_drawn_where_known(self):
        scene = scene_of([rectangle(60, 50, 80, 70), rectangle(100, 50, 120, 70)])
        boxes = np.array([[20, 20, 90, 100], [np.nan] * 4])
        changed = (draw_amodal_boxes(scene, boxes) != BACKGROUND).any(axis=-1)
        assert changed[25:95, 18:23].all(axis=0).any()  # a vertical line at x = 20
        assert not changed[:, 125:].any()


class TestInteriorNode:
    def test_is_inside_a_mask_whose_centroid_is_not(self):
        array = np.zeros((60, 60), dtype=bool)
        array[5:55, 5:17] = array[5:55, 43:55] = array[43:55, 5:55] = True
        rows, columns = np.nonzero(array)
        assert not array[int(rows.mean()), int(columns.mean())]
        node = interior_node(WindowMask.from_array(array, 100, 200))
        assert array[int(node.y) - 200, int(node.x) - 100]

    @pytest.mark.parametrize("seed", range(5))
    def test_everything_within_the_radius_is_foreground(self, seed):
        noise = np.random.default_rng(seed).random((50, 70)).astype(np.float32)
        mask = WindowMask.from_array(cv2.GaussianBlur(noise, (0, 0), 5) > 0.5, 7, 9)
        node = interior_node(mask)
        full = mask.to_array(80, 100)
        rows, columns = np.mgrid[:80, :100]
        near = np.hypot(columns + 0.5 - node.x, rows + 0.5 - node.y) <= node.radius
        assert full[near].all() and full[int(node.y), int(node.x)]
        assert node.radius >= 2

    def test_single_pixel_and_empty(self):
        assert interior_node(rectangle(3, 4, 4, 5)) == Node(3.5, 4.5, 0.5)
        assert interior_node(WindowMask.empty()) is None


class TestOcclusionGraph:
    def test_arrow_ends_are_inside_the_masks(self):
        shapes = [rectangle(5, 5, 45, 60), rectangle(50, 20, 53, 23), rectangle(70, 70, 71, 71)]
        ring = np.zeros((40, 40), dtype=bool)
        ring[:] = True
        ring[8:32, 8:32] = False
        shapes.append(WindowMask.from_array(ring, 100, 10))
        size, checked = (14.0, 16.0), 0
        for scale in (1.0, 2.5):
            for a, b in itertools.permutations(shapes, 2):
                nodes = [interior_node(m).scaled(scale) for m in (a, b)]
                for end, mask in zip(
                    arrow_ends(*nodes, size, size, dot_radius=4.0), (a, b), strict=True
                ):
                    x, y = int(end[0] / scale), int(end[1] / scale)
                    assert mask.to_array(120, 160)[y, x]
                    checked += 1
        assert checked == 48

    def test_arrow_points_from_occluder_to_occludee(self):
        scene = scene_of([rectangle(10, 30, 75, 90), rectangle(75, 30, 150, 90)])

        def arrow_pixels_per_column(edge: tuple[int, int]) -> np.ndarray:
            graph = OcclusionGraph(2)
            graph.add_occlusion(*edge)
            picture = draw_occlusion_graph(scene, graph, scale=3.0).astype(int)
            return (np.abs(picture - ARROW).max(axis=-1) < 12).sum(axis=0)

        # The head is wider than the shaft, and lies at the occludee's end.
        forth, back = arrow_pixels_per_column((0, 1)), arrow_pixels_per_column((1, 0))
        middle = 75 * 3
        assert forth[middle - 40 : middle].max() < forth[middle:].max()
        assert back[:middle].max() > back[middle : middle + 40].max()

    def test_only_cycles_are_red(self):
        masks = [rectangle(10, 10, 70, 60), rectangle(70, 10, 140, 60), rectangle(40, 60, 110, 110)]
        scene = scene_of(masks)
        chain, cycle = OcclusionGraph(3), OcclusionGraph(3)
        for i, j in ((0, 1), (1, 2)):
            chain.add_occlusion(i, j)
            cycle.add_occlusion(i, j)
        cycle.add_occlusion(2, 0)
        white = count_color(draw_occlusion_graph(scene, chain), ARROW)
        assert count_color(draw_occlusion_graph(scene, chain), CYCLE) == 0 and white > 50
        assert count_color(draw_occlusion_graph(scene, cycle), CYCLE) > 50

    def test_neighbours_without_order_are_joined_by_dots(self):
        scene = scene_of([rectangle(10, 30, 75, 90), rectangle(75, 30, 150, 90)])
        alone, touching = OcclusionGraph(2), OcclusionGraph(2)
        touching.add_neighbours(0, 1)
        changed = draw_occlusion_graph(scene, alone) != draw_occlusion_graph(scene, touching)
        rows, columns, _ = np.nonzero(changed)
        assert rows.size and rows.min() > 50 and rows.max() < 70
        assert columns.min() < 75 < columns.max()

    def test_edge_of_an_invisible_instance_is_left_out(self):
        graph = OcclusionGraph(2)
        graph.add_occlusion(0, 1)
        picture = draw_occlusion_graph(
            scene_of([rectangle(10, 10, 90, 90), WindowMask.empty()]), graph
        )
        assert count_color(picture, ARROW) < 20 < count_color(picture, instance_color(0), 2)

    def test_bent_arrow_keeps_clear_of_a_node_on_its_way(self):
        start, end, between = Node(0, 0, 5), Node(100, 0, 5), Node(50, 2, 5)
        assert choose_bend(start, end, [Node(50, 60, 5)], 10) == 0.0
        bend = choose_bend(start, end, [between], 10)
        arc = arc_points((0, 0), (100, 0), bend)
        assert np.hypot(arc[:, 0] - 50, arc[:, 1] - 2).min() >= 10
        np.testing.assert_allclose(arc[[0, -1]], [[0, 0], [100, 0]], atol=1e-9)

    def test_tags_of_a_crowd_do_not_cover_each_other(self):
        rng = np.random.default_rng(0)
        nodes = [Node(*rng.uniform((300, 200), (480, 260)), 3.0) for _ in range(18)]
        nodes += [Node(2.0, 2.0, 1.0), Node(639.0, 359.0, 1.0)]
        size = (18.0, 15.0)
        centres = np.array(place_tags(nodes, [size] * 20, [], (360, 640), 3.0))
        for a, b in itertools.combinations(centres, 2):
            assert abs(a[0] - b[0]) >= size[0] - 1e-6 or abs(a[1] - b[1]) >= size[1] - 1e-6
        assert (centres >= np.array(size) / 2 - 1e-6).all()
        assert (centres <= np.array((640, 360)) - np.array(size) / 2 + 1e-6).all()
        nodes_at = np.array([[n.x, n.y] for n in nodes])
        assert np.hypot(*(centres - nodes_at).T).max() < 110


class TestPanels:
    @pytest.mark.parametrize(
        ("height", "width", "columns", "rows"), [(40, 120, 1, 5), (60, 80, 2, 3), (90, 40, 3, 2)]
    )
    def test_size_and_content(self, height, width, columns, rows):
        masks = [rectangle(5, 10, 20, 30), rectangle(20, 10, 35, 30)]
        scene = scene_of(masks, height, width, file_name="a/b.png")
        result = Deocclusion(OcclusionGraph(2), [masks[0], rectangle(15, 10, 35, 30)])
        truth = SceneTruth(amodal_masks=[masks[0], rectangle(10, 10, 35, 30)])
        page = scene_panels(scene, result, truth, scale=2.0)
        title = title_height(2 * height, 2 * width)
        margin = title // 4
        grid = rows * (2 * height + title + margin) + margin
        assert page.dtype == np.uint8 and page.shape[0] > grid + 20
        assert page.shape[1:] == (columns * (2 * width + margin) + margin, 3)
        assert (page[grid:] == PANEL).all(axis=-1).mean() > 0.5  # the legend
        wanted = {
            0: np.full((2 * height, 2 * width, 3), BACKGROUND, np.uint8),
            1: draw_modal_masks(scene, 2.0),
            2: draw_occlusion_graph(scene, result.graph, 2.0),
            3: draw_amodal_masks(scene, result.amodal_masks, 2.0),
            4: draw_amodal_masks(scene, truth.amodal_masks, 2.0),
        }
        for k, picture in wanted.items():
            top = margin + title + (k // columns) * (2 * height + title + margin)
            left = margin + (k % columns) * (2 * width + margin)
            found = page[top : top + 2 * height, left : left + 2 * width]
            np.testing.assert_array_equal(found, picture)
            caption = page[top - title : top, left : left + 2 * width]
            assert (caption < 180).any() and (caption[:, -1] > 200).all()

    def test_columns_follow_the_shape(self):
        street, photo, portrait = (375, 1242), (480, 640), (640, 480)
        assert [page_columns(5, *size) for size in (street, photo, portrait)] == [1, 2, 3]
        assert [page_columns(4, *size) for size in (street, photo, portrait)] == [1, 2, 2]

    def test_truth_decides_the_last_panel(self):
        masks = [rectangle(5, 10, 20, 30)]
        scene = scene_of(masks, 40, 120)
        result = Deocclusion(OcclusionGraph(1), masks)
        heights = [
            scene_panels(scene, result, truth, scale=1.0).shape[0]
            for truth in (
                None,
                SceneTruth(),
                SceneTruth(amodal_boxes=np.array([[5, 5, 30, 35]])),
                SceneTruth(amodal_masks=masks),
            )
        ]
        assert heights[0] == heights[1] < heights[2] == heights[3]

    def test_scale_is_chosen_by_the_shape(self):
        for height, width, panel_width in ((128, 416, 1600), (375, 1242, 1600), (480, 640, 900)):
            page = scene_panels(scene_of([], height, width), Deocclusion(OcclusionGraph(0), []))
            columns = 1 if width > 2 * height else 2
            margin = title_height(round(height * panel_width / width), panel_width) // 4
            assert page.shape[1] == columns * (panel_width + margin) + margin

    def test_image_is_drawn_in_rgb(self):
        image = np.zeros((40, 120, 3), dtype=np.uint8)
        image[..., 0] = 200
        scene = scene_of([], 40, 120, image=image)
        page = scene_panels(scene, Deocclusion(OcclusionGraph(0), []), scale=1.0)
        title = title_height(40, 120)
        np.testing.assert_array_equal(page[title // 4 + title + 20, 60], (200, 0, 0))

    def test_titles_shrink_to_fit(self):
        panels = [("a long title that goes on and on " * 3, np.zeros((30, 200, 3), np.uint8))]
        page = titled_grid(panels, 1)
        title, margin = title_height(30, 200), title_height(30, 200) // 4
        assert (page[margin : margin + title, 120:200] < 150).any()
        assert (page[:, -margin:] > 200).all()

    def test_same_input_same_picture(self, pair):
        scene, amodal = pair
        result = Deocclusion(OcclusionGraph(2), amodal)
        first, second = (scene_panels(scene, result, scale=1.0) for _ in range(2))
        np.testing.assert_array_equal(first, second)


class TestInput:
    def test_empty_scene(self):
        scene = scene_of([])
        for picture in (
            draw_modal_masks(scene),
            draw_amodal_masks(scene, []),
            draw_occlusion_graph(scene, OcclusionGraph(0)),
            draw_amodal_boxes(scene, np.zeros((0, 4))),
        ):
            assert picture.shape == (120, 160, 3) and (picture == BACKGROUND).all()

    def test_mask_beyond_the_border_is_cut(self):
        picture = draw_modal_masks(scene_of([rectangle(-30, -20, 40, 50)]), scale=1.5)
        assert picture.shape == (180, 240, 3)
        assert distance(picture[20, 20], BACKGROUND) > 40
        assert tuple(picture[100, 100]) == BACKGROUND

    def test_one_pixel_instance_is_drawn_at_any_scale(self):
        for scale in (0.5, 1.0, 3.0):
            picture = draw_modal_masks(scene_of([rectangle(51, 50, 52, 51)]), scale)
            assert (picture != BACKGROUND).any()

    def test_wrong_counts_and_sizes_are_named(self):
        scene = scene_of([rectangle(0, 0, 5, 5)], file_name="street.png")
        with pytest.raises(UserError, match=r"street.png.*1 instances.*2 amodal masks"):
            draw_amodal_masks(scene, [WindowMask.empty()] * 2)
        with pytest.raises(UserError, match=r"street.png.*3 nodes"):
            draw_occlusion_graph(scene, OcclusionGraph(3))
        scene.image = np.zeros((60, 80, 3), np.uint8)
        with pytest.raises(UserError, match=r"street.png.*120 x 160"):
            draw_modal_masks(scene)

    def test_first_colors_are_far_apart(self):
        colors = np.array([[instance_color(i) for i in range(20)]], dtype=np.float32) / 255
        lab = cv2.cvtColor(colors, cv2.COLOR_RGB2LAB)[0]
        apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
        assert min(apart) > 25
        assert instance_color(64) == instance_color(0)


class TestHiddenProbability:
    def test_the_most_probable_is_the_brightest(self, pair):
        scene, _ = pair
        levels = np.array([[0, 30, 130, 255]], np.uint8).repeat(20, 0).repeat(5, 1)
        first = ProbabilityMap(52, 50, levels)  # x 57-62 at 0.12, 62-67 at 0.51, 67-72 at 1
        second = ProbabilityMap(66, 50, np.full((20, 6), 30, np.uint8))
        picture = draw_hidden_probability(scene, [first, second])
        at = [int(picture[60, x].sum()) for x in (59, 64, 69)]
        assert at == sorted(at) and at[2] - at[0] > 250
        # Where the second lies on the first, the higher one shows; where it is 0, the scene.
        alone = draw_hidden_probability(scene, [first, None])
        assert distance(picture[60, 69], alone[60, 69]) == 0
        nothing = draw_hidden_probability(scene, [None, None])
        assert distance(alone[60, 54], nothing[60, 54]) == 0

    def test_is_a_panel_where_it_is_kept(self, pair):
        scene, amodal = pair
        graph = OcclusionGraph(2)
        without = scene_panels(scene, Deocclusion(graph, amodal), scale=1.0)
        kept = Deocclusion(graph, amodal, probabilities=[None, None])
        kept = scene_panels(scene, kept, scale=1.0)
        assert kept.shape != without.shape


class TestColors:
    def test_an_object_keeps_its_colour_wherever_it_stands_among_the_others(self):
        """Frames of a video: the same ids, in another order, some gone."""
        a, b, c = (rectangle(10 + 50 * k, 20, 40 + 50 * k, 90) for k in range(3))
        first = draw_modal_masks(scene_of([a, b, c], instance_ids=[2001, 1003, "x"]))
        second = draw_modal_masks(scene_of([c, b], instance_ids=["x", 1003]))
        for x in (75, 125):
            assert tuple(first[50, x]) == tuple(second[50, x])
        assert len({tuple(first[50, x]) for x in (25, 75, 125)}) == 3

    def test_numbers_follow_ids_and_differ(self):
        assert color_numbers(range(64)) == list(range(64))
        assert color_numbers([64 + 5, 5]) == [6, 5]  # the smaller id keeps its colour
        assert color_numbers([5, 64 + 5]) == [5, 6]
        assert color_numbers([np.int64(7)]) == [7] and color_numbers([]) == []
        assert len(set(color_numbers([7] * 64))) == 64
        assert max(color_numbers(range(1000, 1200))) < 64
        assert color_numbers(["\udce9"]) == color_numbers(["\udce9"])


class TestLabels:
    def test_names_and_annotation_ids(self):
        scene = scene_of([rectangle(0, 0, 5, 5)] * 2, instance_ids=[900100, 7])
        labels = scene_labels(scene, ["car", ""])
        assert [label.short for label in labels] == ["0", "1"]  # the ids are too long
        assert [label.long for label in labels] == ["car 900100", "7"]
        assert labels[0].detail == "car, annotation 900100"
        assert labels[1].detail == "annotation 7"
        assert [label.short for label in scene_labels(scene_of([rectangle(0, 0, 5, 5)]))] == ["0"]

    def test_what_the_font_lacks_is_written_out_and_long_names_are_cut(self):
        assert drawable("car-0") == "car-0"
        assert drawable("\u732b-0") == "\\u732b-0"
        assert drawable("\u202ea\nb\x1b") == "\\u202ea\\nb\\x1b"
        assert drawable("a" * 60 + "-17", 20) == "a" * 13 + "\u2026aaa-17"
        assert len(drawable("\u732b" * 60 + "-17", 24)) <= 24

    def test_objects_are_numbered_as_they_are_named(self):
        """Rows of instances without a pixel are missing among the names."""
        mask = rectangle(0, 0, 4, 4)
        rgba = np.full((4, 4, 4), 255, np.uint8)
        layers = [
            ObjectLayer(name, 0, 0, rgba, mask, mask, instance_id=key)
            for name, key in (("car-0", 11), ("big-van-2", "k"))
        ]
        scene = LayeredScene(np.zeros((9, 9, 3), np.uint8), layers, OcclusionGraph(2))
        labels = layered_labels(scene)
        assert [label.short for label in labels] == ["0", "2"]
        assert [label.long for label in labels] == ["car-0", "big-van-2"]
        assert labels[1].detail == "big-van-2, annotation k"
        layers[1].name = "van"
        assert [label.short for label in layered_labels(scene)] == ["0", "1"]

    def test_signs_of_mathematics_in_a_name_are_letters(self):
        scene = scene_of([rectangle(10, 10, 150, 110)], 120, 160)
        labels = scene_labels(scene, ["$\\frac{$"])
        assert draw_occlusion_graph(scene, OcclusionGraph(1), 2.0, labels).shape == (240, 320, 3)

    @pytest.mark.parametrize("count", [1, 2, 10, 60])
    @pytest.mark.parametrize("size", [(120, 400), (700, 900)])
    def test_tags_never_lie_on_each_other(self, count, size):
        rng = np.random.default_rng(count)
        places = rng.uniform((20, 20), (size[1] - 20, size[0] - 20), (count, 2))
        nodes = {i: Node(*place, 6.0) for i, place in enumerate(places)}
        scene = scene_of([rectangle(0, 0, 5, 5)] * count)
        labels = scene_labels(scene, ["dining table"] * count)
        tags = list(_choose_tags(nodes, labels, 15.0, [], size, 3.0).values())
        assert covered_tags([t.centre for t in tags], [t.size for t in tags]) == []
        assert len(tags) >= min(count, 20)
        if count <= 2 or (count == 10 and size[0] == 700):
            assert {tag.text for tag in tags} == {label.long for label in labels}
        if count == 60:
            assert {tag.text for tag in tags} <= {label.short for label in labels}
        for tag in tags:
            assert text_width(tag.text, 0.78 * tag.size[1]) < tag.size[0]


class TestConfidences:
    def test_they_stand_on_their_arrows_and_cover_nothing(self):
        arc = arc_points((10, 50), (190, 50), 0.0)
        tag = ((100.0, 50.0), (40.0, 16.0))
        places = place_texts([arc, arc], [(20, 10)] * 2, [tag], [Node(10, 50, 1)], (100, 200))
        (x0, y0), (x1, y1) = places
        assert (round(y0), round(y1)) == (50, 50) and abs(x0 - x1) >= 20
        assert all(abs(x - 100) >= 30 and 10 < x < 190 for x in (x0, x1))
        assert place_texts([arc[:3]], [(60, 10)], [tag], [Node(10, 50, 1)], (100, 200)) == [None]

    def test_they_are_written_where_they_are_known(self):
        scene = scene_of([rectangle(5, 20, 75, 100), rectangle(85, 20, 155, 100)])
        pictures, signs = {}, {}
        for confidence in (None, 0.25, 1.0):
            graph = OcclusionGraph(2)
            graph.add_occlusion(0, 1, confidence=confidence)
            pictures[confidence], signs[confidence] = draw_signed_graph(scene, graph, 4.0)
        assert not np.array_equal(pictures[0.25], pictures[1.0])
        changed = (pictures[None] != pictures[0.25]).any(axis=-1)
        rows, _ = np.nonzero(changed)
        assert changed.any() and rows.min() > 200 and rows.max() < 280  # the arrow is at 240
        kinds = {key: [kind for kind, _ in found] for key, found in signs.items()}
        assert kinds == {
            None: ["arrow"], 0.25: ["arrow", "confidence"], 1.0: ["arrow", "confidence"]
        }  # fmt: skip


class TestLegend:
    def test_it_holds_what_the_graph_holds(self):
        graph = OcclusionGraph(5)
        assert graph_signs(graph, False) == []
        graph.add_neighbours(0, 1)
        assert [kind for kind, _ in graph_signs(graph, False)] == ["dotted"]
        graph.add_mutual(0, 1, (3, 4))  # no longer a pair of which nothing is known
        assert [kind for kind, _ in graph_signs(graph, False)] == ["mutual"]
        for edge in ((2, 3), (3, 4), (4, 2)):
            graph.add_occlusion(*edge)
        assert [kind for kind, _ in graph_signs(graph, False)] == ["arrow", "cycle", "mutual"]

    def test_mutual_pairs_have_a_line_of_their_own(self):
        scene = scene_of([rectangle(10, 30, 75, 90), rectangle(75, 30, 150, 90)])
        pictures = [draw_occlusion_graph(scene, OcclusionGraph(2), 3.0)]
        for mutual in (False, True):
            graph = OcclusionGraph(2)
            graph.add_neighbours(0, 1)
            if mutual:
                graph.add_mutual(0, 1, (3, 4))
            pictures.append(draw_occlusion_graph(scene, graph, 3.0))
        alone, grey, yellow = (picture.astype(int) for picture in pictures)
        for picture, is_yellow in ((grey, False), (yellow, True)):
            added = picture[np.abs(picture - alone).max(axis=-1) > 60]
            assert len(added) > 60
            assert (((added[:, 0] - added[:, 2]) > 25) == is_yellow).mean() > 0.85

    def test_it_wraps_and_keeps_to_its_width(self):
        graph = OcclusionGraph(3)
        graph.add_occlusion(0, 1, confidence=0.5)
        graph.add_neighbours(1, 2)
        signs = [*graph_signs(graph, True), HATCHED]
        heights = []
        for width in (300, 600, 1600):
            strip = legend(signs, width, 14.0)
            assert strip.shape[1:] == (width, 3)
            assert (strip[:, -6:] == PANEL).all() or width == 300
            heights.append(strip.shape[0])
        assert heights == sorted(heights, reverse=True) and heights[0] > heights[2]
        assert legend([], 600, 14.0).shape == (0, 600, 3)

    def test_every_object_is_in_the_key(self):
        for count in (1, 12, 60, 300):
            colors = [instance_color(0)] * count
            labels = scene_labels(scene_of([rectangle(0, 0, 5, 5)] * count), ["car"] * count)
            key = object_key(labels, colors, 1200, 14.0)
            boxes = (np.abs(key.astype(int) - instance_color(0)).max(-1) < 3).astype(np.uint8)
            boxes = cv2.morphologyEx(boxes, cv2.MORPH_CLOSE, np.ones((1, 9), np.uint8))
            assert cv2.connectedComponents(boxes)[0] - 1 == min(count, 240)
            assert key.shape[1] == 1200
        assert object_key([], [], 1200, 14.0).shape == (0, 1200, 3)
        long = scene_labels(scene_of([rectangle(0, 0, 5, 5)]), ["W" * 60])
        assert object_key(long, [ARROW], 130, 14.0).shape[1] == 130


class TestInsets:
    def scene(self) -> tuple[Scene, list[WindowMask]]:
        """1 hides 2 columns of 0; another part of it, 30 px thick, can be seen."""
        front, back = rectangle(200, 140, 240, 180), rectangle(160, 140, 200, 180)
        large = rectangle(240, 140, 300, 180)
        scene = scene_of([back, front, large], 300, 400)
        return scene, [rectangle(160, 140, 202, 180), front, rectangle(210, 140, 300, 180)]

    def test_only_what_is_small_is_enlarged_into_a_free_corner(self):
        scene, amodal = self.scene()
        hidden = [a - m for a, m in zip(amodal, scene.modal_masks, strict=True)]
        unit = SceneCanvas(scene, 2.0).unit
        assert small_parts(hidden, 2.0, unit) == [0]
        assert small_parts(hidden, 12.0, unit) == []
        ((window, corner),) = inset_windows(scene, hidden, 2.0, unit)
        assert window[0] < 195 and window[2] > 207 and 140 < (window[1] + window[3]) / 2 < 180
        assert corner[2] - corner[0] >= 2.5 * 2.0 * (window[2] - window[0])
        busy = np.zeros((600, 800), bool)
        busy[280:360, 320:600] = True
        assert not busy[corner[1] : corner[3], corner[0] : corner[2]].any()

    def test_the_corner_shows_the_hidden_part_and_the_rest_stays(self):
        scene, amodal = self.scene()
        plain = draw_amodal_masks(scene, amodal, 2.0)
        colors = [instance_color(i) for i in range(3)]
        picture, enlarged = with_insets(plain, scene, amodal, 2.0, colors)
        assert enlarged
        hidden = [a - m for a, m in zip(amodal, scene.modal_masks, strict=True)]
        ((_, (x0, y0, x1, y1)),) = inset_windows(scene, hidden, 2.0, SceneCanvas(scene, 2.0).unit)
        corner = picture[y0:y1, x0:x1].astype(int)
        for color in colors[:2]:
            mixed = np.round(0.62 * np.array(color) + 0.38 * np.array(BACKGROUND))
            assert (np.abs(corner - mixed).max(-1) < 6).sum() > 2000
        rest = np.s_[:250] if y0 > 300 else np.s_[400:]
        np.testing.assert_array_equal(picture[rest], plain[rest])

    def test_a_small_or_a_full_picture_has_none(self):
        scene, amodal = self.scene()
        colors = [instance_color(i) for i in range(3)]
        plain = draw_amodal_masks(scene, amodal, 0.5)
        same, enlarged = with_insets(plain, scene, amodal, 0.5, colors)
        assert not enlarged and same is plain
        scene.modal_masks[2] = rectangle(0, 0, 400, 300)
        amodal[2] = scene.modal_masks[2]
        hidden = [a - m for a, m in zip(amodal, scene.modal_masks, strict=True)]
        assert inset_windows(scene, hidden, 2.0, 1.0) == []
