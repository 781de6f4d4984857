// Outlines of masks as SVG paths that run along the edges of pixels.

const RIGHT = 1, DOWN = 2, LEFT = 4, UP = 8;

// The path around all pixels of a `width` x `height` window for which `inside(x, y)` holds.
function outlinePath(width, height, inside) {
  const columns = width + 1;
  // Per corner of pixels: the directions in which an outline goes on from it, its inside on the
  // right hand. As many lead to a corner as lead away, so a walk ends only where it began.
  const ways = new Uint8Array(columns * (height + 1));
  const mask = new Uint8Array((width + 2) * (height + 2));
  const at = (x, y) => mask[(y + 1) * (width + 2) + x + 1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) mask[(y + 1) * (width + 2) + x + 1] = inside(x, y) ? 1 : 0;
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!at(x, y)) continue;
      const corner = y * columns + x;
      if (!at(x, y - 1)) ways[corner] |= RIGHT;
      if (!at(x + 1, y)) ways[corner + 1] |= DOWN;
      if (!at(x, y + 1)) ways[corner + columns + 1] |= LEFT;
      if (!at(x - 1, y)) ways[corner + columns] |= UP;
    }
  }
  const step = { [RIGHT]: 1, [DOWN]: columns, [LEFT]: -1, [UP]: -columns };
  const parts = [];
  for (let start = 0; start < ways.length; start++) {
    while (ways[start]) {
      const points = [];
      let corner = start;
      let last = 0;
      while (ways[corner]) {
        const way = ways[corner] & -ways[corner];
        ways[corner] ^= way;
        if (way !== last) points.push(`${corner % columns} ${Math.floor(corner / columns)}`);
        last = way;
        corner += step[way];
      }
      parts.push(`M${points.join("L")}Z`);
    }
  }
  return parts.join("");
}
