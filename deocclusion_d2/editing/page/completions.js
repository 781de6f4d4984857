// Other completions of an object, as its method drew them: which are shown, and their outlines.
//
// completion: {weight, rings}; a ring is [x, y, dx, dy, dx, ...]: a corner of pixels, and the steps
// from it along x and y in turn, but for the last one.

// As in the pictures: what was drawn once in very many draws is still to be seen.
const FAINTEST = 0.2;

function lineOpacity(weight) {
  return FAINTEST + (1 - FAINTEST) * Math.sqrt(weight);
}

function completionPath({ rings }) {
  const part = ([x, y, ...steps]) => {
    return `M${x} ${y}${steps.map((step, k) => `${k % 2 ? "v" : "h"}${step}`).join("")}Z`;
  };
  return rings.map(part).join("");
}

// A weight as a share of the draws; never "0 %".
function shareOfDraws(weight) {
  return `${Math.max(Math.round(1000 * weight) / 10, 0.1)} %`;
}

// Which completions of the chosen object are shown: all, one, or none.
class ShownCompletions {
  constructor() {
    this.on = true;
    this.object = null;
    this.at = null; // the number of the one that is shown alone
  }

  // Another object begins with all of its own.
  choose(object) {
    if (object !== this.object) this.at = null;
    this.object = object;
  }

  toggle() { this.on = !this.on; }

  // All of them, the first, the second and so on, and all again; or the other way around.
  step(count, by) {
    const places = count + 1;
    const place = this.at === null ? 0 : this.at + 1;
    const next = this.on ? (place + by + places) % places : place;
    this.at = next === 0 ? null : next - 1;
    this.on = true;
  }

  // The numbers of those that are shown, of so many: none, where the pointer is on another object.
  numbers(count) {
    if (!this.on || count === 0) return [];
    return this.at === null ? [...Array(count).keys()] : [this.at];
  }
}

// What is said of those of an object, or of none, in a line.
function describeCompletions(object, shown) {
  const { completions = [], more_completions: more = 0 } = object ?? {};
  const count = completions.length;
  if (shown.on && shown.at !== null && count) {
    return `Completion ${shown.at + 1} of ${count}: ${shareOfDraws(completions[shown.at].weight)} of draws`;
  }
  return `Other completions: ${count || "none"}${more ? ` (${more} rarer ones left out)` : ""}`;
}
