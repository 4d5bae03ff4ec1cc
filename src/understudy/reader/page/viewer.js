// Draws one case, or two side by side: window and level, zoom, pan, channels, outlines, slices along three axes.
// Every case goes the same way: uint16 pixels -> grey by the window -> one bitmap of its own size -> scaled by the canvas.

const MAX_ZOOM = 32;

export class Viewer {
  constructor(panes, study, changed) {
    this.study = study;
    this.changed = changed;
    [this.c, this.d, this.h, this.w] = study.shape;
    this.canvases = [...Array(study.pairs ? 2 : 1)].map((_, i) => this.#canvas(panes, i));
    this.bitmap = document.createElement("canvas");
    this.cases = [];
    this.pointers = new Map();
    this.reset(true);
    new ResizeObserver(() => this.draw()).observe(panes);
  }

  get volume() { return this.d > 1; }

  get slices() { return [this.d, this.h, this.w][this.plane]; }

  // A buffer holds one case, or two: pixels, then the label map where there is one.
  show(buffer, name) {
    const voxels = this.d * this.h * this.w;
    const labelled = this.study.legend.length > 0;
    const size = 2 * this.c * voxels + (labelled ? voxels : 0);
    this.cases = this.canvases.map((canvas, i) => {
      canvas.setAttribute("aria-label", this.canvases.length > 1 ? `${name}, ${i ? "right" : "left"}` : name);
      const part = buffer.slice(i * size, (i + 1) * size);
      return { pixels: new Uint16Array(part, 0, this.c * voxels), labels: labelled ? new Uint8Array(part, 2 * this.c * voxels) : null };
    });
    this.reset(true);
  }

  clear() {
    this.cases = [];
    this.draw();
  }

  reset(all = false) {
    Object.assign(this, { zoom: 1, x: 0, y: 0, low: 0, high: this.study.levels });
    if (all) Object.assign(this, { channel: 0, outline: false, plane: 0, slice: Math.floor(this.d / 2) });
    this.update();
  }

  update() {
    this.draw();
    this.changed(this);
  }

  zoomBy(factor) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    this.x *= zoom / this.zoom;
    this.y *= zoom / this.zoom;
    this.zoom = zoom;
    this.update();
  }

  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.update();
  }

  // Level and width are shares of the whole range.
  window(level, width) {
    const half = Math.max(width, 0.01) * this.study.levels / 2;
    this.low = level * this.study.levels - half;
    this.high = level * this.study.levels + half;
    this.update();
  }

  get level() { return (this.low + this.high) / 2 / this.study.levels; }

  get width() { return (this.high - this.low) / this.study.levels; }

  setPlane(plane) {
    this.plane = plane;
    this.slice = Math.floor(this.slices / 2);
    this.update();
  }

  setSlice(slice) {
    this.slice = Math.min(this.slices - 1, Math.max(0, slice));
    this.update();
  }

  setChannel(channel) {
    this.channel = ((channel % this.c) + this.c) % this.c;
    this.update();
  }

  draw() {
    this.canvases.forEach((canvas, i) => this.#draw(canvas, this.cases[i]));
  }

  #canvas(panes, i) {
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "No image yet");
    canvas.dataset.pane = String(i);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    panes.append(canvas);
    return canvas;
  }

  #wheel(event) {
    event.preventDefault();
    if (this.volume && !event.ctrlKey) this.setSlice(this.slice + Math.sign(event.deltaY));
    else this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }

  // One finger or the left button pans; the right button, or with Shift, changes the window; two fingers zoom.
  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, now);
    if (others.length) {
      const far = (at) => Math.hypot(at.x - others[0].x, at.y - others[0].y);
      this.zoomBy(far(now) / Math.max(1, far(before)));
    } else if (event.buttons === 2 || event.shiftKey) {
      this.window(this.level - dy / 400, Math.min(1, Math.max(0.01, this.width + dx / 400)));
    } else {
      this.panBy(dx, dy);
    }
  }

  // Rows and columns of the plane, where a pixel lies in the array, and how large it is.
  #grid() {
    const { h, w, slice } = this;
    const [sd, sh, sw] = this.study.aspect;
    if (this.plane === 0) return { rows: h, columns: w, at: (r, k) => (slice * h + r) * w + k, tall: sh, wide: sw };
    const top = this.d - 1; // the last slice is the highest, and stands on top
    if (this.plane === 1) return { rows: this.d, columns: w, at: (r, k) => ((top - r) * h + slice) * w + k, tall: sd, wide: sw };
    return { rows: this.d, columns: h, at: (r, k) => ((top - r) * h + k) * w + slice, tall: sd, wide: sh };
  }

  #draw(canvas, shown) {
    const box = canvas.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(box.width * scale));
    canvas.height = Math.max(1, Math.round(box.height * scale));
    const paper = canvas.getContext("2d");
    if (!shown) return;
    const grid = this.#grid();
    this.#fill(shown.pixels, grid);
    const unit = Math.min(canvas.width / (grid.columns * grid.wide), canvas.height / (grid.rows * grid.tall)) * this.zoom;
    const [width, height] = [grid.columns * grid.wide * unit, grid.rows * grid.tall * unit];
    const [left, top] = [(canvas.width - width) / 2 + this.x * scale, (canvas.height - height) / 2 + this.y * scale];
    paper.imageSmoothingEnabled = true;
    paper.imageSmoothingQuality = "high";
    paper.drawImage(this.bitmap, left, top, width, height);
    if (this.outline && shown.labels) this.#outlines(paper, shown.labels, grid, left, top, grid.wide * unit, grid.tall * unit, scale);
  }

  #fill(pixels, { rows, columns, at }) {
    this.bitmap.width = columns;
    this.bitmap.height = rows;
    const paper = this.bitmap.getContext("2d");
    const image = paper.createImageData(columns, rows);
    const voxels = this.d * this.h * this.w;
    const gain = 255 / Math.max(1e-6, this.high - this.low);
    const first = this.study.colour ? [0, 1, 2] : [this.channel, this.channel, this.channel];
    for (let r = 0, to = 0; r < rows; r += 1) {
      for (let k = 0; k < columns; k += 1, to += 4) {
        const from = at(r, k);
        for (let b = 0; b < 3; b += 1) image.data[to + b] = (pixels[first[b] * voxels + from] - this.low) * gain;
        image.data[to + 3] = 255;
      }
    }
    paper.putImageData(image, 0, 0);
  }

  // A line wherever the classes of two neighbours differ, in the colour of the higher class.
  #outlines(paper, labels, { rows, columns, at }, left, top, wide, tall, scale) {
    const value = (r, k) => (r < 0 || k < 0 || r >= rows || k >= columns ? 0 : labels[at(r, k)]);
    const lines = this.study.legend.map(() => new Path2D());
    for (let r = 0; r <= rows; r += 1) {
      for (let k = 0; k <= columns; k += 1) {
        const here = value(r, k);
        for (const [other, x, y] of [[value(r - 1, k), 1, 0], [value(r, k - 1), 0, 1]]) {
          if (here === other) continue;
          const line = lines[Math.max(here, other)];
          line?.moveTo(left + k * wide, top + r * tall);
          line?.lineTo(left + (k + x) * wide, top + (r + y) * tall);
        }
      }
    }
    paper.lineWidth = 1.5 * scale;
    lines.forEach((line, i) => {
      paper.strokeStyle = this.study.legend[i].colour;
      paper.stroke(line);
    });
  }
}
