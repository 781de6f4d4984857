// The list of objects from front to back, with what can be done to each of them.

const THUMBNAIL = 40;

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = svg.appendChild(document.createElementNS(SVG, "use"));
  use.setAttribute("href", `#${name}`);
  return svg;
}

class ObjectList {
  constructor(editor, list) {
    this.editor = editor;
    this.list = list;
    const objects = [...editor.scene.objects.values()];
    this.rows = new Map(objects.map((object) => [object.name, this.makeRow(object)]));
  }

  makeRow(object) {
    const { editor } = this;
    const { name } = object;
    const detail = element("span", { class: "detail" });
    const label = element("span", { class: "label" }, element("bdi", {}, visible(name)), detail);
    const button = element("button", { class: "object" }, thumbnail(object, THUMBNAIL), label);
    const order = element("button", { class: "order" }, "Put behind");
    const back = element("button", { class: "order" }, "Bring back");
    back.setAttribute("aria-label", `Bring ${visible(name)} back into the picture`);
    const eye = element("button", { class: "eye" });
    const item = element("li", { "data-name": name }, button, order, back, eye);
    // A press of the mouse gives focus too, but chooses by its click.
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) editor.select(name);
    });
    button.addEventListener("click", () => {
      editor.select(name);
      byId("picture").focus({ preventScroll: true });
    });
    order.addEventListener("click", () => {
      editor.edit({ op: order.dataset.op, object: editor.selected, of: name });
    });
    back.addEventListener("click", () => editor.bringBack(name));
    eye.addEventListener("click", () => editor.toggle(name));
    item.addEventListener("pointerenter", () => editor.hover(name));
    item.addEventListener("pointerleave", () => editor.hover(null));
    return { item, button, order, back, eye, detail };
  }

  show() {
    const { selected, picture, scene, state } = this.editor;
    const { stack, placed } = state;
    this.sort(stack);
    const shares = picture.visibleShares();
    const { occluders, occludees } = this.editor.related(selected);
    const entry = placed.has(selected) ? selected : stack[0];
    for (const name of stack) {
      const { item, button, order, back, eye, detail } = this.rows.get(name);
      const { hidden } = placed.get(name);
      const percent = Math.round(100 * shares.get(name));
      const hidesIt = occluders.includes(name);
      const outside = isOutside(scene, state, name);
      back.hidden = !outside || hidden;
      order.hidden = outside || (!hidesIt && !occludees.includes(name));
      if (hidden) detail.textContent = "switched off";
      else if (outside) detail.textContent = "out of the picture";
      else if (order.hidden) detail.textContent = `${percent} % visible`;
      else detail.textContent = `${percent} %, ${hidesIt ? "hides" : "behind"} ${visible(selected)}`;
      if (!order.hidden) this.showOrderButton(order, name, hidesIt);
      item.classList.toggle("off", hidden);
      item.classList.toggle("outside", outside);
      button.setAttribute("aria-current", name === selected);
      eye.setAttribute("aria-label", `${hidden ? "Show" : "Hide"} ${visible(name)}`);
      eye.replaceChildren(icon(hidden ? "eye-off" : "eye"));
      button.tabIndex = eye.tabIndex = name === entry ? 0 : -1;
    }
  }

  sort(stack) {
    const shown = [...this.list.children].map((item) => item.dataset.name);
    if (shown.join("/") === stack.join("/")) return;
    const focused = document.activeElement;
    this.list.replaceChildren(...stack.map((name) => this.rows.get(name).item));
    if (this.list.contains(focused)) focused.focus(); // moving an element takes its focus
  }

  // The button by which the chosen object changes places with one that overlaps it.
  showOrderButton(button, other, hidesIt) {
    button.dataset.op = hidesIt ? "in_front" : "behind";
    button.textContent = hidesIt ? "Put in front" : "Put behind";
    const order = hidesIt ? "in front of" : "behind";
    button.setAttribute("aria-label", `Put ${visible(this.editor.selected)} ${order} ${visible(other)}`);
  }

  // Marks the object whose outlines are shown, and those that hide it or that it hides.
  mark(active, { occluders, occludees }) {
    for (const [name, { item }] of this.rows) {
      item.classList.toggle("active", name === active);
      item.classList.toggle("occluder", occluders.includes(name));
      item.classList.toggle("occludee", occludees.includes(name));
    }
  }

  // Whether an element is in the list, or in the row of one object.
  holds(target, name = null) {
    return (name === null ? this.list : this.rows.get(name).item).contains(target);
  }

  focus(name) { this.rows.get(name).button.focus(); }
}
