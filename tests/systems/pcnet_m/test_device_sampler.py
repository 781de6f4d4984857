"""Samples made on a device, here the CPU's tensors, are those of the sampler that makes one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_util
from torch.utils._python_dispatch import TorchDispatchMode

from deocclusion_d2.config import fingerprint, load_config
from deocclusion_d2.conversion.older import config_hash_of_0_1
from deocclusion_d2.data.draws import Draws
from deocclusion_d2.data.instance_table import InstanceTable
from deocclusion_d2.data.loaders import DrawTrainLoader, comm, stack_samples
from deocclusion_d2.data.packed_masks import PackedMasks
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.data.samplers.erasing import draw_offset
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import SquareCrop, WindowMask
from deocclusion_d2.structures.square_crop import nearest_source_index
from deocclusion_d2.systems import system_of
from deocclusion_d2.systems.pcnet_m import device_sampler
from deocclusion_d2.systems.pcnet_m.device_sampler import (
    DeviceSampler,
    MaskBits,
    erased_areas,
    first_fitting,
    placement_offsets,
    read_patches,
    source_index,
    unpack_patches,
)
from deocclusion_d2.systems.pcnet_m.mapper import (
    PartialCompletionMapper,
    RecipeMapper,
    draws_on_device,
)
from deocclusion_d2.systems.pcnet_m.prior_fitting import deciding_settings

H, W = 240, 500
ON = "INPUT.PARTIAL_COMPLETION.DRAW_ON"


def shapes() -> list[np.ndarray]:
    """Masks of any size: noise, ellipses, lines, single pixels; inside and at all borders."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:H, :W]
    found = [rng.random((H, W)) < 0.5, (y == x), (y == 7), (x == W - 1)]
    for k in range(24):
        across, down = rng.integers(1, (30, 12)[k % 2]), rng.integers(1, (60, 5)[k % 2])
        centre_x, centre_y = rng.integers(W), rng.integers(H)
        if k % 4 == 0:
            centre_x, centre_y = (0, W - 1)[k % 8 // 4], (H - 1, 0)[k % 8 // 4]
        found.append(((x - centre_x) / across) ** 2 + ((y - centre_y) / down) ** 2 <= 1)
    found += [(x == 3) & (y == 4), (x == W - 1) & (y == H - 1)]
    return found


def make_table() -> InstanceTable:
    annotations = []
    for number, array in enumerate(shapes()):
        rle = mask_util.encode(np.asfortranarray(array.astype(np.uint8)))
        category = 1 + number % 5
        annotations.append({"dataset_category_id": category, "modal_segmentation": rle})
    record = {"file_name": "", "height": H, "width": W, "annotations": annotations}
    return InstanceTable([record], min_square=0)


@pytest.fixture(scope="module")
def table() -> InstanceTable:
    return make_table()


def packed(table: InstanceTable) -> PackedMasks:
    return PackedMasks(table.modal_mask(row) for row in range(len(table)))


def mappers(table: InstanceTable, settings: ErasingSettings, seed: int = 5, **more):
    """One that makes samples, one that makes recipes, and what finishes these."""
    options = {"instances": table, "settings": settings, "seed": seed, **more}
    masks = packed(table)
    return (
        PartialCompletionMapper(**options),
        RecipeMapper(boxes=masks.boxes, **options),
        DeviceSampler(masks, settings, "cpu"),
    )


def take(loader: DrawTrainLoader, count: int) -> list[dict[str, torch.Tensor]]:
    batches = iter(loader)
    return [next(batches) for _ in range(count)]


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]), key


NEVER, RARELY = (1.5, 2.0), (0.3, 0.34)


