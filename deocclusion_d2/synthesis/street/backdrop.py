"""The street without its objects: sky, skyline, houses, trees, road with markings, and shadows.

Everything here lies behind every object: it is either ground, or stands farther from the road than
any object does. Colours are BGR, 0 to 255; images are (H, W, 3) uint8.
"""

from __future__ import annotations

import cv2
import numpy as np

from .camera import Camera
from .masks import fill_patch
from .street_scene import PlacedObject, StreetScene
from .texture import smooth_noise

Colour = tuple[float, float, float]

_NEAR, _FAR = 1.2, 220.0
_DEPTHS = np.geomspace(_NEAR, _FAR, 28)


def _tone(rng: np.random.Generator, base: tuple[float, ...], spread: float = 0.15) -> Colour:
    shade = 1 + spread * rng.uniform(-1, 1)
    return tuple(float(c) for c in np.clip(np.array(base) * shade + rng.normal(0, 4, 3), 0, 255))


def _strip(
    scene: StreetScene,
    left: float,
    right: float,
    raised: tuple[float, float] = (0.0, 0.0),
    depths: np.ndarray = _DEPTHS,
) -> np.ndarray:
    """Outline (N, 2) in pixels of a strip of ground between two x, along some depths (metres)."""
    edges = []
    for x, lift in zip((left, right), raised, strict=True):
        line = np.stack(
            [np.full_like(depths, x), scene.ground.road_height(x, depths) + lift, depths], axis=1
        )
        edges.append(scene.camera.project(line))
    return np.concatenate([edges[0], edges[1][::-1]]) - 0.5


def _vanishing_row(scene: StreetScene) -> float:
    """Row where the ground ends, at the far end of the street (pixels)."""
    point = np.array([[0.0, float(scene.ground.road_height(0.0, np.array(_FAR))), _FAR]])
    return float(scene.camera.project(point)[0, 1])


