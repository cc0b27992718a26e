"use strict";
// Linked 3-D views of the truth and the reconstructions, and the slider that also moves their projections.
(() => {
  const RADIUS = 30; // scene units; 3Dmol's camera stands 150 away and looks through 20°

  function hasWebGL() {
    if (typeof $3Dmol === "undefined" || typeof DecompressionStream === "undefined") return false;
    const gl = document.createElement("canvas").getContext("webgl2");
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(gl);
  }

  function viewerSection(section, payload) {
    const slider = section.querySelector(".conformation");
    const level = section.querySelector(".level");
    const movingBox = section.querySelector(".moving");
    const play = section.querySelector(".play");
    const figures = [...section.querySelectorAll(".view")];
    const maps = new Map();
    const views = [];
    let moving = null;
    let drawn = 0;
    let timer = null;

    function showPictures() {
      const conformation = payload.conformations[slider.value];
      const which = section.querySelector(".which");
      which.replaceChildren(Object.assign(document.createElement("b"), { textContent: conformation.title }), ` ${conformation.caption}`);
      slider.setAttribute("aria-valuetext", `${conformation.title} ${conformation.caption}`);
      figures.forEach((figure, column) => {
        const at = conformation.maps[column];
        const image = figure.querySelector(".projection");
        image.hidden = at === null;
        figure.querySelector(".absent").hidden = at !== null;
        if (at !== null) image.src = payload.pictures[at];
      });
      CryoArena.state.conformation = Number(slider.value);
    }

    const voxels = (at) => {
      if (!maps.has(at)) maps.set(at, CryoArena.unpack(payload.maps[at], Uint8Array));
      return maps.get(at);
    };

    async function showSurfaces() {
      const mine = ++drawn;
      const conformation = payload.conformations[slider.value];
      for (const [column, view] of views.entries()) {
        const at = conformation.maps[column];
        const key = `${at} ${level.value} ${movingBox?.checked} ${CryoArena.css("--surface")}`;
        if (view.key === key) continue;
        const data = at === null ? null : await voxels(at);
        if (mine !== drawn) return; // the slider has moved on meanwhile
        view.key = key;
        view.viewer.removeAllShapes();
        if (data) addSurface(view.viewer, data, payload.columns[column].colour);
        view.viewer.render();
      }
      CryoArena.state.surfaces = { conformation: Number(slider.value), level: Number(level.value), triangles: views.map((v) => v.viewer.triangles) };
    }

    function addSurface(viewer, data, colourIndex) {
      const mesh = CryoArena.surface(data, payload.shape, payload.level * level.value);
      const [nz, ny, nx] = payload.shape;
      const scale = (2 * RADIUS) / Math.hypot(nx, ny, nz);
      const point = (i, array, off, by) => ({ x: (array[3 * i] - off[0]) * by, y: (array[3 * i + 1] - off[1]) * by, z: (array[3 * i + 2] - off[2]) * by });
      const rows = Array.from({ length: mesh.vertices.length / 3 }, (_, i) => i);
      const own = $3Dmol.CC.color(CryoArena.methodColour(colourIndex));
      const grey = $3Dmol.CC.color(CryoArena.css("--truth"));
      const [still, turned] = colourIndex === null ? [grey, $3Dmol.CC.color(CryoArena.css("--moving"))] : [blend(grey, own, 0.15), own];
      // 3Dmol splits larger meshes and would lose track of the colours.
      const mark = moving && movingBox.checked && rows.length < 64000;
      if (mesh.faces.length) {
        viewer.addCustom({
          vertexArr: rows.map((i) => point(i, mesh.vertices, [nx / 2, ny / 2, nz / 2], scale)),
          normalArr: rows.map((i) => point(i, mesh.normals, [0, 0, 0], 1)),
          faceArr: mesh.faces,
          color: mark ? rows.map((i) => blend(still, turned, movingAt(mesh.vertices, i))) : own,
        });
      }
      viewer.triangles = mesh.faces.length / 3;
    }

    function movingAt(vertices, i) {
      const [x, y, z] = [0, 1, 2].map((k) => Math.round(vertices[3 * i + k]));
      return moving[(z * payload.shape[1] + y) * payload.shape[2] + x] / 255;
    }

    function blend(a, b, t) {
      return new $3Dmol.Color(a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b));
    }

    function reset() {
      const distance = RADIUS / Math.tan((10 * Math.PI) / 180);
      for (const { viewer } of views) viewer.setView([0, 0, 0, 150 - 0.6 * distance, ...payload.start], true);
    }

    async function start() {
      if (!hasWebGL()) {
        section.classList.add("flat");
        section.querySelector(".no-3d").hidden = false;
        CryoArena.state.webgl = false;
        return;
      }
      if (payload.moving) moving = await CryoArena.unpack(payload.moving, Uint8Array);
      for (const figure of figures) {
        const box = figure.querySelector(".gl");
        const viewer = $3Dmol.createViewer(box, { backgroundColor: CryoArena.css("--surface"), disableFog: true, antialias: true });
        viewer.setSlab(-100, 100);
        views.push({ viewer, box, key: "" });
        guardWheel(box);
        box.addEventListener("keydown", (event) => turn(viewer, event));
      }
      for (const a of views) for (const b of views) if (a !== b) a.viewer.linkViewer(b.viewer);
      reset();
      await showSurfaces();
      reset();
      new ResizeObserver(() => views.forEach((view) => view.viewer.resize())).observe(section);
      CryoArena.onTheme(() => {
        for (const view of views) view.viewer.setBackgroundColor(CryoArena.css("--surface"), 1);
        showSurfaces();
      });
      CryoArena.state.webgl = true;
    }

    /** The wheel scrolls the page until a view has been clicked. */
    function guardWheel(box) {
      box.addEventListener("wheel", (event) => {
        if (!box.contains(document.activeElement)) event.stopPropagation();
      }, { capture: true });
      box.addEventListener("pointerdown", () => box.focus({ preventScroll: true }));
      box.addEventListener("pointerleave", () => box.blur());
    }

    function turn(viewer, event) {
      const by = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] }[event.key];
      if (by) viewer.rotate(...by);
      else if (event.key === "+" || event.key === "=") viewer.zoom(1.15);
      else if (event.key === "-") viewer.zoom(1 / 1.15);
      else return;
      event.preventDefault();
    }

    function changed() {
      showPictures();
      showSurfaces();
    }

    function setPlaying(on) {
      clearInterval(timer);
      timer = on ? setInterval(() => {
        slider.value = (Number(slider.value) + 1) % payload.conformations.length;
        changed();
      }, 700) : null;
      play.setAttribute("aria-pressed", String(on));
      play.textContent = on ? "❚❚ Pause" : "▶ Play";
    }

    slider.addEventListener("input", changed);
    level.addEventListener("input", () => {
      section.querySelector(".level-value").textContent = Number(level.value).toFixed(2);
      showSurfaces();
    });
    movingBox?.addEventListener("change", showSurfaces);
    section.querySelector(".reset").addEventListener("click", reset);
    play.addEventListener("click", () => setPlaying(timer === null));
    play.hidden = payload.conformations.length < 2;
    slider.disabled = payload.conformations.length < 2;
    showPictures();
    CryoArena.whenNear(section, start);
  }

  for (const section of document.querySelectorAll("section.viewers")) {
    viewerSection(section, CryoArena.data.parts[section.closest("article").dataset.part].volumes);
  }
})();
