"use strict";
// Isosurfaces by naive surface nets (Gibson 1998): one vertex per crossed cell, at the mean of its edge crossings.
// 3Dmol.js's own marching cubes puts vertices at edge middles, which shows as steps.

/**
 * @param values Uint8Array, z slowest, x fastest
 * @param shape [nz, ny, nx]
 * @returns {vertices: Float32Array (x, y, z in voxels), normals: Float32Array, faces: Uint32Array}
 */
CryoArena.surface = function (values, shape, level) {
  const [nz, ny, nx] = shape;
  const strideZ = ny * nx;
  const cell = new Int32Array(nz * ny * nx).fill(-1);
  const vertices = [];
  const faces = [];
  const corner = [0, 1, nx, nx + 1, strideZ, strideZ + 1, strideZ + nx, strideZ + nx + 1];
  const edges = [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]];
  for (let z = 0; z < nz - 1; z++) {
    for (let y = 0; y < ny - 1; y++) {
      for (let x = 0; x < nx - 1; x++) {
        const at = z * strideZ + y * nx + x;
        let inside = 0;
        for (let c = 0; c < 8; c++) if (values[at + corner[c]] > level) inside |= 1 << c;
        if (inside === 0 || inside === 255) continue;
        let [sx, sy, sz, n] = [0, 0, 0, 0];
        for (const [a, b] of edges) {
          if (((inside >> a) & 1) === ((inside >> b) & 1)) continue;
          const va = values[at + corner[a]];
          const t = (level - va) / (values[at + corner[b]] - va);
          sx += (a & 1) + t * ((b & 1) - (a & 1));
          sy += ((a >> 1) & 1) + t * (((b >> 1) & 1) - ((a >> 1) & 1));
          sz += (a >> 2) + t * ((b >> 2) - (a >> 2));
          n++;
        }
        cell[at] = vertices.length / 3;
        vertices.push(x + sx / n, y + sy / n, z + sz / n);
      }
    }
  }
  // Each crossed grid edge is shared by four cells: their vertices make two triangles, facing outwards.
  const quad = (inner, a, b, c, d) => {
    if (inner) faces.push(a, b, c, a, c, d);
    else faces.push(a, c, b, a, d, c);
  };
  for (let z = 1; z < nz - 1; z++) {
    for (let y = 1; y < ny - 1; y++) {
      for (let x = 1; x < nx - 1; x++) {
        const at = z * strideZ + y * nx + x;
        const here = values[at] > level;
        if (here !== values[at + 1] > level) {
          quad(here, cell[at - nx - strideZ], cell[at - strideZ], cell[at], cell[at - nx]);
        }
        if (here !== values[at + nx] > level) {
          quad(here, cell[at - 1 - strideZ], cell[at - 1], cell[at], cell[at - strideZ]);
        }
        if (here !== values[at + strideZ] > level) {
          quad(here, cell[at - 1 - nx], cell[at - nx], cell[at], cell[at - 1]);
        }
      }
    }
  }
  const points = Float32Array.from(vertices);
  return { vertices: points, normals: normals(points, faces), faces: Uint32Array.from(faces) };

  function normals(p, f) {
    const sums = new Float32Array(p.length);
    for (let i = 0; i < f.length; i += 3) {
      const [a, b, c] = [3 * f[i], 3 * f[i + 1], 3 * f[i + 2]];
      const u = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
      const v = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
      const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) sums[corner + k] += normal[k];
    }
    for (let i = 0; i < sums.length; i += 3) {
      const length = Math.hypot(sums[i], sums[i + 1], sums[i + 2]) || 1;
      for (let k = 0; k < 3; k++) sums[i + k] /= length;
    }
    return sums;
  }
};
