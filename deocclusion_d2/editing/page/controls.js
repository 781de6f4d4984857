// Buttons, pointer, keys and files: what the user does becomes edits.

const DRAG_FROM = 3; // CSS pixels; less is a click with an unsteady hand
const HOLD_DELAY_MS = 400, HOLD_EVERY_MS = 50, HOLD_STEP = 5;
const KEEP_AFTER_MS = 300; // edits that follow each other at once are kept together
const MOST_SCRIPT_BYTES = 1 << 24;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  "]": "forward", "}": "front", "[": "backward", "{": "back", h: "hide", Delete: "delete",
  Backspace: "delete", r: "reset", s: "savePicture", e: "saveScript", "?": "help", n: "next",
  p: "previous", b: "bringBack", l: "loadScript", Escape: "escape", c: "nextCompletion",
  C: "previousCompletion", o: "toggleCompletions",
};
const ONCE = ["savePicture", "saveScript", "loadScript"]; // however long the key is held

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

class Editor {
  constructor(scene) {
    this.scene = scene;
    this.history = new EditHistory(firstState(scene));
    this.kept = new KeptEdits(scene, openStorage());
    this.keepTimer = 0;
    this.savedScript = null; // or the text of the script whose edits are safe in a file
    this.picture = new PictureView(scene, byId("picture"), byId("outlines"));
    this.selected = null;
    this.hovered = null;
    this.drag = null;
    this.completions = new ShownCompletions();
    this.completionsPanel = new CompletionsPanel(scene, this.completions);
    this.list = new ObjectList(this, byId("objects"));
    document.documentElement.style.setProperty("--aspect", scene.width / scene.height);
    const count = scene.objects.size;
    this.say(count ? `${count} objects. Drag one, or choose it in the list.` : "No objects.");
    this.takeUp();
    this.listen();
    this.refresh();
  }

  get state() { return this.history.state; }

  say(text) { byId("status").textContent = text; }

  // What stays to be read beside the picture; `canStartOver` offers to take the edits back.
  notify(text, canStartOver = false) {
    byId("notice").hidden = false;
    byId("notice-text").textContent = text;
    byId("start-over").hidden = !canStartOver;
  }

  // The edit script as text, as it is saved.
  script() { return editScript(this.scene, this.history.edits); }

  // ---------------------------------------------------------------- what is kept

  // Goes on where the last visit ended.
  takeUp() {
    const unkept = "This browser keeps no edits of this page: save the script before you leave it.";
    if (!this.kept.works) return this.notify(unkept);
    try {
      const kept = this.kept.read();
      if (kept === null) return;
      this.history = kept.history;
      if (kept.isSaved) this.savedScript = this.script();
    } catch {
      this.notify("What this browser kept of the edits cannot be read; this is the unedited scene.");
      return;
    }
    const count = this.history.edits.length;
    const are = count === 1 ? "1 edit of your last visit is" : `${count} edits of your last visit are`;
    if (count) this.notify(`${are} back.`, true);
  }

  keepSoon() {
    clearTimeout(this.keepTimer);
    this.keepTimer = setTimeout(() => this.keepNow(), KEEP_AFTER_MS);
  }

  // Where nothing is waiting to be kept, what is there may be another tab's and is newer.
  keepNow() {
    if (!this.keepTimer || !this.kept.works) return;
    clearTimeout(this.keepTimer);
    this.keepTimer = 0;
    if (this.kept.write(this.history, this.isSaved())) return;
    this.notify("This browser has no room to keep the edits: save the script before you leave.");
  }

  isSaved() { return this.history.edits.length === 0 || this.script() === this.savedScript; }

  // Edits are safe in a file.
  markSaved(script) {
    this.savedScript = script;
    this.keepSoon();
  }

  // ---------------------------------------------------------------- edits

  edit(edit, joined = false) {
    this.history.apply(edit, joined);
    this.keepSoon();
    this.refresh();
    this.say(describe(edit) + (edit.op === "move" ? this.whereIs(edit.object) : ""));
  }

  whereIs(name) {
    const { x, y } = this.state.placed.get(name);
    const outside = isOutside(this.scene, this.state, name);
    return ` to ${x}, ${y}${outside ? ", out of the picture: B brings it back" : ""}`;
  }

  move(dx, dy, joined = false) {
    if (this.selected !== null) this.edit({ op: "move", object: this.selected, dx, dy }, joined);
  }

