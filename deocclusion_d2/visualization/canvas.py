"""A picture of a scene that masks, outlines, arrows and tags are drawn on.

Fills are exact pixels; lines and text are drawn over them by Detectron2's ``VisImage``, a canvas of
Matplotlib that needs no display. Everything is RGB.

Shape shorthand: H, W: image size; h, w: picture size, ``round(H * scale)``, ``round(W * scale)``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import cv2
import matplotlib.patheffects as path_effects
import numpy as np
from detectron2.utils.visualizer import VisImage
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from ..errors import UserError
from ..structures import Scene, WindowMask
from .palette import BACKGROUND, INK, PAPER, Color, text_color

Point = tuple[float, float]

# Height of a tag's letters, as a share of the tag's.
_LETTERS = 0.78


class SceneCanvas:
    """The picture of one scene.

    Masks and points are given in image pixels and scaled here; sizes of lines and text are in
    units of ``unit`` picture pixels, which follows the size of the picture.

    Attributes:
        height, width: size of the picture in pixels.
        scale: picture pixels per image pixel.
        unit: about one thousandth of the picture's size, in picture pixels.
    """

    def __init__(
        self, scene: Scene, scale: float = 1.0, brightness: float = 1.0, saturation: float = 1.0
    ) -> None:
        """
        Args:
            scene: its image is the backdrop; a plain dark one takes its place where it is None.
            scale: picture pixels per image pixel.
            brightness: factor on the backdrop's values; 1 leaves them.
            saturation: share of the backdrop's colour that is kept; 0 makes it grey.

        Raises:
            UserError: the image is not (H, W, 3) of the scene's size.
        """
        self.height, self.width = picture_size(scene, scale)
        self.scale = scale
        self.unit = float(np.clip(np.sqrt(self.height * self.width) / 900, 0.5, 3.0))
        self._pixels = _backdrop(scene, self.height, self.width, brightness, saturation)
        self._overlay: VisImage | None = None

    # ---------------------------------------------------------------- pixels

    def fill(
        self, mask: WindowMask, color: Color, opacity: float, stripes: int = 0, gap: float = 0.0
    ) -> None:
        """Blend a colour over a mask. All fills come before the first line or text.

        Args:
            mask: in image pixels.
            opacity: 0-1.
            stripes: 0 fills the whole mask; 1 or -1 fills diagonal stripes, rising or falling.
            gap: opacity between the stripes.
        """
        if self._overlay is not None:
            raise RuntimeError("fill the masks before drawing lines and text over them")
        rows = _inside(self.height, self.scale, mask.y0, mask.y0 + mask.array.shape[0])
        columns = _inside(self.width, self.scale, mask.x0, mask.x0 + mask.array.shape[1])
        if rows.size == 0 or columns.size == 0:
            return
        source_rows = _source(rows, self.scale) - mask.y0
        source_columns = _source(columns, self.scale) - mask.x0
        weight = mask.array[source_rows[:, None], source_columns] * opacity
        if stripes:
            # Fine stripes for small parts, and wide ones for large parts, which would look grey.
            extent = np.sqrt(np.count_nonzero(weight))
            period = max(round(float(np.clip(0.12 * extent / self.unit, 6, 15)) * self.unit), 4)
            phase = (columns[None, :] + stripes * rows[:, None]) % period
            weight = np.where(phase * 2 < period, weight, weight * (gap / opacity))
        window = self._pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        blended = window + (np.asarray(color, float) - window) * weight[..., None]
        window[:] = np.round(blended).astype(np.uint8)

    # ---------------------------------------------------------------- lines and text

    @property
    def _axes(self):
        if self._overlay is None:
            self._overlay = VisImage(self._pixels)
            self._overlay.ax.autoscale(False)
        return self._overlay.ax

    def _points(self, size: float) -> float:
        """Matplotlib's points of a size in units."""
        return size * self.unit * 72.0 / self._overlay.dpi

    def outline(
        self,
        mask: WindowMask,
        color: Color,
        width: float = 1.5,
        dashed: bool = False,
        opacity: float = 1.0,
    ) -> None:
        """Draw a mask's boundary, holes included, with a thin dark casing.

        Args:
            width: in units.
            opacity: 0-1.
        """
        if mask.is_empty:
            return
        padded = np.pad(mask.array.astype(np.float32), 1)
        x = (np.arange(padded.shape[1]) - 0.5 + mask.x0) * self.scale
        y = (np.arange(padded.shape[0]) - 0.5 + mask.y0) * self.scale
        axes = self._axes
        casing, core = self._points(width * 2), self._points(width)
        style = (0, (2.2, 1.4)) if dashed else "solid"
        for line_color, line_width, line_style, alpha in (
            (INK, casing, "solid", 0.55 * opacity),
            (color, core, style, opacity),
        ):
            axes.contour(
                x,
                y,
                padded,
                levels=[0.5],
                colors=[_rgb(line_color)],
                linewidths=[line_width],
                linestyles=[line_style],
                alpha=alpha,
            )

    def rectangle(
        self, box: np.ndarray, color: Color, width: float = 2.0, dashed: bool = True
    ) -> None:
        """Draw a box (x0, y0, x1, y1), in image pixels, cut to the picture."""
        axes = self._axes
        margin = self.unit * width
        limits = np.array([self.width, self.height] * 2) - margin
        x0, y0, x1, y1 = np.clip(np.asarray(box, float) * self.scale, margin, limits)
        for line_color, line_width, style in (
            (INK, width * 2, "solid"),
            (color, width, (0, (4, 2)) if dashed else "solid"),
        ):
            axes.add_patch(
                Rectangle(
                    (x0, y0),
                    x1 - x0,
                    y1 - y0,
                    fill=False,
                    edgecolor=_rgb(line_color),
                    linewidth=self._points(line_width),
                    linestyle=style,
                )
            )

    def arrow(
        self, start: Point, end: Point, color: Color, bend: float = 0.0, width: float = 2.0
    ) -> None:
        """Draw an arrow, in picture pixels, with a dark casing.

        Args:
            bend: height of the arc's control point over the line, as a share of its length.
            width: in units; the head follows it but is never longer than half the arrow.
        """
        axes = self._axes
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        head = min(self.unit * 12, max(length * 0.45, 2.0))
        patch = FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>,head_length=1,head_width=0.45",
            mutation_scale=head * 72.0 / self._overlay.dpi,
            shrinkA=0,
            shrinkB=0,
            color=_rgb(color),
            linewidth=self._points(width),
            joinstyle="miter",
            zorder=4,
        )
        casing = path_effects.Stroke(linewidth=self._points(width + 2.4), foreground=_rgb(INK))
        patch.set_path_effects([casing, path_effects.Normal()])
        axes.add_patch(patch)

    def line(
        self, points: Sequence[Point] | np.ndarray, color: Color, width: float, dotted: bool
    ) -> None:
        """Draw a line through points (x, y), in picture pixels."""
        x, y = np.asarray(points, float).T
        self._axes.plot(
            x,
            y,
            color=_rgb(color),
            linewidth=self._points(width),
            linestyle=(0, (1, 1.6)) if dotted else "solid",
            zorder=3,
        )

    def dot(self, centre: Point, radius: float, color: Color) -> None:
        """Draw a disc with a white rim, in picture pixels."""
        axes = self._axes
        axes.add_patch(
            Circle(
                centre,
                radius,
                facecolor=_rgb(color),
                edgecolor=_rgb(PAPER),
                linewidth=self._points(1.0),
                zorder=5,
            )
        )

    @staticmethod
    def tag_size(text: str, height: float) -> Point:
        """Width and height in picture pixels of a tag that a text fits into."""
        return text_width(text, _LETTERS * height) + 0.45 * height, height

    def tag(self, centre: Point, size: Point, text: str, color: Color) -> None:
        """Draw text on a filled box, in picture pixels.

        Args:
            size: width and height of the box.
        """
        axes = self._axes
        width, height = size
        axes.add_patch(
            Rectangle(
                (centre[0] - width / 2, centre[1] - height / 2),
                width,
                height,
                facecolor=_rgb(color),
                edgecolor=_rgb(INK),
                linewidth=self._points(1.0),
                zorder=6,
            )
        )
        axes.text(
            *centre,
            text,
            color=_rgb(text_color(color)),
            fontsize=height * _LETTERS * 72.0 / self._overlay.dpi,
            fontweight="bold",
            ha="center",
            va="center_baseline",
            zorder=7,
            parse_math=False,
        )

    def text(
        self, point: Point, text: str, size: float, color: Color, centred: bool = False
    ) -> None:
        """Write text with a dark casing, in picture pixels.

        Args:
            point: its left end, or its centre, at half the height of its letters.
            size: of the letters in pixels.
        """
        label = self._axes.text(
            *point,
            text,
            color=_rgb(color),
            fontsize=size * 72.0 / self._overlay.dpi,
            fontweight="bold",
            ha="center" if centred else "left",
            va="center_baseline",
            zorder=8,
            parse_math=False,
        )
        casing = path_effects.Stroke(linewidth=0.22 * size, foreground=_rgb(INK))
        label.set_path_effects([casing, path_effects.Normal()])

    def render(self) -> np.ndarray:
        """The picture, (h, w, 3) uint8 RGB."""
        return self._pixels.copy() if self._overlay is None else self._overlay.get_image()


