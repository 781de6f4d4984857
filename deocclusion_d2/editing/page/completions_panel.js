// The part of the chosen object's panel that is about its other completions. Pages of scenes of
// which none were drawn have no trace of it.

class CompletionsPanel {
  constructor(scene, shown) {
    this.scene = scene;
    this.shown = shown;
    this.box = null;
    if (![...scene.objects.values()].some((object) => object.completions)) return;
    this.text = element("p", { id: "completions-text" });
    const button = (action, title, ...content) => element("button", { "data-action": action, title }, ...content);
    this.toggle = button("toggleCompletions", "Show or hide their outlines (O)", "Outlines");
    const previous = button("previousCompletion", "The one before, alone (Shift+C)", icon("left"), "Previous");
    const next = button("nextCompletion", "One at a time (C)", "Next", icon("right"));
    const group = element("div", { class: "group", role: "group", "aria-labelledby": "completions-text" });
    group.append(this.toggle, previous, next);
    this.box = element("div", { id: "completions" }, this.text, group);
    document.querySelector(".selected .tools").append(this.box);
    document.querySelector(".legend").append(
      element("li", {}, element("i", { class: "completion" }), "other completions"),
    );
    this.explain();
  }

  // Its keys, in the help.
  explain() {
    const keys = element("th", { scope: "row" }, element("kbd", {}, "C"), " ", element("kbd", {}, "O"));
    const text = "other completions of it one at a time, with Shift back; their outlines on or off";
    byId("help").querySelector("tbody").append(element("tr", {}, keys, element("td", {}, text)));
  }

  show(name) {
    if (this.box === null) return;
    // It stays where an object has none: else the list below would move under the pointer.
    this.text.textContent = describeCompletions(this.scene.objects.get(name), this.shown);
    this.toggle.setAttribute("aria-pressed", this.shown.on);
  }
}
