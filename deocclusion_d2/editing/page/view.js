// The picture: a canvas with the pixels, and over it an SVG with the outlines.

const SVG = "http://www.w3.org/2000/svg";

class PictureView {
  constructor(scene, canvas, overlay) {
    this.scene = scene;
    this.canvas = canvas;
    this.overlay = overlay;
    this.context = canvas.getContext("2d", { alpha: false });
    canvas.width = scene.width;
    canvas.height = scene.height;
    overlay.setAttribute("viewBox", `0 0 ${scene.width} ${scene.height}`);
    this.image = new ImageData(scene.width, scene.height);
    this.owner = new Int32Array(scene.width * scene.height);
    this.names = [...scene.objects.keys()];
    this.completePaths = new Map();
    this.state = null;
  }

  // Draws a state; only what differs from the one that is shown.
  show(state) {
    const box = this.changedBox(state);
    this.state = state;
    if (!box) return;
    const part = commonBox(box, this.wholeBox());
    if (part.x0 >= part.x1 || part.y0 >= part.y1) return;
    compose(this.scene, state, this.image.data, this.owner, part);
    const [width, height] = [part.x1 - part.x0, part.y1 - part.y0];
    this.context.putImageData(this.image, 0, 0, part.x0, part.y0, width, height);
  }

  wholeBox() {
    return { x0: 0, y0: 0, x1: this.scene.width, y1: this.scene.height };
  }

  // The box of all that another state changes in the picture; null when nothing does.
  changedBox(next) {
    const shown = this.state;
    if (!shown || shown.stack.join("/") !== next.stack.join("/")) return this.wholeBox();
    if (!sameEdges(shown.hides, next.hides) || !sameEdges(shown.byHand, next.byHand)) {
      return this.wholeBox();
    }
    let box = null;
    for (const [name, place] of next.placed) {
      const before = shown.placed.get(name);
      if (before.x === place.x && before.y === place.y && before.hidden === place.hidden) continue;
      for (const state of [shown, next]) {
        const changed = grown(boxOf(this.scene, state, name));
        box = box ? boxAround(box, changed) : changed;
      }
    }
    return box;
  }

  // Image pixel under a pointer.
  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * this.scene.width) / box.width,
      y: ((event.clientY - box.top) * this.scene.height) / box.height,
    };
  }

  // Name of the object that is seen at a point, or null.
  objectAt({ x, y }) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= this.scene.width || row >= this.scene.height) return null;
    const owner = this.owner[row * this.scene.width + column];
    return owner < 0 ? null : this.names[owner];
  }

  // Share of its solid pixels by which each object is seen in the picture, by name.
  visibleShares() {
    const seen = new Int32Array(this.names.length);
    for (const owner of this.owner) if (owner >= 0) seen[owner]++;
    const shares = new Map();
    for (const { name, row, pixels } of this.scene.objects.values()) {
      let solid = 0;
      for (let i = 3; i < pixels.length; i += 4) if (pixels[i] >= SOLID) solid++;
      shares.set(name, solid ? seen[row] / solid : 0);
    }
    return shares;
  }

  // ---------------------------------------------------------------- outlines

  // Outlines of an object, and of those that hide it and that it hides; none for null. Of its other
  // completions those that `shown` names, a list of their numbers.
  outline(name, shown = []) {
    this.overlay.replaceChildren();
    if (name === null || !this.state.placed.has(name)) return;
    const { occluders, occludees } = relatedObjects(this.scene, this.state, name);
    for (const other of occludees) this.addPath("occludee", this.visiblePath(other));
    for (const other of occluders) this.addPath("occluder", this.visiblePath(other));
    const complete = this.completePath(name);
    const visible = this.visiblePath(name);
    this.addCompletions(name, shown);
    for (const [kind, path] of [["complete", complete], ["visible", visible]]) {
      this.addPath(`${kind} halo`, path);
      this.addPath(kind, path);
    }
  }

  // Those drawn more often lie above the others; one alone is set off from the photo.
  addCompletions(name, shown) {
    const { completions = [] } = this.scene.objects.get(name);
    for (const number of [...shown].reverse()) {
      const path = { d: completionPath(completions[number]), ...this.state.placed.get(name) };
      if (shown.length === 1) this.addPath("completion halo", path);
      const line = this.addPath("completion", path);
      if (shown.length > 1) {
        line.setAttribute("stroke-opacity", lineOpacity(completions[number].weight));
      }
    }
  }

  addPath(kind, { d, x, y }) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    path.setAttribute("transform", `translate(${x} ${y})`);
    this.overlay.append(path);
    return path;
  }

  // Around the object's whole shape, hidden parts too: its amodal mask.
  completePath(name) {
    const object = this.scene.objects.get(name);
    if (!this.completePaths.has(name)) {
      const { width, height, pixels } = object;
      const inside = (x, y) => pixels[4 * (y * width + x) + 3] >= SOLID;
      this.completePaths.set(name, outlinePath(width, height, inside));
    }
    const { x, y } = this.state.placed.get(name);
    return { d: this.completePaths.get(name), x, y };
  }

  // Around what is seen of the object in the picture as it is: its modal mask.
  visiblePath(name) {
    const { row } = this.scene.objects.get(name);
    const { x0, y0, x1, y1 } = commonBox(boxOf(this.scene, this.state, name), this.wholeBox());
    if (x0 >= x1 || y0 >= y1) return { d: "", x: 0, y: 0 };
    const inside = (x, y) => this.owner[(y0 + y) * this.scene.width + x0 + x] === row;
    return { d: outlinePath(x1 - x0, y1 - y0, inside), x: x0, y: y0 };
  }
}

function sameEdges(first, second) {
  return [...first].every(([name, occludees]) => {
    const others = second.get(name);
    return others.size === occludees.size && [...occludees].every((other) => others.has(other));
  });
}

// Objects that hide `name` or that it hides, nearest in the stack last.
//
// Those are the ones that overlap it, and those that the graph orders with it while they touch it:
// the graph knows pairs whose hidden part is too small to be completed.
function relatedObjects(scene, state, name) {
  const [occluders, occludees] = [[], []];
  const { x0, y0, x1, y1 } = boxOf(scene, state, name);
  const around = { x0: x0 - 1, y0: y0 - 1, x1: x1 + 1, y1: y1 + 1 };
  for (const other of state.stack) {
    if (other === name || state.placed.get(other).hidden) continue;
    const near = commonBox(around, boxOf(scene, state, other));
    if (near.x0 >= near.x1 || near.y0 >= near.y1) continue;
    const ordered = state.hides.get(name).has(other) || state.hides.get(other).has(name);
    if (!ordered && !overlap(scene, state, name, other)) continue;
    if (isInFront(scene, state, other, name)) occluders.push(other);
    else occludees.unshift(other);
  }
  return { occluders, occludees };
}

// A small picture of an object on its own.
function thumbnail(object, size) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  if (!object.width || !object.height) return canvas;
  const whole = document.createElement("canvas");
  whole.width = object.width;
  whole.height = object.height;
  const image = new ImageData(object.pixels, object.width, object.height);
  whole.getContext("2d").putImageData(image, 0, 0);
  const scale = Math.min(size / object.width, size / object.height);
  const [width, height] = [object.width * scale, object.height * scale];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, (size - width) / 2, (size - height) / 2, width, height);
  return canvas;
}