@pytest.mark.parametrize("common_grid", [False, True])
@pytest.mark.parametrize(
    ("patch_size", "count", "options"),
    [
        (64, 300, {}),
        (64, 100, {"gamma": 0.0, "flip_prob": 1.0}),
        (64, 100, {"gamma": 1.0, "flip_prob": 0.0, "enlarge": 4.0}),
        (64, 40, {"erased_share": NEVER}),
        (64, 100, {"erased_share": RARELY, "max_placements": 37}),
        (64, 100, {"erased_share": RARELY, "max_placements": 1}),
        (64, 100, {"erased_share": (0.0, 1.0), "overlap": (0.05, 0.1)}),
        (64, 100, {"shift": 0.0, "scale": (1.0, 1.0), "overlap": (1.0, 1.0)}),
        (64, 100, {"shift": 1.5, "scale": (0.2, 3.0), "max_placements": 5}),
        (16, 300, {"max_placements": 9}),
        (60, 60, {"max_placements": 3}),
        (256, 60, {}),
    ],
)
def test_samples_equal_those_drawn_one_by_one(table, patch_size, count, options, common_grid):
    settings = ErasingSettings(patch_size=patch_size, common_grid=common_grid, **options)
    whole, recipes, finish = mappers(table, settings)
    draws = Draws(len(whole), whole.seed)
    expected, given = (stack_samples([m(draws[k]) for k in range(count)]) for m in (whole, recipes))
    found = finish(given)
    assert_same(found, expected)
    assert found["eraser"].is_contiguous() and found["modal_mask"].is_contiguous()
    target, eraser = (expected[key].bool() for key in ("modal_mask", "eraser"))
    erased = (target & eraser).flatten(1).any(1)
    # What each setting is here for does happen.
    if options.get("gamma") == 0:
        assert not erased.any()
    elif options.get("gamma") == 1:
        assert erased.float().mean() > 0.5
    if patch_size == 16:
        assert not target.flatten(1).any(1).all(), "no target vanished"
    if common_grid:
        assert given["enlarged"].any() and (given["size"] < patch_size).any()
    assert eraser.any() and not eraser.flatten(1).any(1).all()


def test_limits_of_memory_change_nothing(table, monkeypatch):
    settings = ErasingSettings(patch_size=32, erased_share=RARELY, max_placements=50)
    _, recipes, finish = mappers(table, settings)
    draws = Draws(len(recipes), 5)
    batch = stack_samples([recipes(draws[k]) for k in range(40)])
    expected = finish(batch)
    for limit in (1, 3 * 32**2, 1 << 30):
        monkeypatch.setattr(device_sampler, "_PIXELS", limit)
        assert_same(finish(batch), expected)


