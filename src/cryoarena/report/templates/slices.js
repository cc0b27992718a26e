"use strict";
// Slices through the packed maps, and what a reconstruction has too much or lacks.
CryoArena.slices = (() => {
  /** Return a plane of a map as {values, width, height}; axis 0 is z, 1 is y, 2 is x; `at` runs from 0 to 1. */
  function plane(voxels, [nz, ny, nx], axis, at) {
    const strides = [ny * nx, nx, 1];
    const sides = [nz, ny, nx];
    const [rows, columns] = [0, 1, 2].filter((k) => k !== axis);
    const start = Math.round(at * (sides[axis] - 1)) * strides[axis];
    const [height, width] = [sides[rows], sides[columns]];
    const values = new Float32Array(width * height);
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) values[r * width + c] = voxels[start + r * strides[rows] + c * strides[columns]];
    }
    return { values, width, height };
  }

  const rgb = (name) => name.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));

  /** Draw a plane in grey, or its difference from that of the truth in two colours. */
  function draw(canvas, own, truth, level) {
    const side = Math.max(own.width, own.height);
    const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const g = small.getContext("2d");
    const image = g.createImageData(own.width, own.height);
    const [paper, more, less] = ["--surface", "--more", "--less"].map((name) => rgb(CryoArena.css(name)));
    own.values.forEach((value, i) => {
      let colour;
      if (truth) {
        const difference = Math.max(-1, Math.min(1, (value - truth.values[i]) / (1.5 * level)));
        const end = difference > 0 ? more : less;
        colour = paper.map((part, k) => part + Math.abs(difference) * (end[k] - part));
      } else {
        const grey = 255 * Math.min(1, Math.max(0, value - 16) / (2.2 * level));
        colour = [grey, grey, grey];
      }
      image.data.set([...colour, 255], 4 * i);
    });
    g.fillStyle = truth ? CryoArena.css("--surface") : "#000";
    g.fillRect(0, 0, side, side);
    g.putImageData(image, (side - own.width) >> 1, (side - own.height) >> 1);
    canvas.width = canvas.height = Math.max(side, Math.round(canvas.clientWidth * (devicePixelRatio || 1)));
    const big = canvas.getContext("2d");
    big.imageSmoothingQuality = "high";
    big.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  function clear(canvas) {
    canvas.width = canvas.height = 1;
  }

  return { plane, draw, clear };
})();