  // In front of (+1) or behind (-1) the next object that overlaps.
  reorder(direction) {
    const { occluders, occludees } = this.related(this.selected);
    const next = (direction > 0 ? occluders : occludees)
      .filter((other) => overlap(this.scene, this.state, this.selected, other)).at(-1);
    const op = direction > 0 ? "in_front" : "behind";
    if (next !== undefined) this.edit({ op, object: this.selected, of: next });
    else this.say(`Nothing ${direction > 0 ? "hides" : "is hidden by"} ${visible(this.selected)}`);
  }

  // What buttons and keys do; nothing where it is not possible.
  perform(action) {
    if (!this.isPossible(action)) return;
    const object = this.selected;
    switch (action) {
      case "undo": this.step(`Undone: ${this.history.undo()}`); break;
      case "redo": this.step(`Done again: ${this.history.redo()}`); break;
      case "reset": this.history.reset(); this.step("All edits taken back"); break;
      case "bringBack": this.bringBack(object); break;
      case "forward": this.reorder(1); break;
      case "backward": this.reorder(-1); break;
      case "front": this.edit({ op: "in_front", object }); break;
      case "back": this.edit({ op: "behind", object }); break;
      case "hide": this.toggle(object); break;
      case "delete": this.remove(object); break;
      case "next": this.selectNeighbour(1); break;
      case "previous": this.selectNeighbour(-1); break;
      case "nextCompletion": this.showCompletion(1); break;
      case "previousCompletion": this.showCompletion(-1); break;
      case "toggleCompletions": this.showCompletion(0); break;
      case "escape": this.select(null); break;
      case "help": byId("help").showModal(); break;
      case "savePicture": this.savePicture(); break;
      case "saveScript": this.saveScript(); break;
      case "loadScript": byId("script-file").click(); break;
    }
  }

  isPossible(action) {
    const { history, selected } = this;
    switch (action) {
      case "undo": return history.canUndo;
      case "redo": return history.canRedo;
      case "reset": return history.edits.length > 0;
      case "hide": case "delete": return selected !== null;
      case "bringBack": return selected !== null && isOutside(this.scene, this.state, selected);
      case "nextCompletion": case "previousCompletion": case "toggleCompletions":
        return this.completionsOf(selected).length > 0;
      case "forward": case "backward": return selected !== null;
      case "front": case "back": return selected !== null && this.state.stack.length > 1;
      default: return true;
    }
  }

  step(text) {
    if (!this.state.placed.has(this.selected)) this.selected = null;
    byId("notice").hidden ||= !byId("start-over").hidden;
    this.keepSoon();
    this.refresh();
    this.say(text);
  }

  toggle(object) {
    this.edit({ op: this.state.placed.get(object).hidden ? "show" : "hide", object });
  }

  remove(object) {
    const { stack } = this.state;
    const position = stack.indexOf(object);
    this.selected = stack[position + 1] ?? stack[position - 1] ?? null;
    this.edit({ op: "delete", object });
  }

  bringBack(name) {
    this.select(name);
    this.edit(moveIntoPicture(this.scene, this.state, name));
  }

  savePicture() {
    const name = `${this.scene.save_as}_edited.png`;
    const script = this.script();
    byId("picture").toBlob((blob) => {
      // Null where the browser has too little memory for the file.
      if (blob !== null) {
        download(blob, name);
        this.markSaved(script);
      }
      this.say(blob === null ? "The picture cannot be saved" : `Picture saved as ${visible(name)}`);
    }, "image/png");
  }

  saveScript() {
    const name = `${this.scene.save_as}_edits.json`;
    download(new Blob([this.script()], { type: "application/json" }), name);
    this.markSaved(this.script());
    this.say(`Edit script saved as ${visible(name)}`);
  }

  // Puts the edits of a script in place of those that are there; undo brings them back.
  async loadScript(files) {
    const [file] = files;
    const name = visible(file.name);
    try {
      if (files.length > 1) throw new Error(`one of ${files.length} files; load one script`);
      if (file.size > MOST_SCRIPT_BYTES) throw new Error("too large for an edit script");
      const text = await file.text().catch(() => { throw new Error("cannot be read"); });
      const edits = readScript(this.scene, text);
      this.dropDrag();
      this.history.load(edits, `${name} loaded`);
      this.savedScript = this.script();
      const count = edits.length === 1 ? "1 edit" : `${edits.length} edits`;
      this.step(`${name} loaded: ${count} in place of those before`);
    } catch (error) {
      this.say(`${name} not loaded: ${error.message}`);
    }
  }

  // ---------------------------------------------------------------- what is shown

