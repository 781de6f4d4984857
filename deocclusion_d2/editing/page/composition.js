// Pixels of a scene: decoding, who is drawn before whom, drawing. Whole numbers only, so that the
// picture equals the one that the Python program draws from the same edits.
//
// scene:  {width, height, background: RGBA bytes, photo: RGBA bytes or null, objects: Map name ->
//         object, edges: pairs [occluder, occludee] by name, stack: names, front to back}
// object: {name, category, row, x, y, width, height, pixels: RGBA bytes of its window,
//         seen: per pixel, 1 where the photo shows the object}
// state:  {placed: Map name -> {x, y, hidden}, hides: Map name -> Set of names, byHand: those of
//         `hides` that an edit set, in the same form, stack: names, front to back}; states are
//         never changed, an edit makes a new one (state.js).

// An object's pixel counts as solid from this alpha on: it cuts, covers, and can be picked.
const SOLID = 128;

// How far around an object the photo shows of its colours, in pixels.
const REACH = 2;

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
  const whole = (uri) => decodePixels(uri, entry.width, entry.height);
  const scene = {
    ...entry,
    background: await whole(entry.background),
    photo: entry.photo ? await whole(entry.photo) : null,
    objects: new Map(objects.map((object) => [object.name, object])),
  };
  return { ...scene, stack: placement(hidesOf(scene), fromTheBottom(scene)) };
}

// Who hides whom in the photo.
function hidesOf(scene) {
  const hides = new Map([...scene.objects.keys()].map((name) => [name, new Set()]));
  for (const [occluder, occludee] of scene.edges) hides.get(occluder).add(occludee);
  return hides;
}

// What stands lower in the picture is nearer, where nothing else is known.
function fromTheBottom(scene) {
  const bottom = (object) => object.y + object.height;
  const objects = [...scene.objects.values()];
  return objects.sort((a, b) => bottom(b) - bottom(a) || a.row - b.row).map(({ name }) => name);
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

// ---------------------------------------------------------------- what is edited

// Per pixel of the window grown by REACH: 1 on the object's pixels and REACH around.
function reachMask(object) {
  if (object.reach) return object.reach;
  const { width, height, pixels } = object;
  const [columns, rows] = [width + 2 * REACH, height + 2 * REACH];
  const wide = new Uint8Array(columns * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!pixels[4 * (y * width + x) + 3]) continue;
      wide.fill(1, y * columns + x, y * columns + x + 2 * REACH + 1);
    }
  }
  const reach = new Uint8Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let from = Math.max(y - 2 * REACH, 0); from <= Math.min(y, height - 1); from++) {
      for (let x = 0; x < columns; x++) reach[y * columns + x] |= wide[from * columns + x];
    }
  }
  object.reach = reach;
  return reach;
}

function grown(box) {
  return { x0: box.x0 - REACH, y0: box.y0 - REACH, x1: box.x1 + REACH, y1: box.y1 + REACH };
}

// Calls `mark` with the index, in `part`, of every pixel of it that an object at (x, y) reaches.
function eachReached(object, x, y, part, mark) {
  const { width, height } = object;
  const around = grown({ x0: x, y0: y, x1: x + width, y1: y + height });
  const box = commonBox(part, around);
  const reach = reachMask(object);
  for (let row = box.y0; row < box.y1; row++) {
    for (let column = box.x0; column < box.x1; column++) {
      if (!reach[(row - around.y0) * (width + 2 * REACH) + column - around.x0]) continue;
      mark((row - part.y0) * (part.x1 - part.x0) + column - part.x0);
    }
  }
}

// Per pixel of `part`: 1 where the picture may differ from the photo. An object that is not where
// it was counts where it was and where it is; two others whose order is no longer that of the
// photo, or was set by hand, count where both of them are.
function editedMask(scene, state, part) {
  const edited = new Uint8Array((part.x1 - part.x0) * (part.y1 - part.y0));
  const mark = (pixel) => { edited[pixel] = 1; };
  const kept = new Set();
  for (const object of scene.objects.values()) {
    const place = state.placed.get(object.name);
    if (place && !place.hidden && place.x === object.x && place.y === object.y) {
      kept.add(object.name);
      continue;
    }
    eachReached(object, object.x, object.y, part, mark);
    if (place && !place.hidden) eachReached(object, place.x, place.y, part, mark);
  }
  const now = state.stack.filter((name) => kept.has(name));
  const rank = new Map(scene.stack.map((name, position) => [name, position]));
  now.forEach((front, position) => {
    for (const back of now.slice(position + 1)) {
      const ordered = state.byHand.get(front).has(back) || state.byHand.get(back).has(front);
      if (!ordered && rank.get(front) < rank.get(back)) continue;
      const [a, b] = [front, back].map((name) => scene.objects.get(name));
      const first = new Uint8Array(edited.length);
      eachReached(a, a.x, a.y, part, (pixel) => { first[pixel] = 1; });
      eachReached(b, b.x, b.y, part, (pixel) => { edited[pixel] |= first[pixel]; });
    }
  });
  return edited;
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
  if (scene.photo !== null) showPhoto(scene, state, out, part);
}

// Layers with soft edges do not give the photo again: where nothing is edited it is shown itself.
function showPhoto(scene, state, out, part) {
  const edited = editedMask(scene, state, part);
  let inPart = 0;
  for (let y = part.y0; y < part.y1; y++) {
    for (let x = part.x0; x < part.x1; x++, inPart++) {
      if (edited[inPart]) continue;
      const at = 4 * (y * scene.width + x);
      for (let c = 0; c < 3; c++) out[at + c] = scene.photo[at + c];
    }
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
