// Pixels of a scene: decoding, who is drawn before whom, drawing. Whole numbers only, so that the
// picture equals the one that the Python program draws from the same edits.
//
// scene:  {width, height, background: RGBA bytes, objects: Map name -> object}
// object: {name, category, row, x, y, width, height, pixels: RGBA bytes of its window,
//         seen: per pixel, 1 where the photo shows the object}
// state:  {placed: Map name -> {x, y, hidden}, hides: Map name -> Set of names, byHand: those of
//         `hides` that an edit set, in the same form, stack: names, front to back}; states are
//         never changed, an edit makes a new one (state.js).

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

// Colours lie above; below, alpha in red and what the photo shows in green: a canvas would spoil
// colours that have an alpha.
async function decodeObject(entry, row) {
  const size = entry.width * entry.height;
  const pixels = new Uint8ClampedArray(4 * size);
  const seen = new Uint8Array(size);
  if (entry.pixels !== null) {
    const both = await decodePixels(entry.pixels, entry.width, 2 * entry.height);
    pixels.set(both.subarray(0, 4 * size));
    for (let i = 0; i < size; i++) {
      pixels[4 * i + 3] = both[4 * (size + i)];
      seen[i] = both[4 * (size + i) + 1] ? 1 : 0;
    }
  }
  return { ...entry, row, pixels, seen };
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

// ---------------------------------------------------------------- who is in front where

// Whether two objects stand to each other as in their photo, and nobody has ordered them since.
function isAsInPhoto(scene, state, first, second) {
  if (state.byHand.get(first).has(second) || state.byHand.get(second).has(first)) return false;
  const [a, b] = [first, second].map((name) => scene.objects.get(name));
  const [placeA, placeB] = [first, second].map((name) => state.placed.get(name));
  return placeA.x - a.x === placeB.x - b.x && placeA.y - a.y === placeB.y - b.y;
}

// A test of pixels (x, y) inside both windows: whether `name` belongs in front of `other`, which
// stands before it in the stack. While the two stand as in their photo, the one that it shows is in
// front of the one that it does not show; everywhere else the edge between them decides. Null where
// no pixel can pass.
function frontTest(scene, state, name, other) {
  const hides = state.hides.get(name).has(other);
  const asInPhoto = isAsInPhoto(scene, state, name, other);
  if (!hides && !asInPhoto) return null;
  const [a, b] = [name, other].map((key) => scene.objects.get(key));
  const [placeA, placeB] = [name, other].map((key) => state.placed.get(key));
  return (x, y) => {
    const at = (y - placeA.y) * a.width + x - placeA.x;
    if (a.pixels[4 * at + 3] < SOLID) return false;
    if (!asInPhoto) return hides;
    const seen = a.seen[at];
    return seen === b.seen[(y - placeB.y) * b.width + x - placeB.x] ? hides : seen === 1;
  };
}

// Per pixel of a box inside the window of `name`: 1 where the object is cut, because one that
// stands behind it in the stack belongs in front. Nothing cuts the object at the very back, so
// there is never a hole.
function cutMask(scene, state, name, box) {
  const columns = box.x1 - box.x0;
  const cut = new Uint8Array(columns * (box.y1 - box.y0));
  for (const other of state.stack.slice(state.stack.indexOf(name) + 1)) {
    if (state.placed.get(other).hidden) continue;
    const isInFront = frontTest(scene, state, other, name);
    if (isInFront === null) continue;
    const common = commonBox(box, boxOf(scene, state, other));
    for (let y = common.y0; y < common.y1; y++) {
      for (let x = common.x0; x < common.x1; x++) {
        if (isInFront(x, y)) cut[(y - box.y0) * columns + x - box.x0] = 1;
      }
    }
  }
  return cut;
}

// Of the solid pixels that two objects have in common, in the image or beyond: where the first one
// is in front, and where the second one is.
function commonPixels(scene, state, first, second) {
  const isAhead = state.stack.indexOf(first) < state.stack.indexOf(second);
  const [ahead, behind] = isAhead ? [first, second] : [second, first];
  const test = frontTest(scene, state, behind, ahead);
  const box = commonBox(boxOf(scene, state, first), boxOf(scene, state, second));
  const [a, b] = [ahead, behind].map((name) => scene.objects.get(name));
  const [placeA, placeB] = [ahead, behind].map((name) => state.placed.get(name));
  const counts = [0, 0];
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      if (!isSolid(a, placeA, x, y) || !isSolid(b, placeB, x, y)) continue;
      counts[(test?.(x, y) ?? false) === isAhead ? 1 : 0]++;
    }
  }
  return counts;
}

function isSolid(object, place, x, y) {
  return object.pixels[4 * ((y - place.y) * object.width + x - place.x) + 3] >= SOLID;
}

function overlap(scene, state, first, second) {
  return commonPixels(scene, state, first, second).some((count) => count > 0);
}

// Whether the first of two objects is the one in front: by their edge, else where more is seen.
function isInFront(scene, state, first, second) {
  if (state.hides.get(first).has(second)) return true;
  if (state.hides.get(second).has(first)) return false;
  const [mine, others] = commonPixels(scene, state, first, second);
  if (mine !== others) return mine > others;
  return state.stack.indexOf(first) < state.stack.indexOf(second);
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
  if (box.x0 >= box.x1 || box.y0 >= box.y1) return;
  const cut = cutMask(scene, state, name, box);
  let inBox = 0;
  for (let y = box.y0; y < box.y1; y++) {
    let from = 4 * ((y - place.y) * width + box.x0 - place.x);
    let pixel = y * scene.width + box.x0;
    for (let x = box.x0; x < box.x1; x++, from += 4, pixel++, inBox++) {
      const alpha = pixels[from + 3];
      if (alpha === 0 || cut[inBox]) continue;
      const to = 4 * pixel;
      for (let c = 0; c < 3; c++) {
        const sum = alpha * pixels[from + c] + (255 - alpha) * out[to + c] + 127;
        out[to + c] = Math.floor(sum / 255);
      }
      if (alpha >= SOLID) owner[pixel] = row;
    }
  }
}
