"""Decomposition of small scenes whose pieces are known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from deocclusion_d2.decomposition import check_object_name, decompose, decompose_scenes
from deocclusion_d2.decomposition.decompose import layer_masks, readable_name
from deocclusion_d2.editing import SceneEditor
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.content import ContentFiller, SmoothFiller
from deocclusion_d2.structures import (
    Deocclusion,
    LayeredScene,
    MaskSample,
    OcclusionGraph,
    Scene,
    WindowMask,
)
from deocclusion_d2.systems.pcnet_c.steps import ContentCompletion
from tests.helpers import box_mask, scene_of

HEIGHT, WIDTH = 60, 80


class Painter(ContentFiller):
    """Fills object holes with the category's number times 10, the background with 7."""

    def fill(self, holes):
        self.holes = list(holes)
        windows = []
        for hole in holes:
            value = 7 if hole.visible.area > HEIGHT * WIDTH // 3 else hole.category_id * 10
            windows.append(np.full((*hole.missing.array.shape, 3), value, np.uint8))
        return windows

    def describe(self):
        return {"content": "painter"}


class MeanRunner:
    """A network that sees something of everything in its patch."""

    uses_category = False

    def outputs(self, samples, key):
        for sample in samples:
            size = sample["image"].shape[0]
            mean = sample["image"].astype(np.float32).mean(axis=(0, 1))
            yield mean + np.arange(size, dtype=np.float32)[None, :, None]


def redrawn(layered: LayeredScene) -> np.ndarray:
    """The layers over the background, occluders last."""
    picture = layered.background.copy()
    for row in reversed(list(nx.topological_sort(layered.graph.graph))):
        layer = layered.layers[row]
        h, w = layer.rgba.shape[:2]
        window = picture[layer.y0 : layer.y0 + h, layer.x0 : layer.x0 + w]
        opaque = layer.rgba[..., 3] == 255
        window[opaque] = layer.rgba[opaque][:, :3]
    return picture


