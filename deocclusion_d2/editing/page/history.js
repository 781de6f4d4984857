// All states from the first to the latest, and where undo and redo have led. Each step after the
// first knows its change: {edits, text, afresh}, made after the step before or, where `afresh` is
// true, after the first state. So a reset is a step too, and so is a script that is loaded.
class EditHistory {
  constructor(state) {
    this.steps = [{ state, edits: [], change: null }];
    this.index = 0;
  }

  get state() { return this.steps[this.index].state; }
  get edits() { return this.steps[this.index].edits; }
  get canUndo() { return this.index > 0; }
  get canRedo() { return this.index < this.steps.length - 1; }

  // `joined`: one step with the move before it, as when a key is held down.
  apply(edit, joined = false) {
    const { change } = this.steps[this.index];
    const last = change?.afresh ? undefined : change?.edits.at(-1);
    const isSameMove = last?.op === "move" && edit.op === "move" && last.object === edit.object;
    const edits = joined && isSameMove ? withEdit(change.edits, edit) : [edit];
    if (joined && isSameMove) this.index--;
    this.change({ edits, text: describe(edit), afresh: false });
  }

  reset() { this.change({ edits: [], text: "reset", afresh: true }); }

  // Edits from the first state on, in place of all that are there.
  load(edits, text) { this.change({ edits, text, afresh: true }); }

  change(change) {
    let { state, edits } = this.steps[change.afresh ? 0 : this.index];
    for (const edit of change.edits) {
      state = applyEdit(state, edit);
      edits = withEdit(edits, edit);
    }
    this.steps.length = this.index + 1;
    this.index = this.steps.push({ state, edits, change }) - 1;
  }

  // Each returns what was undone or done again, for the user to read.
  undo() { return this.steps[this.index--].change.text; }
  redo() { return this.steps[++this.index].change.text; }

  // What `restored` makes the history of again; ready for JSON.
  kept() {
    return { changes: this.steps.slice(1).map((step) => step.change), index: this.index };
  }

  // Throws where what was kept is damaged.
  static restored(scene, { changes, index }) {
    const history = new EditHistory(firstState(scene));
    for (const { edits, text, afresh } of changes) {
      const { state } = afresh === true ? history.steps[0] : history;
      const checked = checkedEdits(scene, state, edits);
      history.change({ edits: checked, text: visible(String(text)), afresh: afresh === true });
    }
    if (!Number.isInteger(index) || index < 0 || index >= history.steps.length) {
      throw new Error(`no step ${quoted(index)}`);
    }
    history.index = index;
    return history;
  }
}
