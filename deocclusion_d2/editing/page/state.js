// The state of a scene, and what edits make of it. Edits are those of the edit script (script.js).

function firstState(scene) {
  const objects = [...scene.objects.values()];
  return {
    placed: new Map(objects.map(({ name, x, y }) => [name, { x, y, hidden: false }])),
    hides: hidesOf(scene),
    byHand: new Map(objects.map((object) => [object.name, new Set()])),
    stack: scene.stack,
  };
}

// Edges as Map name -> Set of names.
function copyOf(edges) {
  return new Map([...edges].map(([name, occludees]) => [name, new Set(occludees)]));
}

// The state after an edit.
function applyEdit(state, edit) {
  const { object } = edit;
  const next = {
    placed: new Map([...state.placed].map(([name, place]) => [name, { ...place }])),
    hides: copyOf(state.hides),
    byHand: copyOf(state.byHand),
    stack: state.stack,
  };
  const place = next.placed.get(object);
  switch (edit.op) {
    case "move":
      place.x += edit.dx;
      place.y += edit.dy;
      return next;
    case "hide":
    case "show":
      place.hidden = edit.op === "hide";
      return next;
    case "delete":
      next.placed.delete(object);
      for (const edges of [next.hides, next.byHand]) {
        edges.delete(object);
        for (const occludees of edges.values()) occludees.delete(object);
      }
      break;
    case "in_front":
    case "behind": {
      const others = "of" in edit ? [edit.of] : state.stack.filter((name) => name !== object);
      for (const other of others) {
        const pair = edit.op === "in_front" ? [object, other] : [other, object];
        for (const edges of [next.hides, next.byHand]) {
          edges.get(pair[1]).delete(pair[0]);
          edges.get(pair[0]).add(pair[1]);
        }
      }
      break;
    }
    default:
      throw new Error(`unknown edit ${edit.op}`);
  }
  next.stack = placement(next.hides, state.stack.filter((name) => next.placed.has(name)));
  return next;
}

// Whether nothing of an object is left in the picture that could be seen and taken hold of.
function isOutside(scene, state, name) {
  const object = scene.objects.get(name);
  const { width, height } = object;
  const place = state.placed.get(name);
  const picture = { x0: 0, y0: 0, x1: scene.width, y1: scene.height };
  const inside = commonBox(boxOf(scene, state, name), picture);
  const [columns, rows] = [inside.x1 - inside.x0, inside.y1 - inside.y0];
  if (width === 0 || height === 0 || (columns === width && rows === height)) return false;
  for (let y = inside.y0; y < inside.y1; y++) {
    for (let x = inside.x0; x < inside.x1; x++) if (isSolid(object, place, x, y)) return false;
  }
  return true;
}

// The shortest move by which an object's window is in the picture again, as far as it fits.
function moveIntoPicture(scene, state, name) {
  const { width, height } = scene.objects.get(name);
  const { x, y } = state.placed.get(name);
  const step = (at, size, whole) => {
    const spare = whole - size; // negative where the object is larger than the picture
    return Math.min(Math.max(at, Math.min(spare, 0)), Math.max(spare, 0)) - at;
  };
  const [dx, dy] = [step(x, width, scene.width), step(y, height, scene.height)];
  return { op: "move", object: name, dx, dy };
}
