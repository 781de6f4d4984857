// Edit scripts as the page saves and reads them; tools/edit_scene.py reads the same. And how names
// are shown, which come from files and may hold anything.

const SCRIPT_VERSION = 1;
const FARTHEST = 10_000_000; // in pixels; no photo is so large

// What the page can do, and the keys of each edit beside "op" and "object": true where needed.
const PAGE_OPERATIONS = {
  delete: {}, hide: {}, show: {}, move: { dx: true, dy: true },
  in_front: { of: false }, behind: { of: false }, swap: { with: true },
};
const TOOLS_OPERATIONS = ["scale", "duplicate", "insert"];

// Text with what would not be seen, or would turn what stands beside it, written out: control
// characters, marks of direction, line separators. Joiners are part of letters and stay.
function visible(text) {
  const named = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
  return text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu, (character) => {
    const code = character.codePointAt(0).toString(16);
    const [letter, length] = code.length > 4 ? ["U", 8] : code.length > 2 ? ["u", 4] : ["x", 2];
    return named[character] ?? `\\${letter}${code.padStart(length, "0")}`;
  });
}

// A value of a script, for a message.
function quoted(value) {
  const text = visible(JSON.stringify(value) ?? "nothing");
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function describe(edit) {
  const name = visible(edit.object);
  const other = visible(edit.of ?? "all others");
  switch (edit.op) {
    case "move": return `${name} moved`;
    case "hide": return `${name} hidden`;
    case "show": return `${name} shown`;
    case "delete": return `${name} deleted`;
    case "in_front": return `${name} put in front of ${other}`;
    case "behind": return `${name} put behind ${other}`;
    default: return edit.op;
  }
}

// The edit script as text. It names its scene, so that it is not taken for another one's.
function editScript(scene, edits) {
  return JSON.stringify({ version: SCRIPT_VERSION, scene: scene.fingerprint, edits }, null, 1) + "\n";
}

// Edits with one more. Moves of an object that follow each other become one, or none.
function withEdit(edits, edit) {
  const last = edits.at(-1);
  if (edit.op !== "move" || last?.op !== "move" || last.object !== edit.object) {
    return [...edits, edit];
  }
  const [dx, dy] = [last.dx + edit.dx, last.dy + edit.dy];
  return [...edits.slice(0, -1), ...(dx || dy ? [{ ...last, dx, dy }] : [])];
}

// The edits of a script, as edits of the page. Throws an error with a line for the user when one of
// them is not possible in this scene.
function readScript(scene, text) {
  let document;
  try {
    document = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw new Error("not a JSON file");
  }
  if (!isRecord(document) || !Array.isArray(document.edits)) throw new Error("not an edit script");
  for (const key of Object.keys(document)) {
    if (!["version", "scene", "edits"].includes(key)) throw new Error(`unknown key ${quoted(key)}`);
  }
  if (document.version !== SCRIPT_VERSION) {
    throw new Error(`version ${quoted(document.version)}; this page reads ${SCRIPT_VERSION}`);
  }
  if ((document.scene ?? scene.fingerprint) !== scene.fingerprint) {
    throw new Error('made for another scene; without its line "scene" it is tried all the same');
  }
  return checkedEdits(scene, firstState(scene), document.edits);
}

// Edits that can be made one after the other from a state on.
function checkedEdits(scene, state, edits) {
  const checked = [];
  edits.forEach((edit, index) => {
    for (const part of checkedEdit(scene, state, edit, `edit ${index + 1}`)) {
      state = applyEdit(state, part);
      checked.push(part);
    }
  });
  return checked;
}

function checkedEdit(scene, state, edit, where) {
  if (!isRecord(edit)) throw new Error(`${where}: not an edit`);
  const { op, object } = edit;
  if (TOOLS_OPERATIONS.includes(op)) {
    throw new Error(`${where}: the page cannot ${op}; tools/edit_scene.py can, and its --html goes on`);
  }
  if (typeof op !== "string" || !Object.hasOwn(PAGE_OPERATIONS, op)) {
    throw new Error(`${where}: unknown op ${quoted(op)}`);
  }
  const keys = PAGE_OPERATIONS[op];
  for (const key of Object.keys(edit)) {
    const known = key === "op" || key === "object" || Object.hasOwn(keys, key);
    if (!known) throw new Error(`${where} (${op}): unknown key ${quoted(key)}`);
  }
  for (const key of ["object", ...Object.keys(keys)]) {
    if (!Object.hasOwn(edit, key)) {
      if (key === "object" || keys[key]) throw new Error(`${where} (${op}): "${key}" is missing`);
    } else if (key === "dx" || key === "dy") {
      if (!Number.isInteger(edit[key]) || Math.abs(edit[key]) > FARTHEST) {
        throw new Error(`${where} (${op}): "${key}" is ${quoted(edit[key])}; give whole pixels`);
      }
    } else if (!state.placed.has(edit[key])) {
      const found = typeof edit[key] === "string" ? `there is no object ${quoted(edit[key])}`
        : `"${key}" is ${quoted(edit[key])}; give a name`;
      throw new Error(`${where} (${op}): ${found}`);
    } else if (key !== "object" && edit[key] === object) {
      throw new Error(`${where} (${op}): ${quoted(object)} is named twice`);
    }
  }
  return op === "swap" ? swapMoves(scene, state, object, edit.with) : [{ ...edit }];
}

// Each of two objects to where the other stands, by the bottom centres of their windows.
function swapMoves(scene, state, first, second) {
  const [a, b] = [first, second].map((name) => {
    const { width, height } = scene.objects.get(name);
    const { x, y } = state.placed.get(name);
    return { x: x + Math.floor(width / 2), y: y + height };
  });
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  return [
    { op: "move", object: first, dx, dy },
    { op: "move", object: second, dx: -dx, dy: -dy },
  ];
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
