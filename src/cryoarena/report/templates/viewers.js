"use strict";
// Linked views of the truth and two reconstructions, and the slider that moves them and their projections.
(() => {
  const RADIUS = 30; // scene units; 3Dmol's camera stands 150 away and looks through 20°
  const MAX_SECTIONS = 4; // browsers keep 16 WebGL contexts; a section has three
  const alive = []; // sections that hold contexts, the one shown last at the end

  function hasWebGL() {
    if (typeof $3Dmol === "undefined" || typeof DecompressionStream === "undefined") return false;
    const gl = document.createElement("canvas").getContext("webgl2");
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(gl);
  }

  function viewerSection(section, payload) {
    const find = (selector) => section.querySelector(selector);
    const slider = find(".conformation");
    const along = find(".along");
    const level = find(".level");
    const movingBox = find(".moving");
    const play = find(".play");
    const axis = find(".slice-axis");
    const position = find(".slice-at");
    const figures = [...section.querySelectorAll(".view")];
    const maps = new Map();
    let views = [];
    let mode = "surface";
    let moving = null;
    let drawn = 0;
    let timer = null;

    const columnOf = (place) => (place === 0 ? 0 : Number(figures[place].querySelector("select.method").value));
    const steps = () => payload.series[along?.value ?? 0].steps;
    const mapOf = (column) => steps()[slider.value].maps[column];

    function showPictures() {
      const step = steps()[slider.value];
      find(".which").replaceChildren(Object.assign(document.createElement("b"), { textContent: step.title }), ` ${step.caption}`);
      slider.setAttribute("aria-valuetext", `${step.title} ${step.caption}`);
      figures.forEach((figure, place) => {
        const column = columnOf(place);
        const at = mapOf(column);
        const image = figure.querySelector(".projection");
        image.hidden = at === null;
        image.alt = `Projections of ${payload.columns[column].label} along z, y and x`;
        figure.querySelector(".absent").hidden = at !== null;
        if (place) figure.querySelector(".own").style.background = CryoArena.methodColour(payload.columns[column].colour);
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
      for (const [place, view] of views.entries()) {
        const column = columnOf(place);
        const at = mapOf(column);
        const key = `${at} ${column} ${level.value} ${movingBox?.checked} ${CryoArena.css("--surface")}`;
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

    async function showSlices() {
      const mine = ++drawn;
      const truthAt = mapOf(0);
      const plane = async (at) => CryoArena.slices.plane(await voxels(at), payload.shape, Number(axis.value), Number(position.value));
      const truth = truthAt === null ? null : await plane(truthAt);
      for (const [place, figure] of figures.entries()) {
        const at = mapOf(columnOf(place));
        const own = at === null ? null : await plane(at);
        if (mine !== drawn) return;
        const canvas = figure.querySelector(".slice");
        const against = mode === "difference" && place > 0 ? truth : null;
        if (own && (mode !== "difference" || place === 0 || truth)) CryoArena.slices.draw(canvas, own, against, payload.level);
        else CryoArena.slices.clear(canvas);
      }
      const side = payload.shape[axis.value] - 1;
      find(".slice-value").textContent = `${Math.round((position.value - 0.5) * side * payload.voxel_A)} Å`;
      CryoArena.state.slices = { conformation: Number(slider.value), mode, axis: Number(axis.value), position: Number(position.value) };
    }

    const show = () => (mode === "surface" ? showSurfaces() : showSlices());

    function setMode(chosen) {
      mode = chosen;
      for (const button of section.querySelectorAll(".mode")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
      for (const figure of figures) {
        figure.querySelector(".gl").classList.toggle("off", mode !== "surface"); // never of no size: WebGL would complain
        figure.querySelector(".slice").hidden = mode === "surface";
      }
      find(".for-surface").hidden = mode !== "surface";
      find(".for-slice").hidden = mode === "surface";
      find(".difference-key").hidden = mode !== "difference";
      if (mode === "surface") views.forEach((view) => view.viewer.resize());
      show();
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

    function stayFlat() {
      section.classList.add("flat");
      find(".no-3d").hidden = false;
      CryoArena.state.webgl = false;
      setMode("slice");
    }

    /** Make the 3-D views; the section that was shown longest ago gives its contexts back. */
    async function wake() {
      const before = alive.findIndex((other) => other.section === section);
      if (before >= 0) {
        alive.push(...alive.splice(before, 1));
        return;
      }
      alive.push({ section, sleep });
      if (alive.length > MAX_SECTIONS) alive.shift().sleep();
      if (payload.moving && !moving) moving = await CryoArena.unpack(payload.moving, Uint8Array);
      for (const figure of figures) {
        const box = figure.querySelector(".gl");
        const viewer = $3Dmol.createViewer(box, { backgroundColor: CryoArena.css("--surface"), disableFog: true, antialias: true });
        viewer.setSlab(-100, 100);
        views.push({ viewer, box, key: "" });
      }
      for (const a of views) for (const b of views) if (a !== b) a.viewer.linkViewer(b.viewer);
      reset();
      await show();
      reset();
      CryoArena.state.webgl = true;
    }

    function sleep() {
      for (const { box } of views) {
        box.querySelector("canvas")?.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
        box.replaceChildren();
      }
      views = [];
    }

    function start() {
      for (const figure of figures) {
        const box = figure.querySelector(".gl");
        guardWheel(box);
        box.addEventListener("keydown", (event) => {
          const view = views.find((other) => other.box === box);
          if (view) turn(view.viewer, event);
        });
      }
      if (!hasWebGL()) {
        stayFlat();
        return;
      }
      new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && wake(), { rootMargin: "200px" }).observe(section);
      new ResizeObserver(() => {
        if (mode === "surface") views.forEach((view) => view.viewer.resize());
        else show();
      }).observe(section);
      CryoArena.onTheme(() => {
        for (const view of views) view.viewer.setBackgroundColor(CryoArena.css("--surface"), 1);
        changed();
      });
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
      show();
    }

    function setPlaying(on) {
      clearInterval(timer);
      timer = on ? setInterval(() => {
        slider.value = (Number(slider.value) + 1) % steps().length;
        changed();
      }, 700) : null;
      play.setAttribute("aria-pressed", String(on));
      play.textContent = on ? "❚❚ Pause" : "▶ Play";
    }

    /** Let the slider reach from the first to the last step of what it goes along. */
    function fit() {
      slider.max = steps().length - 1;
      slider.value = 0;
      play.hidden = slider.disabled = steps().length < 2;
      if (play.hidden) setPlaying(false);
    }

    slider.addEventListener("input", changed);
    for (const select of section.querySelectorAll("select.method")) select.addEventListener("change", changed);
    for (const button of section.querySelectorAll(".mode")) button.addEventListener("click", () => setMode(button.dataset.mode));
    for (const input of [axis, position]) input.addEventListener("input", show);
    level.addEventListener("input", () => {
      find(".level-value").textContent = Number(level.value).toFixed(2);
      show();
    });
    movingBox?.addEventListener("change", show);
    find(".reset").addEventListener("click", reset);
    play.addEventListener("click", () => setPlaying(timer === null));
    along?.addEventListener("change", () => {
      const { column } = payload.series[along.value];
      const shown = figures.slice(1).some((_, i) => columnOf(i + 1) === column);
      if (column && !shown) figures[1].querySelector("select.method").value = column;
      fit();
      changed();
    });
    fit();
    showPictures();
    CryoArena.whenNear(section, start);
  }

  for (const section of document.querySelectorAll("section.viewers")) {
    viewerSection(section, CryoArena.data.parts[section.closest("article").dataset.part].volumes);
  }
})();