  select(name, focusRow = false) {
    if (this.selected !== name) {
      this.selected = name;
      this.refresh();
      if (name !== null) this.say(`${visible(name)} chosen`);
    }
    if (focusRow) this.list.focus(name);
  }

  selectNeighbour(step, focusRow = false) {
    const { stack } = this.state;
    if (!stack.length) return;
    const position = stack.indexOf(this.selected);
    const next = position < 0 ? (step > 0 ? 0 : -1) : position + step;
    this.select(stack.at(next % stack.length), focusRow);
  }

  completionsOf(name) { return this.scene.objects.get(name)?.completions ?? []; }

  // The next (+1) or the previous (-1) completion alone; 0 turns their outlines on or off.
  showCompletion(step) {
    const { completions: shown, selected } = this;
    if (step === 0) shown.toggle();
    else shown.step(this.completionsOf(selected).length, step);
    this.refresh();
    const text = describeCompletions(this.scene.objects.get(selected), shown);
    this.say(shown.on ? text : "Outlines of other completions are off");
  }

  hover(name) {
    if (this.hovered === name) return;
    this.hovered = name;
    this.showOutlines();
  }

  refresh() {
    this.picture.show(this.state);
    this.showOutlines();
    this.list.show();
    this.showSelected();
    for (const button of document.querySelectorAll("[data-action]")) {
      button.setAttribute("aria-disabled", !this.isPossible(button.dataset.action));
    }
    for (const button of document.querySelectorAll("[data-move]")) {
      button.setAttribute("aria-disabled", this.selected === null);
    }
  }

  showOutlines() {
    const known = this.hovered !== null && this.state.placed.has(this.hovered);
    const active = known ? this.hovered : this.selected;
    // Of the chosen object alone: what the pointer passes shall not flicker.
    const isChosen = active !== null && active === this.selected;
    const count = isChosen ? this.completionsOf(active).length : 0;
    this.completions.choose(this.selected);
    this.picture.outline(active, this.completions.numbers(count));
    byId("picture").classList.toggle("over-object", known);
    this.list.mark(active, this.related(active));
  }

  related(name) {
    if (name === null) return { occluders: [], occludees: [] };
    return relatedObjects(this.scene, this.picture.state, name);
  }

  showSelected() {
    const { selected: name, state } = this;
    const place = state.placed.get(name);
    byId("selected-name").textContent = place ? visible(name) : "Nothing chosen";
    const label = place ? `${visible(name)} at ${place.x}, ${place.y}. Arrow keys move it` : "choose an object";
    byId("picture").setAttribute("aria-label", `Picture of ${visible(this.scene.save_as)}: ${label}`);
    this.completionsPanel.show(name);
    const hide = document.querySelector("[data-action=hide]");
    hide.querySelector("span").textContent = place?.hidden ? "Show" : "Hide";
    hide.querySelector("use").setAttribute("href", place?.hidden ? "#eye" : "#eye-off");
  }

  // ---------------------------------------------------------------- pointer and keys

