// The page: what its controls, the mouse and the keyboard do.

const TURN = 0.006; // radians a pixel
const KEY_TURN = 1.4; // radians a second
const KEY_MOVE = 0.6; // of the distance to things, a second
const MOVES = { KeyD: [1, 0, 0], KeyA: [-1, 0, 0], KeyE: [0, 1, 0], KeyQ: [0, -1, 0], KeyW: [0, 0, 1], KeyS: [0, 0, -1] };
const TURNS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOMS = { Equal: 0.985, NumpadAdd: 0.985, Minus: 1.015, NumpadSubtract: 1.015 };

const element = (id) => document.getElementById(id);

const OTHER_BROWSER =
  "Open this page in a recent Chrome, Edge, Firefox or Safari, with hardware acceleration switched on. " +
  "On Linux, Chrome may have to be started with --enable-unsafe-webgpu.";
const DEVICE_LOST = "The graphics driver was restarted, or ran out of memory. Nothing of the world is lost.";

/** Says in the canvas's place what is wrong and what helps; `remedy` is a button that does it, if one can. */
function explain(message, advice, ...remedy) {
  const paragraphs = [message, advice].map((text) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    return paragraph;
  });
  element("problem").replaceChildren(...paragraphs, ...remedy);
  setWorking(false);
}

function setWorking(working) {
  element("problem").hidden = working;
  element("canvas").hidden = !working;
  element("controls").disabled = !working;
}

class Viewer {
  static async open(world) {
    const viewer = new Viewer(world, await Drawing.open(element("canvas"), world));
    await viewer.goTo(world.views.length ? 0 : null);
    return viewer;
  }

  constructor(world, drawing) {
    this.world = world;
    this.drawing = drawing;
    this.free = new FreeCamera(world);
    this.mode = "render";
    this.flying = false;
    this.view = null; // the captured camera looked through, or null
    this.highlighted = null;
    this.targets = new Map();
    this.held = new Set();
    this.watch();
    this.fillCameras();
    this.connectControls();
    this.connectPointer();
    this.connectKeys();
    new ResizeObserver(() => this.refresh()).observe(element("stage"));
  }

  /** Says when the graphics device is lost, and offers to draw again. */
  watch() {
    this.drawing.lost.then((info) => {
      const again = document.createElement("button");
      again.id = "again";
      again.textContent = "Draw again";
      again.onclick = () => this.drawAgain().catch((error) => explain(error.message, DEVICE_LOST, again));
      explain(`The graphics device was lost: ${info.message || info.reason}`, DEVICE_LOST, again);
    });
  }

  /** Opens a graphics device anew and goes on where the lost one stopped. */
  async drawAgain() {
    this.drawing = await Drawing.open(element("canvas"), this.world);
    this.watch();
    this.targets.clear(); // they lived on the lost device
    this.drawing.highlight(this.highlighted);
    setWorking(true);
    await this.goTo(this.view);
  }

  /** Looks through captured camera `number`; null frees the camera where it is. */
  async goTo(number) {
    this.view = number;
    if (number !== null) {
      const view = this.world.views[number];
      this.free.take(view.view, view.proj);
      if (view.target !== null && !this.targets.has(number)) {
        this.targets.set(number, await this.drawing.target(view.target));
      }
    }
    this.refresh();
  }

  /** Shows "render", "target" or "difference". */
  setMode(mode) {
    if (mode === "render" || this.target) {
      this.mode = mode;
      this.refresh();
    }
  }

  /** Highlights a material by its index; the same again, or null, shows all. */
  highlight(material) {
    this.highlighted = material === this.highlighted ? null : material;
    this.drawing.highlight(this.highlighted);
    this.refresh();
  }

  /** Returns the picture of the world that is shown, as ImageData. */
  picture() {
    this.draw();
    return this.drawing.pixels();
  }

  get target() {
    return this.view === null ? null : (this.targets.get(this.view) ?? null);
  }

  get split() {
    return element("split").disabled ? 0 : element("split").valueAsNumber / 100;
  }

