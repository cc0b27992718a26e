"use strict";
// Scatter plots of the latents on canvases.
(() => {
  const MISSING = -32768;
  const MARGIN = { left: 46, right: 10, top: 8, bottom: 34 };

  function latentSection(section, payload) {
    const cvSelect = section.querySelector("select.cv");
    const plots = [];
    const orders = new Map();
    let cvValues = [];
    let ids;

    async function start() {
      ids = await CryoArena.unpack(payload.ids, BigInt64Array);
      cvValues = await Promise.all(payload.cvs.map((cv) => CryoArena.unpack(cv.values, Float32Array)));
      for (const figure of section.querySelectorAll(".scatter")) {
        plots.push(await makePlot(figure, payload.plots[figure.dataset.plot]));
      }
      recolour();
      if (cvSelect) cvSelect.addEventListener("change", recolour);
      new ResizeObserver(() => plots.forEach(draw)).observe(section);
      CryoArena.onTheme(() => plots.forEach(draw));
      CryoArena.state.latent = { plots: plots.length, points: payload.n };
    }

    const chosen = () => (payload.cvs.length ? Number(cvSelect.value) : null);
    const map = (cv) => CryoArena.data.maps[cv.label ? "label" : cv.period ? "cyclic" : "sequential"];

    const told = (cv, value) => cv.words?.[value] ?? `${CryoArena.short(value)}${cv.unit}`;

    function recolour() {
      const at = chosen();
      if (at !== null) {
        const cv = payload.cvs[at];
        const bar = section.querySelector(".colour-bar");
        const colours = map(cv);
        const states = Math.min(256, cv.high - cv.low + 1);
        const stops = cv.label
          ? Array.from({ length: states }, (_, i) => `${colours[i]} ${(100 * i) / states}% ${(100 * (i + 1)) / states}%`)
          : Array.from({ length: 33 }, (_, i) => colours[Math.min(255, i * 8)]);
        bar.querySelector("i").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
        bar.querySelector(".low").textContent = cv.words ? cv.name : `${cv.name} ${told(cv, cv.low)}`;
        bar.querySelector(".high").textContent = cv.words ? cv.words.join(", ") : told(cv, cv.high);
      }
      plots.forEach(draw);
    }

    function bucket(cv, value) {
      if (!Number.isFinite(value)) return -1; // nothing is true about it
      if (cv.high <= cv.low) return 0;
      if (cv.label) return (value - cv.low) % 256;
      const place = (value - cv.low) / (cv.high - cv.low);
      return Math.max(0, Math.min(255, Math.floor(place * (cv.period ? 256 : 255.999))));
    }

    async function makePlot(figure, data) {
      const axes = [];
      for (const axis of data.axes) {
        const q = await CryoArena.unpack(axis.values, Int16Array);
        axes.push({ name: axis.name, q, low: axis.low, high: axis.high });
      }
      payload.cvs.forEach((cv, i) => {
        if (cv.words) return;
        const span = cv.high - cv.low || 1;
        const q = Int16Array.from(cvValues[i], (v) =>
          Number.isFinite(v) ? Math.round(((v - cv.low) / span - 0.5) * 40000) : MISSING);
        axes.push({ name: `true ${cv.name}`, q, low: cv.low, high: cv.high, cv: true });
      });
      const plot = { figure, data, axes, canvas: figure.querySelector("canvas"), tip: figure.querySelector(".tip") };
      Object.assign(plot, { ring: figure.querySelector(".ring"), at: -1 });
      plot.x = Math.max(0, axes.findIndex((axis) => axis.name === "UMAP 1"));
      plot.y = axes.length > 1 ? plot.x + 1 : 0;
      for (const which of ["x", "y"]) {
        const select = figure.querySelector(`.${which}-axis`);
        axes.forEach((axis, i) => select.add(new Option(axis.name, i)));
        select.value = plot[which];
        select.addEventListener("change", () => {
          plot[which] = Number(select.value);
          tell(plot, -1);
          draw(plot);
        });
      }
      figure.querySelector(".axes-choice").hidden = axes.length < 2;
      plot.canvas.addEventListener("pointermove", (event) => hover(plot, event));
      plot.canvas.addEventListener("keydown", (event) => CryoArena.onKey(event, (right, up) => step(plot, right, up), () => tell(plot, -1)));
      for (const kind of ["pointerleave", "blur"]) plot.canvas.addEventListener(kind, () => tell(plot, -1));
      return plot;
    }

    /** Pixel transforms; latent axes share one scale unless their ranges differ more than fourfold. */
    function layout(plot) {
      const box = plot.canvas.parentElement;
      const width = box.clientWidth;
      const height = box.clientHeight;
      const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
      const [ax, ay] = [plot.axes[plot.x], plot.axes[plot.y]];
      const pad = 1.12;
      let sx = ((ax.high - ax.low) * pad || 1) / inner.w;
      let sy = ((ay.high - ay.low) * pad || 1) / inner.h;
      const ratio = (ax.high - ax.low) / (ay.high - ay.low);
      if (!ax.cv && !ay.cv && ratio > 0.25 && ratio < 4) sx = sy = Math.max(sx, sy);
      const cx = MARGIN.left + inner.w / 2;
      const cy = MARGIN.top + inner.h / 2;
      const toX = (axis, q) => cx + (q / 40000) * ((axis.high - axis.low) / sx);
      const toY = (axis, q) => cy - (q / 40000) * ((axis.high - axis.low) / sy);
      return { width, height, inner, ax, ay, sx, sy, cx, cy, toX, toY };
    }

    function draw(plot) {
      const l = layout(plot);
      const { canvas } = plot;
      if (l.inner.w < 20) return;
      const ratio = devicePixelRatio || 1;
      canvas.width = l.width * ratio;
      canvas.height = l.height * ratio;
      const g = canvas.getContext("2d", { willReadFrequently: true }); // drawn by the CPU
      g.scale(ratio, ratio);
      drawAxes(g, l);
      const at = chosen();
      const colours = at === null ? [CryoArena.methodColour(plot.data.colour)] : map(payload.cvs[at]);
      const unknown = CryoArena.css("--truth");
      const { order, buckets } = drawingOrder(at);
      const drawPoints = payload.n > 3000 ? drawSquares : drawDiscs;
      drawPoints(g, l, order, (i) => colours[buckets[i]] ?? unknown);
    }

    const isMissing = (l, i) => l.ax.q[i] === MISSING || l.ay.q[i] === MISSING;

    function drawDiscs(g, l, order, colourOf) {
      const radius = payload.n > 600 ? 1.7 : 2.5;
      g.save();
      g.beginPath();
      g.rect(MARGIN.left, MARGIN.top, l.inner.w, l.inner.h);
      g.clip();
      g.globalAlpha = 0.85;
      for (const i of order) {
        if (isMissing(l, i)) continue;
        g.fillStyle = colourOf(i);
        g.beginPath();
        g.arc(...placeOf(l, i), radius, 0, 7);
        g.fill();
      }
      g.restore();
    }

    /** Squares of whole pixels, thicker and in the last one's colour where they overlap; fillRect takes four times as long. */
    function drawSquares(g, l, order, colourOf) {
      const ratio = g.getTransform().a;
      const [wanted, opacity] = payload.n > 20000 ? [1.6 * ratio, 0.7] : [2.4 * ratio, 0.85];
      const side = Math.max(1, Math.round(wanted));
      const alpha = Math.min(1, opacity * (wanted / side) ** 2);
      const covered = Uint32Array.from({ length: 256 }, (_, a) => Math.round(a + alpha * (255 - a)) << 24);
      const [width, height] = [Math.round(l.inner.w * ratio), Math.round(l.inner.h * ratio)];
      const image = new ImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer); // alpha, blue, green, red
      let colour, bgr;
      for (const i of order) {
        if (isMissing(l, i)) continue;
        if (colour !== (colour = colourOf(i))) bgr = parseInt(colour.replace(/#(..)(..)(..)/, "$3$2$1"), 16);
        const left = Math.round((l.toX(l.ax, l.ax.q[i]) - MARGIN.left) * ratio - side / 2);
        const top = Math.round((l.toY(l.ay, l.ay.q[i]) - MARGIN.top) * ratio - side / 2);
        const [right, bottom] = [Math.min(width, left + side), Math.min(height, top + side)];
        for (let v = Math.max(0, top); v < bottom; v++) {
          for (let u = Math.max(0, left); u < right; u++) {
            const k = v * width + u;
            pixels[k] = covered[pixels[k] >>> 24] | bgr;
          }
        }
      }
      const layer = new OffscreenCanvas(width, height);
      layer.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
      g.drawImage(layer, MARGIN.left, MARGIN.top, width / ratio, height / ratio);
    }

    /** Shuffled particles in 12 rounds, each sorted by colour: none hides the others, few changes of colour. */
    function drawingOrder(at) {
      if (!orders.has(at)) {
        const cv = payload.cvs[at];
        const buckets = cv ? Int16Array.from(cvValues[at], (v) => bucket(cv, v)) : new Int16Array(payload.n);
        const order = Uint32Array.from({ length: payload.n }, (_, i) => i);
        const round = Math.ceil(payload.n / 12);
        for (let from = 0; from < payload.n; from += round) {
          order.subarray(from, from + round).sort((a, b) => buckets[a] - buckets[b]);
        }
        orders.set(at, { order, buckets });
      }
      return orders.get(at);
    }

    function drawAxes(g, l) {
      g.font = `11px ${CryoArena.css("--font")}`;
      g.strokeStyle = CryoArena.css("--line");
      g.fillStyle = CryoArena.css("--muted");
      g.lineWidth = 1;
      const middle = (axis) => (axis.low + axis.high) / 2;
      const [hx, hy] = [(l.inner.w / 2) * l.sx, (l.inner.h / 2) * l.sy];
      g.textAlign = "center";
      for (const v of CryoArena.ticks(middle(l.ax) - hx, middle(l.ax) + hx, Math.min(6, l.inner.w / 70))) {
        const x = l.cx + (v - middle(l.ax)) / l.sx;
        line(g, x, MARGIN.top, x, MARGIN.top + l.inner.h);
        g.fillText(CryoArena.short(v), x, MARGIN.top + l.inner.h + 14);
      }
      g.textAlign = "right";
      for (const v of CryoArena.ticks(middle(l.ay) - hy, middle(l.ay) + hy, 6)) {
        const y = l.cy - (v - middle(l.ay)) / l.sy;
        line(g, MARGIN.left, y, MARGIN.left + l.inner.w, y);
        g.fillText(CryoArena.short(v), MARGIN.left - 5, y + 4);
      }
      g.fillStyle = CryoArena.css("--ink");
      g.textAlign = "center";
      g.fillText(l.ax.name, l.cx, l.height - 4);
      g.save();
      g.translate(10, l.cy);
      g.rotate(-Math.PI / 2);
      g.fillText(l.ay.name, 0, 0);
      g.restore();
    }

    function line(g, x1, y1, x2, y2) {
      g.beginPath();
      g.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
      g.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
      g.stroke();
    }

    const placeOf = (l, i) => [l.toX(l.ax, l.ax.q[i]), l.toY(l.ay, l.ay.q[i])];

    /** Particles whose points are drawn inside the frame. */
    function* shown(l) {
      for (let i = 0; i < payload.n; i++) {
        if (l.ax.q[i] === MISSING || l.ay.q[i] === MISSING) continue;
        const [x, y] = placeOf(l, i);
        if (Math.abs(x - l.cx) <= l.inner.w / 2 && Math.abs(y - l.cy) <= l.inner.h / 2) yield i;
      }
    }

    /** Tell of the point that is nearest to the pointer. */
    function hover(plot, event) {
      const l = layout(plot);
      const box = plot.canvas.getBoundingClientRect();
      const [mx, my] = [event.clientX - box.left, event.clientY - box.top];
      let best = -1;
      let nearest = 144;
      for (const i of shown(l)) {
        const [x, y] = placeOf(l, i);
        const distance = (x - mx) ** 2 + (y - my) ** 2;
        if (distance < nearest) [nearest, best] = [distance, i];
      }
      tell(plot, best);
    }

    /** Tell of the next point along an axis; of points at one place the next particle. */
    function step(plot, right, up) {
      const l = layout(plot);
      const { q } = right ? l.ax : l.ay;
      const ahead = (i, from) => (right + up) * (q[i] - q[from] || i - from) > 0;
      let best = -1;
      for (const i of shown(l)) {
        if ((plot.at < 0 || ahead(i, plot.at)) && (best < 0 || ahead(best, i))) best = i;
      }
      if (best >= 0) tell(plot, best);
    }

    /** Ring a point and say what is known about its particle; nothing for -1. */
    function tell(plot, i) {
      plot.at = i;
      plot.tip.hidden = plot.ring.hidden = i < 0;
      if (i < 0) return;
      const l = layout(plot);
      const [x, y] = placeOf(l, i);
      const parts = payload.cvs.flatMap((cv, k) => (Number.isFinite(cvValues[k][i]) ? [`${cv.name} = ${told(cv, cvValues[k][i])}`] : []));
      plot.tip.textContent = [`particle ${ids[i]}`, ...parts].join(" · ");
      plot.tip.style.left = `${Math.max(0, Math.min(x + 12, l.width - plot.tip.offsetWidth - 4))}px`;
      plot.tip.style.top = `${Math.max(0, y - 36)}px`;
      plot.ring.style.left = `${x}px`;
      plot.ring.style.top = `${y}px`;
    }

    CryoArena.whenNear(section, start);
  }

  for (const section of document.querySelectorAll("section.latent")) {
    latentSection(section, CryoArena.data.parts[section.closest("article").dataset.part].latent);
  }
})();