  listen() {
    const canvas = byId("picture");
    canvas.addEventListener("pointerdown", (event) => this.pointerDown(event));
    canvas.addEventListener("pointermove", (event) => this.pointerMove(event));
    canvas.addEventListener("pointerup", (event) => this.pointerUp(event));
    canvas.addEventListener("pointercancel", () => this.dropDrag());
    canvas.addEventListener("pointerleave", () => this.hover(null));
    document.addEventListener("keydown", (event) => this.keyDown(event));
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () => this.perform(button.dataset.action));
    }
    for (const button of document.querySelectorAll("[data-move]")) this.listenToNudge(button);
    this.listenToFiles();
    this.listenToLeaving();
  }

  listenToFiles() {
    const chooser = byId("script-file");
    chooser.addEventListener("change", async () => {
      if (chooser.files.length) await this.loadScript([...chooser.files]);
      chooser.value = ""; // so that the same file can be chosen again
    });
    // A file that is dropped beside would else be opened in place of the page.
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    });
    document.addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      const files = [...event.dataTransfer.files];
      if (files.length) this.loadScript(files);
    });
  }

  listenToLeaving() {
    addEventListener("pagehide", () => this.keepNow());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.keepNow(); });
    addEventListener("beforeunload", (event) => {
      this.keepNow();
      if (this.isSaved()) return;
      event.preventDefault();
      event.returnValue = true; // older browsers ask by this
    });
    addEventListener("storage", (event) => {
      if (event.key !== this.kept.key || event.newValue === null) return;
      this.notify("This scene is edited in another tab too; the browser keeps the latest edits alone.");
    });
  }

  // A click moves by one pixel; holding the button down goes on, as one step of the history.
  listenToNudge(button) {
    const [dx, dy] = button.dataset.move.split(",").map(Number);
    let timer = 0;
    let held = false;
    const go = () => {
      this.move(HOLD_STEP * dx, HOLD_STEP * dy, held);
      held = true;
      timer = setTimeout(go, HOLD_EVERY_MS);
    };
    const stop = () => clearTimeout(timer);
    button.addEventListener("pointerdown", () => {
      held = false;
      timer = setTimeout(go, HOLD_DELAY_MS);
    });
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
      button.addEventListener(end, stop);
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      if (!held) this.move(dx, dy);
      held = false;
    });
  }

  pointerDown(event) {
    if (!event.isPrimary || event.button !== 0) return;
    const point = this.picture.pointOf(event);
    const name = this.picture.objectAt(point);
    this.select(name);
    if (name === null) return;
    event.target.setPointerCapture(event.pointerId);
    const { clientX, clientY } = event;
    this.drag = { name, point, clientX, clientY, moved: false, edit: null };
  }

  pointerMove(event) {
    if (!event.isPrimary) return;
    const point = this.picture.pointOf(event);
    const { drag } = this;
    if (!drag) {
      this.hover(event.pointerType === "touch" ? null : this.picture.objectAt(point));
      return;
    }
    const distance = Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY);
    drag.moved ||= distance >= DRAG_FROM;
    if (!drag.moved) return;
    const [dx, dy] = [Math.round(point.x - drag.point.x), Math.round(point.y - drag.point.y)];
    drag.edit = { op: "move", object: drag.name, dx, dy };
    this.hovered = drag.name;
    drag.frame ??= requestAnimationFrame(() => {
      drag.frame = null;
      if (this.drag !== drag) return;
      this.picture.show(applyEdit(this.state, drag.edit));
      this.showOutlines();
    });
  }

  pointerUp(event) {
    if (!event.isPrimary || !this.drag) return;
    const { edit } = this.drag;
    this.drag = null;
    if (event.pointerType === "touch") this.hovered = null;
    if (edit && (edit.dx || edit.dy)) this.edit(edit);
    else this.refresh();
  }

  dropDrag() {
    if (!this.drag) return;
    this.drag = null;
    this.hovered = null;
    this.refresh();
    this.say("Move dropped");
  }

  keyDown(event) {
    if (byId("help").open || event.isComposing) return;
    if (this.handleKey(event)) event.preventDefault();
  }

  // Whether the key was one of the page's.
  handleKey(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const typed = event.getModifierState("AltGraph"); // brackets need it on many keyboards
    if ((event.ctrlKey || event.metaKey) && !typed) {
      if (this.drag || (key !== "z" && key !== "y")) return false;
      this.perform(key === "y" || event.shiftKey ? "redo" : "undo");
      return true;
    }
    if (event.altKey && !typed) return false;
    if (this.drag) {
      if (key === "Escape") this.dropDrag();
      return true;
    }
    const inList = this.list.holds(event.target);
    if (inList && (key === "ArrowUp" || key === "ArrowDown")) {
      this.selectNeighbour(key === "ArrowUp" ? -1 : 1, true);
      return true;
    }
    if (inList && (key === "Home" || key === "End")) {
      this.select(this.state.stack.at(key === "Home" ? 0 : -1), true);
      return true;
    }
    if (key in ARROWS && this.selected !== null) {
      const [dx, dy] = ARROWS[key].map((step) => step * (event.shiftKey ? 10 : 1));
      this.move(dx, dy, event.repeat);
      return true;
    }
    // Also of keyboards on which Shift leaves the bracket as it is.
    const shifted = { "[": "{", "]": "}", c: "C" };
    const action = KEYS[event.shiftKey ? shifted[key] ?? key : key];
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return false;
    if (action === "delete" && event.target.closest?.("button")) {
      if (inList) this.say("Enter goes to the picture, where Del deletes the object");
      return true;
    }
    // A key held down saves once: Chromium drops downloads beyond ten a second without a word, then
    // also the next one that the user asks for.
    const repeated = key === "Enter" ? event.target.dataset.action : action;
    if (event.repeat && ONCE.includes(repeated)) return true;
    if (action === undefined) return false;
    this.perform(action);
    return true;
  }
}

const opened = decodeScene(JSON.parse(byId("scene").textContent)).then(
  (scene) => new Editor(scene),
  (error) => { byId("status").textContent = `The scene cannot be shown: ${error.message}`; }
);
