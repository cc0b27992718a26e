"use strict";
// Shared helpers; the other scripts add their part to `CryoArena`.
const CryoArena = {
  data: JSON.parse(document.getElementById("data").textContent),
  state: {}, // what is shown now, for tests and for the curious

  /** Undo packing.py: base64 → gunzip → typed array. */
  async unpack(text, Type) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Type(await new Response(stream).arrayBuffer());
  },

  css(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },

  methodColour(index) {
    let n = 0;
    while (CryoArena.css(`--m${n}`)) n++;
    return index === null ? CryoArena.css("--truth") : CryoArena.css(`--m${index % n}`);
  },

  onTheme(callback) {
    matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", callback);
  },

  /** Run `start` once: when `element` comes near the screen, or the browser has nothing else to do; print shows all. */
  whenNear(element, start) {
    let started = null;
    const once = () => {
      observer.disconnect();
      started ??= Promise.resolve(start());
      return started;
    };
    const observer = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && once(), {
      rootMargin: "400px",
    });
    observer.observe(element);
    CryoArena.whenIdle(once);
  },

  /** Do one thing after another, in the order in which they were asked for, whenever the browser is idle. */
  whenIdle(act) {
    const idle = new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
    CryoArena.idle = Promise.all([CryoArena.idle, idle]).then(act);
  },

  /** Give arrow keys to `move` as steps to the right and up, and Escape to `leave`. */
  onKey(event, move, leave) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) move(...step);
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
  },

  ticks(low, high, about) {
    const raw = (high - low) / about;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
    const found = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) {
      found.push(Math.abs(v) < 1e-9 * step ? 0 : v);
    }
    return found;
  },

  short(value) {
    return String(Number(value.toPrecision(4)));
  },
};