class Waits(TorchDispatchMode):
    """Counts operations whose result's size or value the host needs: on a GPU it waits for them."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = str(operation)
        if name.startswith(("aten.nonzero", "aten._local_scalar_dense", "aten.equal")):
            self.count += 1
        elif name.startswith(("aten.index.", "aten.index_put")):
            self.count += any(i is not None and i.dtype == torch.bool for i in args[1])
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("common_grid", [False, True])
def test_the_host_waits_a_few_times_a_batch(table, common_grid):
    settings = ErasingSettings(patch_size=32, erased_share=NEVER, common_grid=common_grid)
    _, recipes, finish = mappers(table, settings)
    draws = Draws(len(recipes), 5)
    for count in (3, 60):
        batch = stack_samples([recipes(draws[k]) for k in range(count)])
        with Waits() as waits:
            finish(batch)
        # Samples that have pixels, then those left after 1, 5, 21, 53, 85 and 100 placements.
        assert waits.count == 1 + 6


def test_workers_processes_and_resuming(table, monkeypatch):
    settings = ErasingSettings(patch_size=32)
    whole, recipes, finish = mappers(table, settings, isolated_targets=False)

    def loader(mapper, workers: int = 0, start: int = 0, size: int = 6, **more) -> DrawTrainLoader:
        return DrawTrainLoader(
            mapper, total_batch_size=size, num_workers=workers, first_iteration=start, **more
        )

    alone = take(loader(whole), 5)
    for workers in (0, 2):
        for one, other in zip(take(loader(recipes, workers, finish=finish), 5), alone, strict=True):
            assert_same(one, other)
    assert_same(take(loader(recipes, start=3, finish=finish), 1)[0], alone[3])
    assert_same(loader(recipes, finish=finish).first_samples(6), alone[0])
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        for batch, every in zip(take(loader(recipes, finish=finish), 2), alone, strict=False):
            assert_same(batch, {key: values[rank::2] for key, values in every.items()})


# -------------------------------------------------------------------- parts


def test_packed_masks_by_hand():
    mask = np.zeros((2, 10), bool)
    mask[0, [0, 3, 9]] = mask[1, 1] = True
    masks = PackedMasks([WindowMask.from_array(mask, 5, 6), WindowMask.filled((1, 2, 2, 3))])
    # Two bytes a row, the first pixel in the lowest bit: 1 + 8, 2 (of 256); 2, 0; then one byte.
    assert masks.bits.tolist() == [9, 2, 2, 0, 1]
    assert masks.offsets.tolist() == [0, 4]
    assert masks.boxes.tolist() == [[5, 6, 15, 8], [1, 2, 2, 3]]


@pytest.mark.parametrize("flip", [False, True])
def test_source_indices_are_exact(flip):
    """Of all sides up to 700 and some large ones, in patches of several sizes, on one canvas."""
    patch = 256
    for size in (1, 16, 77, 255, 256):
        sides = torch.tensor([*range(1, 700), 1023, 2047, 4999, 12345])
        index = source_index(
            sides, torch.full_like(sides, size), patch, torch.full(sides.shape, flip)
        )
        expected = np.stack([nearest_source_index(side, size) for side in sides.tolist()])
        assert np.array_equal(index[:, :size], expected[:, ::-1] if flip else expected)
        assert (index[:, size:] == -1).all()


def test_patches_equal_those_of_one_crop():
    rng = np.random.default_rng(1)
    masks = [WindowMask.from_array(array) for array in shapes()]
    rows, crops, flips = [], [], []
    for _ in range(300):
        row = int(rng.integers(len(masks)))
        x0, y0, x1, y1 = masks[row].box
        side = int(rng.integers(1, 2 * max(x1 - x0, y1 - y0) + 3))
        x0, y0 = rng.integers((x0 - side, y0 - side), (x1 + 1, y1 + 1)).tolist()
        rows.append(row)
        crops.append(SquareCrop(x0, y0, side))
        flips.append(bool(rng.random() < 0.5))
    squares = torch.tensor([(c.x0, c.y0, c.side, f) for c, f in zip(crops, flips, strict=True)])
    bits = MaskBits.of(PackedMasks(masks), "cpu")
    sizes = torch.from_numpy(rng.integers(1, 33, len(rows)))
    found = read_patches(bits, torch.tensor(rows), squares, sizes, 32)
    assert found.shape == (300, 33, 33) and found.sum() > 1000
    for k, size in enumerate(sizes.tolist()):
        expected = np.zeros((33, 33), bool)
        expected[:size, :size] = crops[k].sample(masks[rows[k]], size, flips[k])
        assert np.array_equal(found[k], expected)


def test_bits_of_patches():
    patches = np.random.default_rng(0).random((3, 20, 20)) < 0.5
    bits = torch.from_numpy(np.packbits(patches, axis=2, bitorder="little"))
    assert np.array_equal(unpack_patches(bits, 20), patches)


@pytest.mark.parametrize("overlap", [(0.4, 1.0), (0.0, 0.3), (0.7, 0.7), (1.0, 1.0)])
def test_placements_are_those_of_single_draws(overlap):
    """The same numbers taken at once give the same doubles, and these the same pixels."""
    count, size = 3000, 256
    rng = np.random.default_rng(8)
    pairs = [draw_offset(overlap, rng) for _ in range(count)]
    expected = [(int(dx * size), int(dy * size)) for dx, dy in pairs]
    following = rng.random()
    numbers = torch.from_numpy(np.random.default_rng(8).random(3 * count + 1))
    offsets = placement_offsets(numbers[:-1].view(1, count, 3), overlap, torch.tensor([size]))
    assert offsets.dtype == torch.int64 and offsets[0].tolist() == [list(e) for e in expected]
    assert numbers[-1] == following


def canvas(*masks: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.pad(np.stack(masks), ((0, 0), (0, 1), (0, 1))).astype(np.uint8))


def test_the_first_fitting_placement_by_hand():
    full, none, column = np.ones((4, 4)), np.zeros((4, 4)), np.zeros((4, 4))
    column[:, 0] = 1
    target, other = canvas(full, none, full), canvas(full, full, column)
    size = torch.tensor([4, 4, 4])
    # Shifted by 0, 1, 2, 3 columns to the left: 16, 12, 8 and 4 of 16 pixels are erased.
    offsets = torch.tensor([[(k, 0) for k in range(4)]]).expand(3, 4, 2)
    every = torch.arange(3)
    areas = erased_areas(target, other, size, offsets, every)
    assert areas.tolist() == [[16, 12, 8, 4], [0, 0, 0, 0], [4, 0, 0, 0]]

    def chosen(low: float, high: float) -> list[int]:
        return first_fitting(target, other, size, offsets, (low, high)).tolist()

    assert chosen(0.75, 1.0) == [1, 0, 3]  # from 0.75 on, below 1; a target without pixels has 0
    assert chosen(0.25, 0.75) == [2, 0, 0]
    assert chosen(0.0, 0.25) == [3, 0, 1]
    smaller = torch.tensor([2, 2, 2])  # what lies beyond a patch erases nothing
    assert erased_areas(target, other, smaller, offsets, every)[0].tolist() == [4, 2, 0, 0]


# -------------------------------------------------------------------- the config key


def config(*opts: str, device: str = "cpu"):
    cfg = load_config("pcnet_m_kitti_mots", [*opts])
    cfg.MODEL.DEVICE = device
    return cfg


def test_where_samples_are_drawn():
    assert not draws_on_device(config())
    assert draws_on_device(config(ON, "device"))
    assert draws_on_device(config(device="cuda"))
    assert draws_on_device(config(device="cuda:1"))
    assert draws_on_device(config("INPUT.PARTIAL_COMPLETION.COMMON_GRID", "True", device="cuda"))
    assert not draws_on_device(config(ON, "cpu", device="cuda"))
    with pytest.raises(UserError, match=f"{ON} = 'gpu': use 'auto', 'cpu' or 'device'"):
        draws_on_device(config(ON, "gpu"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.PCNET_M.USE_RGB", "True"),
        ("INPUT.PARTIAL_COMPLETION.SEAMS.PROBABILITY", "0.5"),
        ("INPUT.PARTIAL_COMPLETION.MAX_PLACEMENTS", "0"),
        ("INPUT.PARTIAL_COMPLETION.MAX_PLACEMENTS", "1000000"),
    ],
)
def test_what_the_cpu_alone_draws(key, value):
    assert not draws_on_device(config(key, value, device="cuda"))
    with pytest.raises(UserError, match=f"{ON} = 'device': with {key} = {value} "):
        draws_on_device(config(key, value, ON, "device"))
    with pytest.raises(UserError, match="with MODEL.DEVICE = mps "):
        draws_on_device(config(ON, "device", device="mps"))


def test_the_key_changes_no_fingerprint():
    one, other = config(ON, "cpu"), config(ON, "device")
    for of in ("training", "use"):
        assert fingerprint(one, system_of(one), of) == fingerprint(other, system_of(one), of)
    assert config_hash_of_0_1(one) == config_hash_of_0_1(other)
    assert deciding_settings(one) == deciding_settings(other)
    assert "DRAW_ON" not in str(deciding_settings(one)) and one.INPUT.PARTIAL_COMPLETION.DRAW_ON
