// Edits and their history. Edits are those of the edit script that tools/edit_scene.py reads.

const SCRIPT_VERSION = 1;

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

function describe(edit) {
  switch (edit.op) {
    case "move": return `${edit.object} moved`;
    case "hide": return `${edit.object} hidden`;
    case "show": return `${edit.object} shown`;
    case "delete": return `${edit.object} deleted`;
    case "in_front": return `${edit.object} put in front of ${edit.of ?? "all others"}`;
    case "behind": return `${edit.object} put behind ${edit.of ?? "all others"}`;
    default: return edit.op;
  }
}

// All states from the first to the latest, and where undo and redo have led. A reset is a step too.
class EditHistory {
  constructor(state) {
    this.steps = [{ state, edits: [], text: "" }];
    this.index = 0;
  }

  get state() { return this.steps[this.index].state; }
  get edits() { return this.steps[this.index].edits; }
  get canUndo() { return this.index > 0; }
  get canRedo() { return this.index < this.steps.length - 1; }

  // `joined`: one step with the move before it, as when a key is held down.
  apply(edit, joined = false) {
    const state = applyEdit(this.state, edit);
    const last = this.edits.at(-1);
    const isSameMove = last?.op === "move" && edit.op === "move" && last.object === edit.object;
    const step = { state, edits: [...this.edits, edit], text: describe(edit) };
    this.steps.length = this.index + 1;
    if (joined && isSameMove && this.canUndo) this.steps.pop();
    this.index = this.steps.push(step) - 1;
  }

  // Each returns what was undone or done again, for the user to read.
  undo() { return this.steps[this.index--].text; }
  redo() { return this.steps[++this.index].text; }

  reset() {
    this.steps.length = this.index + 1;
    this.index = this.steps.push({ ...this.steps[0], text: "reset" }) - 1;
  }
}

// The edit script as text. Moves of an object that follow each other become one.
function editScript(edits) {
  const kept = [];
  for (const edit of edits) {
    const last = kept.at(-1);
    if (edit.op === "move" && last?.op === "move" && last.object === edit.object) {
      kept.pop();
      const [dx, dy] = [last.dx + edit.dx, last.dy + edit.dy];
      if (dx || dy) kept.push({ ...last, dx, dy });
    } else {
      kept.push(edit);
    }
  }
  return JSON.stringify({ version: SCRIPT_VERSION, edits: kept }, null, 1) + "\n";
}