def picture_size(scene: Scene, scale: float) -> tuple[int, int]:
    """Height and width in pixels of a scene's picture."""
    return max(round(scene.height * scale), 1), max(round(scene.width * scale), 1)


def text_width(text: str, size: float) -> float:
    """Width in pixels of bold text whose letters have a size in pixels."""
    font = FontProperties(weight="bold", size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def drawable(text: str, most: int = 40) -> str:
    """Text that a picture can show: what its font lacks, or nobody sees, is written out.

    Args:
        most: characters, of which the middle ones give way to "\N{HORIZONTAL ELLIPSIS}".
    """
    shown = [c if _has_glyph(c) else c.encode("unicode_escape").decode("ascii") for c in text]
    if sum(map(len, shown)) > most:
        head, tail = [], []
        room = most - 1
        # Names differ at their ends: the number stands there.
        while len("".join(tail)) + len(shown[-1]) <= max(most // 3, 1):
            tail.insert(0, shown.pop())
        room -= len("".join(tail))
        while shown and len(shown[0]) <= room:
            room -= len(shown[0])
            head.append(shown.pop(0))
        shown = [*head, "\N{HORIZONTAL ELLIPSIS}", *tail]
    return "".join(shown)


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return False
    fonts = (FontProperties(), FontProperties(weight="bold"))
    return all(get_font(findfont(font)).get_char_index(ord(character)) for font in fonts)


def captions(texts: Sequence[str], width: int, height: int) -> list[np.ndarray]:
    """Strips of text on white, in one font size that suits the longest of them.

    Args:
        texts: one line each.
        width, height: of a strip in pixels; the letters take about half of the height.

    Returns:
        (height, width, 3) uint8 RGB of each.
    """
    strips = [VisImage(np.full((height, width, 3), PAPER, dtype=np.uint8)) for _ in texts]
    labels = []
    for strip, text in zip(strips, texts, strict=True):
        size = height * 0.6 * 72.0 / strip.dpi
        style = {"color": _rgb(INK), "fontsize": size, "va": "center_baseline"}
        text = drawable(text, max(len(text), 1))
        labels.append(strip.ax.text(0, height / 2, text, parse_math=False, **style))
    # Hinting makes the width of small letters jump, so one division is not always enough.
    for _ in range(8):
        excess = max(map(_text_width, strips, labels), default=0.0) / width
        if excess <= 1.0:
            break
        for label in labels:
            label.set_fontsize(label.get_fontsize() / max(excess, 1.02))
    return [strip.get_image() for strip in strips]


def side_by_side(cells: Sequence[np.ndarray], margin: int) -> np.ndarray:
    """A row of a sheet: pictures on white, to be put under the row before it.

    Args:
        cells: (h, w, 3) uint8 RGB each, of one height; at least one.
        margin: in pixels, left and right of every cell and below the row.

    Returns:
        (h + margin, W, 3) uint8 RGB.
    """
    border = {"borderType": cv2.BORDER_CONSTANT, "value": PAPER}
    row = np.concatenate(
        [cv2.copyMakeBorder(cell, 0, margin, margin, 0, **border) for cell in cells], axis=1
    )
    return cv2.copyMakeBorder(row, 0, 0, 0, margin, **border)


def _text_width(strip: VisImage, label: Text) -> float:
    return label.get_window_extent(strip.canvas.get_renderer()).width


def _backdrop(
    scene: Scene, height: int, width: int, brightness: float, saturation: float
) -> np.ndarray:
    if scene.image is None:
        return np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    if scene.image.shape != (scene.height, scene.width, 3):
        raise UserError(
            f"image {scene.file_name or scene.image_id!r} has shape {scene.image.shape}, its "
            f"annotations say {scene.height} x {scene.width}: use the images they were made for"
        )
    shrinks = height < scene.height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    image = cv2.resize(scene.image, (width, height), interpolation=how).astype(np.float32)
    if saturation < 1:
        grey = image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        image = grey[..., None] + (image - grey[..., None]) * saturation
    return np.clip(np.round(image * brightness), 0, 255).astype(np.uint8)


def _source(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Image pixel under the centre of each picture pixel."""
    return np.floor((pixels + 0.5) / scale).astype(np.int64)


def _inside(length: int, scale: float, start: int, stop: int) -> np.ndarray:
    """Picture pixels of 0..length-1 whose image pixel lies in [start, stop); consecutive."""
    first = max(int(np.floor(start * scale)) - 1, 0)
    last = min(int(np.ceil(stop * scale)) + 1, length)
    pixels = np.arange(first, max(last, first))
    source = _source(pixels, scale)
    return pixels[(source >= start) & (source < stop)]


def _rgb(color: Color) -> tuple[float, float, float]:
    """0-255 -> Matplotlib's 0-1."""
    return color[0] / 255, color[1] / 255, color[2] / 255
