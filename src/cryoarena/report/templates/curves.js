"use strict";
// Curves with bands as SVG: resolution (Å) along the top, spatial frequency (1/Å) along the bottom.
(() => {
  const NS = "http://www.w3.org/2000/svg";

  function node(parent, name, attributes, text) {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function curveSection(section, curves) {
    const select = section.querySelector("select.curve");
    const box = section.querySelector(".plot");
    const legend = section.querySelector(".legend");
    const hidden = new Set();
    const colour = (s) => (s.kind === "method" ? `var(--m${s.colour % paletteSize()})` : "var(--muted)");
    const dash = (s) => (s.kind === "floor" ? "2 5" : s.kind === "ceiling" ? "9 5" : "none");
    const paletteSize = () => {
      let n = 0;
      while (CryoArena.css(`--m${n}`)) n++;
      return n;
    };

    function drawLegend() {
      legend.replaceChildren();
      for (const s of curves[select.value].series) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "key";
        button.setAttribute("aria-pressed", String(!hidden.has(s.label)));
        const svg = node(button, "svg", { width: 26, height: 10, "aria-hidden": "true" });
        node(svg, "line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: colour(s), "stroke-width": 2.5, "stroke-dasharray": dash(s) });
        button.append(s.label);
        button.addEventListener("click", () => {
          hidden.has(s.label) ? hidden.delete(s.label) : hidden.add(s.label);
          button.setAttribute("aria-pressed", String(!hidden.has(s.label)));
          draw();
        });
        legend.append(button);
      }
    }

    function draw() {
      const curve = curves[select.value];
      const series = curve.series.filter((s) => !hidden.has(s.label));
      const width = Math.max(280, box.clientWidth);
      const height = Math.min(420, Math.max(280, width * 0.42));
      const m = { left: curve.y_label ? 58 : 46, right: 14, top: curve.per_A ? 40 : 12, bottom: 44 };
      const [w, h] = [width - m.left - m.right, height - m.top - m.bottom];
      const xs = curve.series.flatMap((s) => s.x).filter(Number.isFinite);
      const xLow = Math.min(0, ...xs);
      const half = curve.is_histogram ? (curve.series[0].x[1] - curve.series[0].x[0]) / 2 : 0;
      const xHigh = Math.max(...xs) + half;
      const ends = series.flatMap((s) => s.mean.flatMap((v, i) => (v === null ? [] : [v - (s.spread[i] || 0), v + (s.spread[i] || 0)])));
      const yLow = Math.min(0, Math.max(curve.is_fsc ? -0.25 : -Infinity, ...[Math.min(0, ...ends)]));
      const yHigh = curve.is_fsc ? 1.02 : Math.max(1e-9, ...ends);
      const X = (v) => m.left + (w * (v - xLow)) / (xHigh - xLow);
      const Y = (v) => m.top + h - (h * (Math.min(yHigh, Math.max(yLow, v)) - yLow)) / (yHigh - yLow);
      const svg = document.createElementNS(NS, "svg");
      for (const [k, v] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": `${curve.label} against ${curve.x_label}` })) svg.setAttribute(k, v);
      for (const v of CryoArena.ticks(yLow, yHigh, 5)) {
        node(svg, "line", { x1: m.left, x2: m.left + w, y1: Y(v), y2: Y(v), class: "grid" });
        node(svg, "text", { x: m.left - 6, y: Y(v) + 4, "text-anchor": "end" }, CryoArena.short(v));
      }
      for (const v of CryoArena.ticks(xLow, xHigh, Math.min(8, w / 70))) {
        node(svg, "line", { x1: X(v), x2: X(v), y1: m.top, y2: m.top + h, class: "grid" });
        node(svg, "text", { x: X(v), y: m.top + h + 16, "text-anchor": "middle" }, CryoArena.short(v));
      }
      const frequency = curve.per_A;
      node(svg, "text", { x: m.left + w / 2, y: height - 6, "text-anchor": "middle", class: "title" }, curve.x_label);
      if (curve.y_label) node(svg, "text", { transform: `translate(12 ${m.top + h / 2}) rotate(-90)`, "text-anchor": "middle", class: "title" }, curve.y_label);
      if (frequency) {
        let last = Infinity;
        for (const a of [100, 50, 40, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4.5, 4, 3.5, 3, 2.5, 2].filter((a) => 1 / a <= xHigh && 1 / a > xLow).reverse()) {
          if (last - X(1 / a) < 42) continue;
          last = X(1 / a);
          node(svg, "line", { x1: last, x2: last, y1: m.top - 5, y2: m.top, class: "tick" });
          node(svg, "text", { x: last, y: m.top - 9, "text-anchor": "middle" }, `${a} Å`);
        }
        node(svg, "text", { x: m.left, y: 12, class: "title" }, "resolution");
      }
      if (curve.is_fsc) {
        for (const v of [0.5, 0.143]) {
          node(svg, "line", { x1: m.left, x2: m.left + w, y1: Y(v), y2: Y(v), class: "threshold" });
          node(svg, "text", { x: m.left + w - 4, y: Y(v) - 4, "text-anchor": "end" }, String(v));
        }
      }
      for (const s of series) {
        const good = s.x.map((_, i) => i).filter((i) => s.x[i] !== null && s.mean[i] !== null);
        if (s.kind === "method" && s.spread.length && !curve.is_histogram) {
          const up = good.map((i) => `${X(s.x[i])},${Y(s.mean[i] + (s.spread[i] || 0))}`);
          const down = good.map((i) => `${X(s.x[i])},${Y(s.mean[i] - (s.spread[i] || 0))}`).reverse();
          node(svg, "polygon", { points: [...up, ...down].join(" "), fill: colour(s), opacity: 0.14 });
        }
      }
      for (const s of series) {
        const good = s.x.map((_, i) => i).filter((i) => s.x[i] !== null && s.mean[i] !== null);
        // A histogram goes along the tops of its bars, from the ground to the ground.
        const corners = curve.is_histogram
          ? [[s.x[good[0]] - half, 0], ...good.flatMap((i) => [[s.x[i] - half, s.mean[i]], [s.x[i] + half, s.mean[i]]]), [s.x[good.at(-1)] + half, 0]]
          : good.map((i) => [s.x[i], s.mean[i]]);
        const points = corners.map(([x, y]) => `${X(x).toFixed(1)},${Y(y).toFixed(1)}`).join(" ");
        node(svg, "polyline", { points, fill: curve.is_histogram ? colour(s) : "none", "fill-opacity": 0.2, stroke: colour(s), "stroke-width": s.kind === "method" ? 2.5 : 1.8, "stroke-dasharray": dash(s), "stroke-linejoin": "round", class: "curve" });
      }
      const cursor = node(svg, "line", { y1: m.top, y2: m.top + h, class: "cursor", visibility: "hidden" });
      const tip = document.createElement("div");
      tip.className = "tip";
      tip.hidden = true;
      svg.addEventListener("pointermove", (event) => {
        const area = svg.getBoundingClientRect();
        const px = ((event.clientX - area.left) * width) / area.width;
        const f = xLow + ((px - m.left) / w) * (xHigh - xLow);
        if (f < xLow || f > xHigh) return;
        cursor.setAttribute("visibility", "visible");
        cursor.setAttribute("x1", px);
        cursor.setAttribute("x2", px);
        tip.hidden = false;
        tip.replaceChildren();
        const head = document.createElement("b");
        head.textContent = frequency && f > 0 ? `${(1 / f).toFixed(1)} Å (${f.toFixed(4)} / Å)` : CryoArena.short(f);
        tip.append(head);
        for (const s of series) {
          let at = 0;
          s.x.forEach((x, i) => { if (Math.abs(x - f) < Math.abs(s.x[at] - f)) at = i; });
          if (s.mean[at] === null) continue;
          const row = document.createElement("span");
          row.textContent = `${s.label.split(":")[0]} ${s.mean[at].toFixed(3)}`;
          tip.append(document.createElement("br"), row);
        }
        const side = event.clientX - area.left;
        tip.style.left = side > area.width / 2 ? `${side - tip.offsetWidth - 14}px` : `${side + 14}px`;
        tip.style.top = `${m.top}px`;
      });
      svg.addEventListener("pointerleave", () => {
        cursor.setAttribute("visibility", "hidden");
        tip.hidden = true;
      });
      box.replaceChildren(svg, tip);
      CryoArena.state.curve = curve.key;
    }

    section.addEventListener("save-data", (event) => {
      const curve = curves[select.value];
      const rows = [["curve", "series", curve.x_label || "x", "mean", "standard deviation"]];
      for (const s of curve.series) s.x.forEach((x, i) => rows.push([curve.key, s.label, x, s.mean[i], s.spread[i] ?? ""]));
      event.detail(curve.key, rows);
    });
    select.addEventListener("change", () => { drawLegend(); draw(); });
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth !== width) { width = box.clientWidth; draw(); }
    }).observe(box);
    drawLegend();
    draw();
  }

  for (const section of document.querySelectorAll("section.curves")) {
    curveSection(section, CryoArena.data.parts[section.closest("article").dataset.part].curves);
  }
})();
