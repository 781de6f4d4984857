// Pixels of a scene: decoding, who is drawn before whom, drawing. Whole numbers only, so that the
// picture equals the one that the Python program draws from the same edits.
//
// scene:  {width, height, background: RGBA bytes, objects: Map name -> object}
// object: {name, category, row, x, y, width, height, pixels: RGBA bytes of its window}
// state:  {placed: Map name -> {x, y, hidden}, hides: Map name -> Set of names, stack: names,
//         front to back}; states are never changed, an edit makes a new one (state.js).

// An object's pixel counts as solid from this alpha on: it cuts, covers, and can be picked.
const SOLID = 128;

async function decodePixels(uri, width, height) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

// Colours lie above, alpha as grey below: a canvas would spoil colours that have an alpha.
async function decodeObject(entry, row) {
  const size = entry.width * entry.height;
  const pixels = new Uint8ClampedArray(4 * size);
  if (entry.pixels !== null) {
    const both = await decodePixels(entry.pixels, entry.width, 2 * entry.height);
    pixels.set(both.subarray(0, 4 * size));
    for (let i = 0; i < size; i++) pixels[4 * i + 3] = both[4 * (size + i)];
  }
  return { ...entry, row, pixels };
}

async function decodeScene(entry) {
  const objects = await Promise.all(entry.objects.map(decodeObject));
  return {
    ...entry,
    background: await decodePixels(entry.background, entry.width, entry.height),
    objects: new Map(objects.map((object) => [object.name, object])),
  };
}

// ---------------------------------------------------------------- order

// Names that can be reached from `start` by `next`, among those in `within`.
function reachable(start, next, within) {
  const found = new Set();
  const open = [start];
  while (open.length) {
    for (const name of next.get(open.pop()) ?? []) {
      if (within.has(name) && !found.has(name)) {
        found.add(name);
        open.push(name);
      }
    }
  }
  return found;
}

function reversed(hides) {
  const hiddenBy = new Map();
  for (const [occluder, occludees] of hides) {
    for (const name of occludees) {
      if (!hiddenBy.has(name)) hiddenBy.set(name, new Set());
      hiddenBy.get(name).add(occluder);
    }
  }
  return hiddenBy;
}

// Front to back: again and again the first of `preference` whose ancestors not placed yet are all
// descendants too. Without a cycle that is: all that hide it are placed.
function placement(hides, preference) {
  const hiddenBy = reversed(hides);
  const left = new Set(preference);
  const stack = [];
  while (left.size) {
    for (const name of left) {
      const descendants = reachable(name, hides, left);
      if ([...reachable(name, hiddenBy, left)].every((other) => descendants.has(other))) {
        stack.push(name);
        left.delete(name);
        break;
      }
    }
  }
  return stack;
}

// Objects of which `name` is cut although it is drawn after them: edges that a cycle contradicts.
function cutters(state, name) {
  const position = state.stack.indexOf(name);
  return state.stack.slice(position + 1).filter(
    (other) => state.hides.get(other)?.has(name) && !state.placed.get(other).hidden
  );
}

// Whether the first of two objects is drawn in front, where they overlap.
function isInFront(state, first, second) {
  if (state.hides.get(first)?.has(second)) return true;
  if (state.hides.get(second)?.has(first)) return false;
  return state.stack.indexOf(first) < state.stack.indexOf(second);
}

// ---------------------------------------------------------------- boxes {x0, y0, x1, y1}

function boxOf(scene, state, name) {
  const { width, height } = scene.objects.get(name);
  const { x, y } = state.placed.get(name);
  return { x0: x, y0: y, x1: x + width, y1: y + height };
}

function commonBox(a, b) {
  return {
    x0: Math.max(a.x0, b.x0), y0: Math.max(a.y0, b.y0),
    x1: Math.min(a.x1, b.x1), y1: Math.min(a.y1, b.y1),
  };
}

function boxAround(a, b) {
  return {
    x0: Math.min(a.x0, b.x0), y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1), y1: Math.max(a.y1, b.y1),
  };
}

function isSolid(object, place, x, y) {
  const column = x - place.x;
  const row = y - place.y;
  return column >= 0 && row >= 0 && column < object.width && row < object.height &&
    object.pixels[4 * (row * object.width + column) + 3] >= SOLID;
}

// Whether two objects have a solid pixel in common, in the image or beyond.
function overlap(scene, state, first, second) {
  const box = commonBox(boxOf(scene, state, first), boxOf(scene, state, second));
  const [a, b] = [first, second].map((name) => scene.objects.get(name));
  const [placeA, placeB] = [first, second].map((name) => state.placed.get(name));
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      if (isSolid(a, placeA, x, y) && isSolid(b, placeB, x, y)) return true;
    }
  }
  return false;
}

// ---------------------------------------------------------------- drawing

// Draws the part of the picture inside `box`.
//
// out:   RGBA bytes of the whole picture.
// owner: per pixel of the picture, the row of the object that is seen there, or -1.
function compose(scene, state, out, owner, box) {
  const { width } = scene;
  const part = commonBox(box, { x0: 0, y0: 0, x1: width, y1: scene.height });
  if (part.x0 >= part.x1) return;
  for (let y = part.y0; y < part.y1; y++) {
    const [from, to] = [y * width + part.x0, y * width + part.x1];
    out.set(scene.background.subarray(4 * from, 4 * to), 4 * from);
    owner.fill(-1, from, to);
  }
  for (const name of [...state.stack].reverse()) {
    if (!state.placed.get(name).hidden) drawObject(scene, state, name, out, owner, part);
  }
}

function drawObject(scene, state, name, out, owner, part) {
  const { row, pixels, width } = scene.objects.get(name);
  const place = state.placed.get(name);
  const box = commonBox(part, boxOf(scene, state, name));
  const cutting = cutters(state, name).map((other) => [
    scene.objects.get(other), state.placed.get(other),
  ]);
  for (let y = box.y0; y < box.y1; y++) {
    let from = 4 * ((y - place.y) * width + box.x0 - place.x);
    let pixel = y * scene.width + box.x0;
    for (let x = box.x0; x < box.x1; x++, from += 4, pixel++) {
      const alpha = pixels[from + 3];
      if (alpha === 0) continue;
      if (cutting.some(([object, at]) => isSolid(object, at, x, y))) continue;
      const to = 4 * pixel;
      for (let c = 0; c < 3; c++) {
        const sum = alpha * pixels[from + c] + (255 - alpha) * out[to + c] + 127;
        out[to + c] = Math.floor(sum / 255);
      }
      if (alpha >= SOLID) owner[pixel] = row;
    }
  }
}
