"use strict";
// Confusion matrices as heat maps on canvases.
(() => {
  const MARGIN = { left: 44, right: 4, top: 4, bottom: 38 };
  const WRITTEN_FROM_PX = 31; // cells at least this wide hold their number
  const COLOURS = [["--track", 0], ["--accent", 0.6], ["--ink", 1]]; // as in the colour bar; they follow the theme

  const luma = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;

  /** 256 colours from nothing to all, each with the colour that text on it should have. */
  function ramp() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 256, height: 2 });
    const g = canvas.getContext("2d", { willReadFrequently: true });
    const gradient = g.createLinearGradient(0, 0, 256, 0);
    for (const [name, at] of COLOURS) gradient.addColorStop(at, CryoArena.css(name));
    g.fillStyle = gradient;
    g.fillRect(0, 0, 256, 1);
    const texts = ["--ink", "--surface"].map((name, x) => {
      g.fillStyle = CryoArena.css(name);
      g.fillRect(x, 1, 1, 1);
      return [g.fillStyle, luma(g.getImageData(x, 1, 1, 1).data)];
    });
    const pixels = g.getImageData(0, 0, 256, 1).data;
    return Array.from({ length: 256 }, (_, i) => {
      const rgb = pixels.slice(4 * i, 4 * i + 3);
      const far = texts.map((text) => Math.abs(text[1] - luma(rgb)));
      return { fill: `rgb(${rgb.join(" ")})`, text: texts[far[0] > far[1] ? 0 : 1][0] };
    });
  }

  function confusionSection(section, payload) {
    const select = section.querySelector("select.matrix");
    const plots = [];
    let colours = ramp();

    async function start() {
      for (const figure of section.querySelectorAll("figure.confusion-plot")) {
        const { matrix, series } = figure.dataset;
        plots.push(await makePlot(figure, payload.matrices[matrix].series[series]));
      }
      if (select) select.addEventListener("change", choose);
      new ResizeObserver(() => plots.forEach(draw)).observe(section);
      CryoArena.onTheme(() => {
        colours = ramp();
        plots.forEach(draw);
      });
      choose();
    }

    function choose() {
      const chosen = select ? select.value : "0";
      for (const group of section.querySelectorAll(".scatters")) group.hidden = group.dataset.matrix !== chosen;
      plots.forEach(draw);
      CryoArena.state.confusion = payload.matrices[chosen].key;
    }

    async function makePlot(figure, data) {
      const canvas = figure.querySelector("canvas");
      const plot = { canvas, data, tip: figure.querySelector(".tip"), at: null };
      plot.mean = await CryoArena.unpack(data.mean, Float32Array);
      plot.spread = data.spread ? await CryoArena.unpack(data.spread, Float32Array) : null;
      for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, (event) => point(plot, event));
      canvas.addEventListener("keydown", (event) => CryoArena.onKey(event, (right, up) => step(plot, right, up), () => tell(plot, null)));
      canvas.addEventListener("blur", () => tell(plot, null));
      // After a tap the finger leaves at once; the answer stays until the next tap.
      figure.addEventListener("save-data", (event) => {
        const [states, k] = [data.states, data.states.length];
        const rows = states.map((state, i) => [state, ...plot.mean.slice(i * k, (i + 1) * k)]);
        event.detail(`confusion ${data.label}`, [["true state", ...states.map((state) => `matched with ${state}`)], ...rows]);
      });
      canvas.addEventListener("pointerleave", (event) => event.pointerType === "touch" || tell(plot, null));
      return plot;
    }

    function layout(plot) {
      const box = plot.canvas.parentElement;
      const [width, height] = [box.clientWidth, box.clientHeight];
      const side = Math.min(width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom);
      return { width, height, side, k: plot.data.states.length, cell: side / plot.data.states.length };
    }

    function draw(plot) {
      const l = layout(plot);
      if (l.side < 20) return;
      const ratio = devicePixelRatio || 1;
      plot.canvas.width = l.width * ratio;
      plot.canvas.height = l.height * ratio;
      const g = plot.canvas.getContext("2d", { willReadFrequently: true });
      g.scale(ratio, ratio);
      // Edges on whole device pixels: no seams between cells.
      const edge = (margin, i) => Math.round((margin + i * l.cell) * ratio) / ratio;
      const gap = l.cell > 14 ? 1 : 0;
      g.font = `11px ${CryoArena.css("--font")}`;
      g.textAlign = "center";
      for (let i = 0; i < l.k; i++) {
        const [top, bottom] = [edge(MARGIN.top, i), edge(MARGIN.top, i + 1)];
        for (let j = 0; j < l.k; j++) {
          const share = plot.mean[i * l.k + j];
          const [left, right] = [edge(MARGIN.left, j), edge(MARGIN.left, j + 1)];
          if (!Number.isFinite(share)) continue;
          const colour = colours[Math.max(0, Math.min(255, Math.floor(share * 256)))];
          g.fillStyle = colour.fill;
          g.fillRect(left, top, right - left - gap, bottom - top - gap);
          if (l.cell < WRITTEN_FROM_PX || share < 0.005) continue;
          g.fillStyle = colour.text;
          g.fillText(share.toFixed(2), (left + right - gap) / 2, (top + bottom - gap) / 2 + 4);
        }
      }
      drawAxes(g, plot, l);
      if (plot.at) {
        const [i, j] = plot.at;
        g.strokeStyle = CryoArena.css("--moving");
        g.lineWidth = 2;
        g.strokeRect(MARGIN.left + j * l.cell - 1, MARGIN.top + i * l.cell - 1, l.cell + 2 - gap, l.cell + 2 - gap);
      }
    }

    function drawAxes(g, plot, l) {
      const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((many) => many * l.cell >= 26) || l.k;
      g.fillStyle = CryoArena.css("--muted");
      for (let i = 0; i < l.k; i += step) {
        const middle = (i + 0.5) * l.cell;
        g.textAlign = "center";
        g.fillText(plot.data.states[i], MARGIN.left + middle, MARGIN.top + l.side + 14);
        g.textAlign = "right";
        g.fillText(plot.data.states[i], MARGIN.left - 5, MARGIN.top + middle + 4);
      }
      g.fillStyle = CryoArena.css("--ink");
      g.textAlign = "center";
      g.fillText("matched class", MARGIN.left + l.side / 2, MARGIN.top + l.side + 31);
      g.translate(11, MARGIN.top + l.side / 2);
      g.rotate(-Math.PI / 2);
      g.fillText("true state", 0, 0);
      g.rotate(Math.PI / 2);
      g.translate(-11, -MARGIN.top - l.side / 2);
    }

    /** Tell of the cell under the pointer. */
    function point(plot, event) {
      const l = layout(plot);
      const box = plot.canvas.getBoundingClientRect();
      const j = Math.floor((event.clientX - box.left - MARGIN.left) / l.cell);
      const i = Math.floor((event.clientY - box.top - MARGIN.top) / l.cell);
      tell(plot, Math.min(i, j) >= 0 && Math.max(i, j) < l.k ? [i, j] : null);
    }

    /** Tell of the cell beside the last one; the first is the upper left. */
    function step(plot, right, up) {
      const last = layout(plot).k - 1;
      const [i, j] = plot.at ?? [up, -right];
      tell(plot, [i - up, j + right].map((at) => Math.max(0, Math.min(last, at))));
    }

    /** Outline a cell and say what it holds; nothing for null. */
    function tell(plot, cell) {
      if (String(cell) === String(plot.at)) return;
      plot.at = cell;
      draw(plot);
      plot.tip.hidden = !cell;
      if (!cell) return;
      const [i, j] = cell;
      const l = layout(plot);
      plot.tip.replaceChildren(...describe(plot, l, i, j));
      const [x, y] = [MARGIN.left + (j + 0.5) * l.cell, MARGIN.top + i * l.cell];
      plot.tip.style.left = `${Math.max(0, Math.min(x - plot.tip.offsetWidth / 2, l.width - plot.tip.offsetWidth))}px`;
      const above = y - plot.tip.offsetHeight - 6;
      plot.tip.style.top = `${above >= 0 ? above : y + l.cell + 6}px`;
    }

    function describe(plot, l, i, j) {
      const [share, spread] = [plot.mean, plot.spread].map((values) => values && values[i * l.k + j]);
      const [state, match] = [plot.data.states[i], plot.data.states[j]];
      const number = Number.isFinite(share) ? share.toFixed(2) : "unknown";
      const more = Number.isFinite(spread) ? ` ± ${spread.toFixed(2)}` : "";
      const found = [`state ${state} in class matched with ${match}: ${number}${more}`];
      const [from, to] = [payload.captions[state], payload.captions[match]];
      if (from && to) found.push(document.createElement("br"), i === j ? from : `${from} → ${to}`);
      return found;
    }

    CryoArena.whenNear(section, start);
  }

  for (const section of document.querySelectorAll("section.confusion")) {
    confusionSection(section, CryoArena.data.parts[section.closest("article").dataset.part].confusion);
  }
})();