def random_scene(seed: int) -> tuple[Scene, Deocclusion]:
    """Ellipses in front of each other, then spoiled: gaps, overlaps, amodal masks far too large."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((HEIGHT, WIDTH))
    whole = []
    for _ in range(7):
        cx, cy = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        a, b = rng.integers(6, 24, 2)
        whole.append(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1)
    modal, front = [], np.zeros((HEIGHT, WIDTH), bool)
    for mask in whole:  # the first one is in front
        modal.append(mask & ~front & (rng.random(mask.shape) < 0.97))
        front |= mask
    modal[2] |= modal[3] & (x % 7 == 0)  # annotated masks may overlap
    scene = scene_of(modal, [1, 2, 3, 4, 5, 6, 7])
    scene.image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    graph = OcclusionGraph(7)
    for i in range(7):
        for j in range(i + 1, 7):
            if (whole[i] & whole[j]).any() and rng.random() < 0.8:
                graph.add_occlusion(i, j)
    too_large = [WindowMask.from_array(m).dilate(5) for m in whole]
    return scene, Deocclusion(graph, too_large)


@pytest.mark.parametrize("dilation", [0, 3])
@pytest.mark.parametrize("seed", range(6))
def test_layers_over_the_background_give_the_photo_to_the_bit(seed, dilation):
    scene, result = random_scene(seed)
    content = ContentCompletion(MeanRunner(), patch_size=32)
    layered = decompose(scene, result, content, dilation=dilation, inset=0)
    np.testing.assert_array_equal(redrawn(layered), scene.image)
    hidden = sum(layer.amodal_mask.area - layer.modal_mask.area for layer in layered.layers)
    assert hidden > 50
    free = ~np.any([layer.amodal_mask.to_array(HEIGHT, WIDTH) for layer in layered.layers], axis=0)
    np.testing.assert_array_equal(layered.background[free], scene.image[free])
    assert (layered.background != scene.image).any()


@pytest.mark.parametrize("seed", range(3))
def test_visible_pixels_are_the_photo_and_alpha_is_the_amodal_mask(seed):
    scene, result = random_scene(seed)
    layered = decompose(scene, result, Painter(), dilation=0, inset=0)
    assert [layer.instance_id for layer in layered.layers] == [
        i for i in range(7) if scene.modal_masks[i].area
    ]
    for layer in layered.layers:
        assert layer.modal_mask == scene.modal_masks[layer.instance_id]
        assert (layer.x0, layer.y0) == layer.amodal_mask.box[:2]
        np.testing.assert_array_equal(layer.rgba[..., 3], layer.amodal_mask.array * np.uint8(255))
        assert not layer.rgba[~layer.amodal_mask.array].any()
        x0, y0, x1, y1 = layer.amodal_mask.box
        visible = layer.modal_mask.crop((x0, y0, x1, y1))
        photo = scene.image[y0:y1, x0:x1]
        np.testing.assert_array_equal(layer.rgba[visible][:, :3], photo[visible])


def two_boxes() -> tuple[Scene, Deocclusion]:
    """Row 1 (category 3), x 10-50, behind row 0 (category 2), x 40-60."""
    front, back = (
        box_mask(HEIGHT, WIDTH, 40, 10, 60, 50),
        box_mask(HEIGHT, WIDTH, 10, 20, 40, 40),
    )
    scene = scene_of([front, back], [2, 3])
    scene.image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    graph = OcclusionGraph(2)
    graph.add_occlusion(0, 1)
    amodal = [scene.modal_masks[0], WindowMask.filled((10, 20, 50, 40))]
    return scene, Deocclusion(graph, amodal)


def test_hidden_parts_and_background_get_their_content():
    scene, result = two_boxes()
    content = Painter()
    layered = decompose(scene, result, content, ["van", "Traffic Light/2"], 0, inset=0)
    assert [layer.name for layer in layered.layers] == ["van-0", "traffic-light-2-1"]
    assert [layer.category for layer in layered.layers] == ["van", "Traffic Light/2"]
    back = layered.layers[1]
    assert (back.x0, back.y0, back.rgba.shape) == (10, 20, (20, 40, 4))
    assert (back.rgba[:, :30, :3] == 200).all() and (back.rgba[:, 30:, :3] == 30).all()
    assert back.occlusion_rate == pytest.approx(0.25)
    assert (layered.layers[0].rgba == [200, 200, 200, 255]).all()
    union = box_mask(HEIGHT, WIDTH, 40, 10, 60, 50) | box_mask(HEIGHT, WIDTH, 10, 20, 40, 40)
    np.testing.assert_array_equal(layered.background[..., 0], np.where(union, 7, 200))
    assert layered.graph.edges == [(0, 1)]
    assert layered.description == {
        "content": "painter",
        "content_dilation": 0,
        "edge_inset": 0,
    }
    # The hole of the object is filled from its own pixels, the hidden ones only.
    assert content.holes[0].missing == WindowMask.filled((40, 20, 50, 40))
    assert content.holes[0].visible == scene.modal_masks[1]


def test_results_do_not_depend_on_the_scenes_beside():
    pairs = [random_scene(seed) for seed in (0, 1)]
    content = ContentCompletion(MeanRunner(), patch_size=32)
    together = decompose_scenes([s for s, _ in pairs], [r for _, r in pairs], content)
    for both, (scene, result) in zip(together, pairs, strict=True):
        alone = decompose(scene, result, content)
        np.testing.assert_array_equal(both.background, alone.background)
        for a, b in zip(both.layers, alone.layers, strict=True):
            np.testing.assert_array_equal(a.rgba, b.rgba)


def test_an_amodal_mask_is_cut_on_what_does_not_hide_it_and_shows_the_photo_between():
    """Row 0 reaches over row 1, which it does not lie behind, and over a gap of 2 pixels."""
    left, right = box_mask(HEIGHT, WIDTH, 10, 10, 30, 30), box_mask(HEIGHT, WIDTH, 32, 10, 50, 30)
    scene = scene_of([left, right])
    scene.image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    amodal = [WindowMask.filled((10, 10, 45, 30)), scene.modal_masks[1]]
    layered = decompose(
        scene, Deocclusion(OcclusionGraph(2), amodal), Painter(), dilation=0, inset=0
    )
    assert layered.layers[0].amodal_mask == WindowMask.filled((10, 10, 32, 30))
    assert (layered.layers[0].rgba == [90, 90, 90, 255]).all()


def test_samples_are_cut_as_the_amodal_mask_is():
    """Under what hides it an object may reach anywhere, over others nowhere."""
    scene, result = two_boxes()
    reaching = [WindowMask.filled((10, 20, 70, 40)), WindowMask.filled((10, 20, 50, 40))]
    # Row 0 lies behind nobody, and may reach over nobody.
    of_front = [WindowMask.filled((30 + k, 10, 60, 50)) for k in (0, 5)]
    result.samples = [
        [MaskSample(mask | scene.modal_masks[0], 0.5) for mask in of_front],
        [MaskSample(mask, weight) for mask, weight in zip(reaching, (0.25, 0.75), strict=True)],
    ]
    front, back = decompose(scene, result, Painter(), dilation=3, inset=0).layers
    for layer in (front, back):
        assert sum(sample.weight for sample in layer.samples) == 1
        for sample in layer.samples:
            assert (layer.modal_mask - sample.mask).is_empty
    assert [s.weight for s in back.samples] == [0.75, 0.25]
    assert back.samples[0].mask == back.amodal_mask
    assert back.samples[1].mask == back.amodal_mask | reaching[0]
    assert all((s.mask & scene.modal_masks[1]).is_empty for s in front.samples)
    # Without any, there are none.
    plain = decompose(*two_boxes(), Painter(), dilation=3, inset=0)
    assert [layer.samples for layer in plain.layers] == [[], []]


def test_objects_take_over_the_pixels_of_nobody_around_them():
    scene, result = two_boxes()
    modal, amodal = layer_masks(scene, result, dilation=3)
    assert modal[0] == WindowMask.filled((39, 9, 61, 51)) - scene.modal_masks[1]
    assert modal[1] == WindowMask.filled((9, 19, 41, 41)) - scene.modal_masks[0]
    assert amodal[1] == modal[1] | WindowMask.filled((40, 20, 50, 40))
    unchanged = layer_masks(scene, result, dilation=0)
    assert unchanged == (scene.modal_masks, result.amodal_masks)


def test_masks_end_at_the_image():
    scene = scene_of([box_mask(HEIGHT, WIDTH, 0, 0, 10, 10), box_mask(HEIGHT, WIDTH, 0, 10, 9, 60)])
    scene.image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    graph = OcclusionGraph(2)
    graph.add_occlusion(1, 0)
    amodal = [WindowMask.filled((-20, -5, 10, 30)), scene.modal_masks[1]]
    layered = decompose(scene, Deocclusion(graph, amodal), Painter(), dilation=5, inset=0)
    assert layered.layers[0].amodal_mask.box == (0, 0, 12, 30)
    np.testing.assert_array_equal(redrawn(layered), scene.image)


def test_instances_without_a_visible_pixel_are_left_out():
    masks = [box_mask(HEIGHT, WIDTH, *b) for b in ((5, 5, 9, 9), (0, 0, 0, 0), (9, 5, 20, 9))]
    scene = scene_of(masks, [1, 2, 3])
    scene.image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    graph = OcclusionGraph(3)
    graph.add_occlusion(2, 0)
    graph.add_neighbours(0, 1)
    layered = decompose(scene, Deocclusion(graph, scene.modal_masks), categories=["a", "b", "c"])
    assert [layer.name for layer in layered.layers] == ["a-0", "c-1"]
    assert [layer.instance_id for layer in layered.layers] == [0, 2]
    assert layered.graph.edges == [(1, 0)] and layered.graph.neighbour_pairs == [(0, 1)]
    assert layered.description["content"] == "smooth"


def test_what_cannot_be_decomposed():
    scene, result = two_boxes()
    with pytest.raises(UserError, match="CONTENT_DILATION = 4"):
        decompose(scene, result, dilation=4)
    scene.image = None
    with pytest.raises(UserError, match="needs the image"):
        decompose(scene, result)
    nothing = scene_of([np.zeros((HEIGHT, WIDTH), bool)])
    nothing.image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(UserError, match="no object"):
        decompose(nothing, Deocclusion(OcclusionGraph(1), nothing.modal_masks))


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("car", "car"),
        (" Wine glass ", "wine-glass"),
        ("../etc", "etc"),
        ("寿司", "寿司"),
        ("A\u0308pfel", "äpfel"),  # two characters that are one letter
        ("İstanbul", "i̇stanbul"),
        ("हिन्दी", "हिन्दी"),  # vowels are marks
        ("กุ้ง", "กุ้ง"),
        ("می\u200cخواهم", "میخواهم"),  # a joiner that is not seen
        ("\u202egnp.exe", "gnp-exe"),
        ("\x1b[31mred", "31mred"),
        ("☂ *", "object"),
        ("\u0301", "object"),  # a mark without a letter
        ("x" * 63, "x" * 40),
        ("word " * 20, "word-word-word-word-word-word-word-word"),
        ("e\u0323\u0302" * 39 + "ab\u0323\u0302c", "ệ" * 39 + "a"),
    ],
)
def test_categories_in_names(category, name):
    assert readable_name(category) == name
    check_object_name(f"{readable_name(category)}-0")


def test_cyclic_graphs_are_decomposed_too():
    boxes = ((5, 5, 30, 30), (30, 5, 55, 30), (5, 30, 55, 50))
    scene = scene_of([box_mask(HEIGHT, WIDTH, *b) for b in boxes])
    scene.image = np.full((HEIGHT, WIDTH, 3), 5, np.uint8)
    graph = OcclusionGraph(3)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        graph.add_occlusion(i, j)
    whole = [WindowMask.filled((0, 0, WIDTH, HEIGHT))] * 3
    layered = decompose(scene, Deocclusion(graph, whole), Painter(), dilation=0, inset=0)
    assert all(layer.amodal_mask == whole[0] for layer in layered.layers)


# ------------------------------------------------------------------ soft edges


@pytest.mark.parametrize("seed", range(3))
def test_with_soft_edges_the_unedited_scene_is_the_photo(seed):
    scene, result = random_scene(seed)
    layered = decompose(scene, result, Painter())
    np.testing.assert_array_equal(layered.photo, scene.image)
    np.testing.assert_array_equal(SceneEditor(layered).compose(), scene.image)
    assert (redrawn(layered) != scene.image).any()
    hard = decompose(scene, result, Painter(), inset=0)
    assert hard.photo is None
    for soft, layer in zip(layered.layers, hard.layers, strict=True):
        assert soft.amodal_mask == layer.amodal_mask and soft.modal_mask == layer.modal_mask
        np.testing.assert_array_equal(soft.rgba[..., 3] > 0, layer.rgba[..., 3] > 0)
        assert not soft.rgba[~soft.amodal_mask.array].any()


def box_with_mixed_edges() -> tuple[Scene, Deocclusion]:
    """A box (200) at x 20-50, y 15-45 on a ground (40); 1 px on either side of its border is 120.

    It touches nothing, and a bar (200) at y 50-60 runs from the image's left edge to x = 10.
    """
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[14:46, 19:51] = 120
    image[16:44, 21:49] = 200
    image[50:60, 0:10] = 200
    scene = scene_of(
        [box_mask(HEIGHT, WIDTH, 20, 15, 50, 45), box_mask(HEIGHT, WIDTH, 0, 50, 10, 60)]
    )
    scene.image = image
    return scene, Deocclusion(OcclusionGraph(2), scene.modal_masks)


def test_edges_are_soft_in_the_objects_own_colours():
    scene, result = box_with_mixed_edges()
    layer, bar = decompose(scene, result, inset=2).layers
    assert (layer.x0, layer.y0, layer.rgba.shape) == (19, 14, (32, 32, 4))
    # 120 is gone, on the box's own border and on the ring that it has taken over.
    assert (layer.rgba[..., :3] == 200).all()
    # Across an edge, the blurred step 0 0 | 1 1 1 is 1/16, 5/16, 11/16, 15/16, 1; as a share of the
    # greatest value within two pixels: 5/15 outside, 11/16 inside.
    assert layer.rgba[10, :5, 3].tolist() == [85, 175, 239, 255, 255]
    assert layer.rgba[10, -5:, 3].tolist() == [255, 255, 239, 175, 85]
    assert layer.rgba[:5, 10, 3].tolist() == [85, 175, 239, 255, 255]
    # The image's edge is none of the object.
    assert (bar.rgba[5, :8, 3] == 255).all() and bar.rgba[5, -1, 3] == 85


def test_the_background_has_no_rim():
    scene, result = box_with_mixed_edges()
    soft = decompose(scene, result, inset=2).background
    assert np.abs(soft[:48].astype(int) - 40).max() <= 1
    hard = decompose(scene, result, SmoothFiller(inset=0), dilation=0, inset=0).background
    assert (hard[:48] == 120).any()


def test_thin_objects_stay_opaque_and_keep_their_colours():
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[10:50, 30], image[10:50, 40:42] = 200, 150
    masks = [box_mask(HEIGHT, WIDTH, 30, 10, 31, 50), box_mask(HEIGHT, WIDTH, 40, 10, 42, 50)]
    scene = scene_of(masks)
    scene.image = image
    line, double = decompose(scene, Deocclusion(OcclusionGraph(2), scene.modal_masks)).layers
    # 6/16 in the middle is the greatest value near by; 4/16 beside it.
    assert line.rgba[20, :, 3].tolist() == [170, 255, 170]
    assert double.rgba[20, :, 3].tolist() == [128, 255, 255, 128]
    assert (line.rgba[..., :3] == 200).all() and (double.rgba[..., :3] == 150).all()


def test_what_an_occluder_has_mixed_in_is_gone_where_it_is_moved_away():
    """The back box (row 1, 200) holds 2 px of the front one's 90 at its border."""
    scene, result = two_boxes()
    scene.image[:] = 200
    scene.image[10:50, 38:62] = 90
    layered = decompose(scene, result, SmoothFiller(), ["front", "back"])
    back = layered.layers[1]
    inside = back.rgba[..., 3] == 255
    assert np.abs(back.rgba[inside][:, :3].astype(int) - 200).max() <= 2
    editor = SceneEditor(layered)
    editor.delete("front-0")
    assert np.abs(editor.compose().astype(int) - 200).max() <= 2


@pytest.mark.parametrize("inset", [-1, 33])
def test_an_inset_out_of_range_is_refused(inset):
    scene, result = two_boxes()
    with pytest.raises(UserError, match=f"CONTENT_INSET = {inset}: use 0 to 32 pixels"):
        decompose(scene, result, inset=inset)
