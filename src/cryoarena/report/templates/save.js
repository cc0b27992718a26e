"use strict";
// Buttons that save a figure as it is shown: SVG, PNG (at twice its size) or the numbers as CSV.
(() => {
  const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-weight", "font-family", "text-anchor"];

  function download(name, blob) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    CryoArena.state.saved = { name, size: blob.size, type: blob.type };
  }

  /** Copy what the page's style sheet gives each element, so that the file looks the same anywhere. */
  function standalone(svg) {
    const copy = svg.cloneNode(true);
    const [from, to] = [[svg, ...svg.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
    from.forEach((element, i) => {
      const style = getComputedStyle(element);
      // What is defined once and used in many colours takes from its uses what it does not say itself.
      const own = element.closest("defs") ? DRAWN.filter((name) => element.style.getPropertyValue(name)) : DRAWN;
      for (const name of own) to[i].style.setProperty(name, style.getPropertyValue(name));
    });
    const [, , width, height] = svg.getAttribute("viewBox").split(/\s+/).map(Number);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.style.background = CryoArena.css("--surface");
    return { text: new XMLSerializer().serializeToString(copy), width, height };
  }

  async function toPng(source, width, height) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const g = canvas.getContext("2d");
    g.fillStyle = CryoArena.css("--surface");
    g.fillRect(0, 0, width, height);
    g.drawImage(source, 0, 0, width, height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  async function picture({ text, width, height }) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    return toPng(image, 2 * width, 2 * height);
  }

  const csv = (rows) => rows.map((row) => row.map((cell) => {
    const text = String(cell ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",")).join("\n");

  async function save(button) {
    const owner = button.closest("figure, .stat, section");
    const part = button.closest("article").querySelector("h2.article")?.firstChild.textContent.trim() || document.querySelector("h1").textContent;
    const what = owner.querySelector("select.curve")?.selectedOptions[0].text || owner.querySelector(".chip, h2, b").textContent;
    const name = `${part} ${what}`.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/-+$/, "").toLowerCase();
    // A leaderboard is a table on the page; its drawing waits in a template and takes its colours from the page.
    const waiting = owner.querySelector("template")?.content.firstElementChild;
    const svg = waiting ? document.body.appendChild(waiting.cloneNode(true)) : owner.querySelector(".plot svg, .drawn svg");
    const drawn = svg && standalone(svg);
    if (waiting) svg.remove();
    const kind = button.dataset.save;
    if (kind === "csv") {
      owner.dispatchEvent(new CustomEvent("save-data", {
        detail: (_, rows) => download(`${name}.csv`, new Blob([csv(rows)], { type: "text/csv" })),
      }));
    } else if (kind === "svg") {
      download(`${name}.svg`, new Blob([drawn.text], { type: "image/svg+xml" }));
    } else {
      const canvas = owner.querySelector("canvas");
      download(`${name}.png`, await (drawn ? picture(drawn) : toPng(canvas, canvas.width, canvas.height)));
    }
  }

  for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button));
})();