  /** Draws soon, once, however often this is called. */
  refresh() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  draw() {
    this.fitCanvas();
    this.update();
    const { canvas } = this.drawing;
    const captured = this.view === null ? null : this.world.views[this.view];
    const matrix = captured ? captured.viewProj : this.free.matrix(canvas.width / canvas.height);
    const mode = this.target ? this.mode : "render";
    this.drawing.draw(matrix, { mode, split: mode === "difference" ? 0 : this.split, target: this.target });
  }

  /** Gives the canvas the captured picture's own pixels, or else those of the stage. */
  fitCanvas() {
    const stage = element("stage").getBoundingClientRect();
    const { canvas, largest } = this.drawing;
    const density = Math.min(window.devicePixelRatio, 2);
    let [width, height] = [Math.round(stage.width * density), Math.round(stage.height * density)];
    if (this.view !== null) {
      ({ width, height } = this.world.views[this.view]);
    }
    this.drawing.resize(Math.min(largest, Math.max(1, width)), Math.min(largest, Math.max(1, height)));
    const scale = Math.min(stage.width / width, stage.height / height);
    canvas.style.width = `${width * scale}px`;
    canvas.style.height = `${height * scale}px`;
  }

  /** Makes the controls say what is so. */
  update() {
    const hasTarget = this.target !== null;
    const mode = hasTarget ? this.mode : "render";
    const comparable = mode !== "difference" && (this.drawing.before !== null || hasTarget);
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
      button.disabled = button.dataset.mode !== "render" && !hasTarget;
    }
    for (const button of document.querySelectorAll("[data-material]")) {
      button.setAttribute("aria-pressed", Number(button.dataset.material) === this.highlighted);
    }
    element("orbit").setAttribute("aria-pressed", !this.flying);
    element("fly").setAttribute("aria-pressed", this.flying);
    element("camera").value = this.view === null ? "free" : String(this.view);
    element("split").disabled = !comparable;
    const [left, right] = this.drawing.before ? ["Before", "After"] : ["Target", "Render"];
    element("split-left").textContent = left;
    element("split-right").textContent = right;
    this.placeDivider(comparable && this.split > 0, left, mode === "target" ? "Target" : right);
    element("note").textContent = this.note(hasTarget);
  }

  note(hasTarget) {
    if (this.view === null) {
      return this.world.views.length ? "Targets can be seen from their own cameras." : "This world came without captures.";
    }
    const { width, height } = this.world.views[this.view];
    const most = this.drawing.largest;
    if (Math.max(width, height) > most) {
      return `This camera's picture is ${width} × ${height}; the graphics device draws up to ${most}.`;
    }
    return `${width} × ${height} pixels` + (hasTarget ? "" : "; this camera has no target");
  }

  placeDivider(visible, left, right) {
    const divider = element("divider");
    divider.hidden = !visible;
    const { canvas } = this.drawing;
    divider.style.left = `${canvas.offsetLeft + this.split * canvas.offsetWidth - 1}px`;
    divider.style.top = `${canvas.offsetTop}px`;
    divider.style.height = `${canvas.offsetHeight}px`;
    element("divider-left").textContent = left;
    element("divider-right").textContent = right;
  }

  fillCameras() {
    const options = this.world.views.map((view, number) => new Option(`${number + 1}. ${view.name}`, number));
    element("camera").replaceChildren(...options, new Option("free camera", "free"));
    for (const id of ["previous", "next"]) {
      element(id).disabled = options.length === 0;
    }
  }

  step(by) {
    const count = this.world.views.length;
    if (count) {
      this.goTo(this.view === null ? 0 : (this.view + by + count) % count);
    }
  }

  leaveView() {
    this.view = null;
    this.refresh();
  }

  setFlying(flying) {
    this.flying = flying;
    this.refresh();
  }

  fit() {
    this.free.fit();
    this.leaveView();
  }

  connectControls() {
    element("camera").onchange = (event) => this.goTo(event.target.value === "free" ? null : Number(event.target.value));
    element("previous").onclick = () => this.step(-1);
    element("next").onclick = () => this.step(1);
    element("orbit").onclick = () => this.setFlying(false);
    element("fly").onclick = () => this.setFlying(true);
    element("fit").onclick = () => this.fit();
    element("split").oninput = () => this.refresh();
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.onclick = () => this.setMode(button.dataset.mode);
    }
    for (const button of document.querySelectorAll("[data-material]")) {
      button.onclick = () => this.highlight(Number(button.dataset.material));
    }
  }

  connectPointer() {
    const { canvas } = this.drawing;
    canvas.oncontextmenu = (event) => event.preventDefault();
    canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) {
        return;
      }
      const [x, y] = [event.movementX, event.movementY];
      if (event.buttons & 2 || event.shiftKey) {
        this.free.move((-x / canvas.offsetHeight) * 1.2, (y / canvas.offsetHeight) * 1.2, 0);
      } else {
        this.free.turn(-x * TURN, -y * TURN, !this.flying);
      }
      this.leaveView();
    };
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.free.zoom(Math.exp(event.deltaY * 0.001));
        this.leaveView();
      },
      { passive: false },
    );
  }

  connectKeys() {
    const once = {
      BracketLeft: () => this.step(-1),
      BracketRight: () => this.step(1),
      Digit1: () => this.setMode("render"),
      Digit2: () => this.setMode("target"),
      Digit3: () => this.setMode("difference"),
      KeyO: () => this.setFlying(false),
      KeyF: () => this.setFlying(true),
      KeyR: () => this.fit(),
      Escape: () => this.highlighted !== null && this.highlight(null),
    };
    addEventListener("keydown", (event) => {
      const editing = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
      if (event.ctrlKey || event.metaKey || event.altKey || (editing && !event.code.startsWith("Digit"))) {
        return;
      }
      if (event.code in once && !event.repeat) {
        once[event.code]();
      } else if (event.code in MOVES || event.code in TURNS || event.code in ZOOMS) {
        event.preventDefault();
        this.held.add(event.code);
        this.fast = event.shiftKey;
        this.glide();
      }
    });
    addEventListener("keyup", (event) => {
      this.held.delete(event.code);
      this.fast = event.shiftKey;
    });
    addEventListener("blur", () => this.held.clear());
  }

  /** Moves for as long as keys are held. */
  glide() {
    if (this.gliding) {
      return;
    }
    this.gliding = true;
    let last = performance.now();
    const tick = (now) => {
      const seconds = clamp((now - last) / 1000, 0.004, 0.1);
      last = now;
      this.gliding = this.held.size > 0;
      if (!this.gliding) {
        return;
      }
      for (const code of this.held) {
        this.glideBy(code, seconds * (this.fast ? 4 : 1));
      }
      this.leaveView();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  glideBy(code, seconds) {
    if (code in MOVES) {
      this.free.move(...MOVES[code].map((value) => value * KEY_MOVE * seconds));
    } else if (code in TURNS) {
      this.free.turn(...TURNS[code].map((value) => value * KEY_TURN * seconds), !this.flying);
    } else {
      this.free.zoom(ZOOMS[code] ** (seconds * 60));
    }
  }
}

function fillLegend(world) {
  const rows = world.materials
    .map((material, index) => ({ ...material, index }))
    .filter((material) => material.count > 0)
    .sort((a, b) => b.count - a.count)
    .map((material) => {
      const button = document.createElement("button");
      button.dataset.material = material.index;
      button.title = `Highlight ${material.name}`;
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      for (const color of material.colors) {
        const part = document.createElement("i");
        part.style.background = color;
        swatch.append(part);
      }
      const [name, count] = ["name", "count"].map((kind) => {
        const span = document.createElement("span");
        span.className = kind;
        return span;
      });
      name.textContent = material.name;
      count.textContent = material.count.toLocaleString("en");
      button.append(swatch, name, count);
      const row = document.createElement("li");
      row.append(button);
      return row;
    });
  element("legend").replaceChildren(...rows);
}

const world = JSON.parse(element("world").textContent);
const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
element("counts").textContent = `${many(world.blockCount, "block")}, ${many(world.faceCount, "exposed face")}`;
fillLegend(world);
globalThis.viewer = Viewer.open(world);
globalThis.viewer.catch((error) => explain(error.message, OTHER_BROWSER));
