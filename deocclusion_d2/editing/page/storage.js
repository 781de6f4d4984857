// What the browser keeps of the edits, so that a reload or a crash loses none of them.

const KEPT_VERSION = 1;

// The browser's storage; null where it refuses it, as some do for files and in private windows.
// Others give all files one storage, so what is kept carries the fingerprint of its scene.
function openStorage() {
  const probe = "deocclusion_d2 probe";
  try {
    const storage = window.localStorage;
    storage.setItem(probe, probe);
    storage.removeItem(probe);
    return storage;
  } catch {
    return null;
  }
}

class KeptEdits {
  constructor(scene, storage) {
    this.scene = scene;
    this.storage = storage;
    this.key = `deocclusion_d2 edits ${scene.fingerprint}`;
  }

  get works() { return this.storage !== null; }

  // Returns {history, isSaved}; null where nothing is kept. Throws where it cannot be used.
  read() {
    const text = this.storage?.getItem(this.key) ?? null;
    if (text === null) return null;
    const kept = JSON.parse(text);
    if (!isRecord(kept) || kept.version !== KEPT_VERSION) throw new Error("not what this page keeps");
    return { history: EditHistory.restored(this.scene, kept), isSaved: kept.isSaved === true };
  }

  // Whether the browser has kept it.
  write(history, isSaved) {
    const kept = { version: KEPT_VERSION, ...history.kept(), isSaved };
    try {
      this.storage.setItem(this.key, JSON.stringify(kept));
      return true;
    } catch {
      return false;
    }
  }
}