def _paint_sky(image: np.ndarray, horizon: float, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    skies = [
        ((205, 150, 95), (235, 220, 205)),
        ((200, 195, 190), (232, 230, 228)),
        ((225, 185, 140), (215, 225, 240)),
    ]
    top, low = skies[int(rng.integers(3))]
    blend = np.clip(np.arange(height) / max(horizon, 1.0), 0, 1)[:, None]
    rows = (1 - blend) * np.array(_tone(rng, top)) + blend * np.array(_tone(rng, low, 0.05))
    clouds = smooth_noise(rng, height, width, 7, 9) + 0.5 * smooth_noise(rng, height, width, 16, 24)
    cover = np.clip(clouds * rng.uniform(0.2, 0.6), 0, 0.8)[..., None]
    image[:] = (rows[:, None] * (1 - cover) + 242 * cover).astype(np.uint8)


def _paint_skyline(image: np.ndarray, horizon: float, rng: np.random.Generator) -> None:
    """Far houses and trees on the horizon, in hazy colours."""
    height, width = image.shape[:2]
    for haze, tall in ((0.75, 0.16), (0.5, 0.1)):
        columns = np.arange(width)
        steps = rng.uniform(0.2, 1.0, int(rng.integers(12, 30)))
        blocks = steps[(columns * len(steps) // width) % len(steps)]
        crowns = 0.5 + 0.3 * smooth_noise(rng, 1, width, 1, 60)[0]
        use_trees = smooth_noise(rng, 1, width, 1, 10)[0] > 0
        rise = np.where(use_trees, crowns, blocks) * tall * height
        outline = np.concatenate(
            [
                np.stack([columns, horizon - rise], 1),
                [[width, horizon + 0.1 * height], [0, horizon + 0.1 * height]],
            ]
        )
        grey = np.array(_tone(rng, (120, 125, 120), 0.2))
        fill_patch(image, outline, tuple(float(c) for c in haze * 215 + (1 - haze) * grey))


def _paint_ground(image: np.ndarray, scene: StreetScene, rng: np.random.Generator) -> None:
    """Road, kerbs, pavements, verges, markings, the crossing road, all on the scene's slopes."""
    ground, (wide_left, wide_right) = scene.ground, scene.pavement
    verge = _tone(rng, (70, 120, 90) if rng.random() < 0.5 else (125, 130, 135))
    asphalt, paving = _tone(rng, (95, 93, 92), 0.25), _tone(rng, (150, 155, 160), 0.2)
    line, kerb = (215.0, 220.0, 220.0), tuple(1.15 * c for c in paving)
    before = np.zeros_like(image)
    before[:] = image
    left, right = ground.road_left, ground.road_right
    far_left = (left - wide_left, ground.kerb_left)
    far_right = (right + wide_right, ground.kerb_right)
    fill_patch(image, _strip(scene, -300, far_left[0], (ground.kerb_left,) * 2), verge)
    fill_patch(image, _strip(scene, far_right[0], 300, (ground.kerb_right,) * 2), verge)
    fill_patch(image, _strip(scene, left, right), asphalt)
    fill_patch(image, _strip(scene, far_left[0], left, (ground.kerb_left,) * 2), paving)
    fill_patch(image, _strip(scene, right, far_right[0], (ground.kerb_right,) * 2), paving)
    for x, lift in ((left, ground.kerb_left), (right, ground.kerb_right)):
        edge = x + np.sign(x) * 0.14
        fill_patch(image, _strip(scene, x, edge, (lift, lift)), kerb)
        fill_patch(image, _strip(scene, x, x, (0.0, lift)), tuple(0.7 * c for c in kerb))
    if scene.crossing is not None:
        across = np.linspace(max(scene.crossing - 4.2, _NEAR), scene.crossing + 4.2, 5)
        for far in (-60.0, 60.0):
            fill_patch(image, _strip(scene, min(0, far), max(0, far), depths=across), asphalt)
    zebra = rng.random() < 0.5
    if scene.crossing is not None and zebra and scene.crossing > 9:
        depths = np.array([scene.crossing - 7.0, scene.crossing - 4.6])
        for x in np.arange(left + 0.3, right - 0.5, 1.0):
            fill_patch(image, _strip(scene, x, x + 0.5, depths=depths), line)
    dashes = np.arange(rng.uniform(1.3, 5.0), 110.0, 7.0)
    centre = (left + right) / 2 if abs(left + right) > 4.5 else -np.sign(right + left) * 1.75
    for start in dashes:
        if scene.crossing is None or abs(start + 1.5 - scene.crossing) > 6:
            depths = np.linspace(start, start + 3.0, 3)
            fill_patch(image, _strip(scene, centre - 0.06, centre + 0.06, depths=depths), line)
    if rng.random() < 0.4:
        for x in (left + 0.5, right - 0.5):
            fill_patch(image, _strip(scene, x - 0.05, x + 0.05), line)
    _grain(image, scene, before, rng)


def _fold(value: np.ndarray) -> np.ndarray:
    """Maps any number to 0 ... 255 by reflection, so that a texture tile repeats without seams."""
    return 255 - np.abs(value % 510 - 255)


def _grain(
    image: np.ndarray, scene: StreetScene, before: np.ndarray, rng: np.random.Generator
) -> None:
    """Texture that lies on the road, so that it is foreshortened as the road is."""
    height, width = image.shape[:2]
    camera = scene.camera
    top = int(np.clip(np.ceil(camera.horizon + 3), 0, height - 1))
    rows = np.arange(top, height, dtype=np.float32)[:, None]
    depth = camera.focal * camera.height / np.maximum(rows - camera.horizon, 1.0)
    side = (np.arange(width, dtype=np.float32)[None] - camera.centre_x) * depth / camera.focal
    tile = smooth_noise(rng, 256, 256, 256, 256) * 0.5 + smooth_noise(rng, 256, 256, 40, 40)
    fade = np.clip(12.0 / depth, 0, 1)
    maps = [
        np.ascontiguousarray(np.broadcast_to(value, side.shape), dtype=np.float32)
        for value in (_fold(side * 16), _fold(depth * 7))
    ]
    noise = cv2.remap(tile, *maps, cv2.INTER_LINEAR)
    patches = smooth_noise(rng, height - top, width, 8, 8)
    gain = 1 + 0.07 * fade * noise + 0.05 * patches
    part = image[top:]
    changed = (part != before[top:]).any(axis=2, keepdims=True)
    lit = np.clip(part * gain[..., None], 0, 255).astype(np.uint8)
    np.copyto(part, lit, where=changed)


def _wall(camera: Camera, corners: np.ndarray) -> np.ndarray:
    return camera.project(corners) - 0.5


def _paint_house(
    image: np.ndarray,
    scene: StreetScene,
    x: float,
    span: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """A house along the street at ``x``, from depth ``span[0]`` to ``span[1]``, with windows."""
    camera, out = scene.camera, np.sign(x)
    near, far = span
    kerb = scene.ground.kerb_height(x)
    depths = np.linspace(near, far, 6)
    foot = scene.ground.road_height(x, depths) + kerb
    back_foot = float(scene.ground.road_height(x + out * 9.0, near)) + kerb
    tall = rng.uniform(5.0, 15.0)
    wall = _tone(
        rng,
        [(150, 170, 190), (120, 140, 175), (170, 175, 180), (110, 120, 150), (185, 200, 210)][
            int(rng.integers(5))
        ],
    )
    glass, roof = _tone(rng, (80, 72, 66)), _tone(rng, (60, 65, 105))
    base = foot[0] + tall

    def facade(z0: float, z1: float, y0: float, y1: float) -> np.ndarray:
        return _wall(camera, np.array([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)]))

    def gable(x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
        return _wall(
            camera, np.array([(x0, y0, near), (x0, y1, near), (x1, y1, near), (x1, y0, near)])
        )

    depth = out * 9.0
    shade = 0.82
    side = [
        (x, foot[0], near),
        (x, base, near),
        (x + depth, base, near),
        (x + depth, back_foot, near),
    ]
    fill_patch(image, _wall(camera, np.array(side)), tuple(shade * c for c in wall))
    if rng.random() < 0.6:
        peak = base + rng.uniform(1.0, 3.0)
        ridge = [(x, base, near), (x + depth / 2, peak, near), (x + depth, base, near)]
        fill_patch(image, _wall(camera, np.array(ridge)), tuple(shade * c for c in wall))
        slope = [
            (x, base, near),
            (x + depth / 2, peak, near),
            (x + depth / 2, peak, far),
            (x, base, far),
        ]
        fill_patch(image, _wall(camera, np.array(slope)), roof)
    bottom = np.stack([np.full_like(depths, x), foot, depths], axis=1)
    front = np.concatenate([bottom, [(x, base, far), (x, base, near)]])
    fill_patch(image, _wall(camera, front), wall)
    floors, pitch = max(1, int((tall - 1.0) // 2.9)), rng.uniform(2.0, 3.2)
    for floor in range(floors):
        low = foot[0] + 1.3 + 2.9 * floor
        for z in np.arange(near + 0.8, far - 1.2, pitch):
            fill_patch(image, facade(z, z + 1.1, low, low + 1.4), glass)
        for offset in np.arange(1.2, 7.5, 2.6):
            fill_patch(
                image,
                gable(x + out * offset, x + out * (offset + 1.1), low, low + 1.4),
                tuple(0.9 * c for c in glass),
            )


def _paint_tree(
    image: np.ndarray, scene: StreetScene, x: float, z: float, rng: np.random.Generator
) -> None:
    """A tree: a trunk and a crown of overlapping discs, lit from above."""
    camera = scene.camera
    scale = camera.focal / z
    foot = float(scene.ground.road_height(x, np.array(z))) + scene.ground.kerb_height(x)
    crown, size = rng.uniform(3.2, 5.5), rng.uniform(1.2, 2.4)
    trunk = np.array(
        [
            (x - 0.15, foot, z),
            (x + 0.15, foot, z),
            (x + 0.1, foot + crown, z),
            (x - 0.1, foot + crown, z),
        ]
    )
    fill_patch(image, camera.project(trunk) - 0.5, _tone(rng, (50, 65, 85)))
    leaf = np.array(_tone(rng, (55, 110, 75), 0.35))
    centre = camera.project(np.array([(x, foot + crown, z)]))[0]
    for light in (0.7, 0.9, 1.1, 1.25):
        for _ in range(6):
            offset = rng.normal(0, 0.5, 2) * size * scale - [0, 0.3 * light * size * scale]
            radius = max(1, int(rng.uniform(0.3, 0.65) * size * scale / light))
            spot = np.clip(centre + offset, -8000, 8000)
            cv2.circle(
                image,
                (int(spot[0]), int(spot[1])),
                min(radius, 4000),
                tuple(float(c) for c in np.clip(leaf * light, 0, 255)),
                -1,
            )


def _paint_roadside(image: np.ndarray, scene: StreetScene, rng: np.random.Generator) -> None:
    """Houses and trees on both sides, the far ones first."""
    for side in (-1, 1):
        edge = (
            scene.ground.road_left - scene.pavement[0]
            if side < 0
            else scene.ground.road_right + scene.pavement[1]
        )
        setback, built, green = rng.uniform(1.5, 5.0), rng.random() < 0.75, rng.random() < 0.6
        if built:
            houses, start = [], _NEAR
            while start < 110:
                stop = start + rng.uniform(7.0, 18.0)
                houses.append((start, stop))
                start = stop + (0.0 if rng.random() < 0.6 else rng.uniform(2.0, 8.0))
            for span in reversed(houses):
                crossed = scene.crossing is not None and span[0] - 5 < scene.crossing < span[1] + 5
                if not crossed:
                    _paint_house(image, scene, edge + side * setback, span, rng)
        if green or not built:
            for z in sorted(rng.uniform(5, 90, int(rng.integers(4, 16))), reverse=True):
                if scene.crossing is None or abs(z - scene.crossing) > 6:
                    _paint_tree(image, scene, edge + side * rng.uniform(0.5, setback), z, rng)


def _shadow_outline(scene: StreetScene, item: PlacedObject, tall: float) -> np.ndarray:
    """Shadow of an object's box on the ground: hull (N, 2) in pixels."""
    ground_spots = item.footprint.mean(0) + 0.94 * (item.footprint - item.footprint.mean(0))
    reach = -scene.light[[0, 2]] / max(float(scene.light[1]), 0.5) * tall
    spots = np.concatenate([ground_spots, ground_spots + reach])
    spots[:, 1] = np.maximum(spots[:, 1], _NEAR)
    heights = scene.ground.road_height(spots[:, 0], spots[:, 1]) + item.raised
    pixels = scene.camera.project(np.stack([spots[:, 0], heights, spots[:, 1]], axis=1)) - 0.5
    return cv2.convexHull(pixels.astype(np.float32))[:, 0]


def _paint_shadows(image: np.ndarray, scene: StreetScene, rng: np.random.Generator) -> None:
    """Darkens the ground under the objects, and on the side away from the sun."""
    shade = np.zeros(image.shape[:2], dtype=np.uint8)
    sunny = rng.uniform(60, 120) if rng.random() < 0.6 else 0.0
    for item in scene.objects:
        tall = float(item.solid.bounds[1][2])
        if sunny:
            layer = np.zeros_like(shade)
            fill_patch(layer, _shadow_outline(scene, item, 0.8 * tall), sunny)
            np.maximum(shade, layer, out=shade)
    for item in scene.objects:
        layer = np.zeros_like(shade)
        fill_patch(layer, _shadow_outline(scene, item, 0.0), 150)
        np.maximum(shade, layer, out=shade)
    radius = 2 * max(1, image.shape[0] // 180) + 1
    soft = cv2.GaussianBlur(shade, (radius, radius), 0).astype(np.float32)
    image[:] = (image * (1 - soft / 255)[..., None]).astype(np.uint8)


def paint_backdrop(
    scene: StreetScene, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Paints everything but the objects.

    Args:
        scene: the street; its objects are used for their shadows.
        height: image height in pixels.
        width: image width in pixels.
        rng: source of colours and textures.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    image = np.zeros((height, width, 3), dtype=np.uint8)
    horizon = _vanishing_row(scene)
    _paint_sky(image, horizon, rng)
    _paint_skyline(image, horizon, rng)
    _paint_ground(image, scene, rng)
    _paint_roadside(image, scene, rng)
    _paint_shadows(image, scene, rng)
    return image
