"""What a search for neighbours spends its time on, for tensors on any device.

Torch sorts indices along with values: numpy sorts a row of doubles on the CPU in a twentieth of the time. SciPy is as
much ahead of torch's element-wise arithmetic where no matrix product will do.
"""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor


def squared_distances(queries: Tensor, points: Tensor) -> Tensor:
    """Return the squared Euclidean distances (Q, N) from queries (Q, d) to points (N, d), in double precision.

    They are sums of squared differences: expanded squares would confuse distances that are small against the
    coordinates, as those between jittered images are.
    """
    if queries.device.type == "cpu":
        return torch.from_numpy(np.asarray(cdist(queries.numpy(), points.numpy(), "sqeuclidean")))
    total = queries.new_zeros(len(queries), len(points))
    for dimension in range(points.shape[1]):
        total += (queries[:, dimension, None] - points[:, dimension]).square_()
    return total


def ascending(values: Tensor) -> Tensor:
    """Return every row of values (Q, N) in ascending order."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values


def smallest(values: Tensor, m: int) -> Tensor:
    """Return the m smallest values (Q, m) of every row of (Q, N), in ascending order."""
    if values.device.type == "cpu":
        chosen = np.ascontiguousarray(np.partition(values.numpy(), m - 1, axis=1)[:, :m])
        chosen.sort(axis=1)
        return torch.from_numpy(chosen)
    return values.sort(dim=1).values[:, :m].contiguous()


def stable_order(values: Tensor) -> Tensor:
    """Return the columns (Q, N) that put every row in ascending order, the lower column first among equals."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.argsort(values.numpy(), axis=1, kind="stable"))
    return values.argsort(dim=1, stable=True)


def columns_where(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns (Q, M) at which each row of a mask (Q, N) is set, and which entries (Q, M) are real.

    M is the largest number in a row; shorter rows are filled up with column 0.
    """
    if mask.device.type == "cpu":
        flat = torch.from_numpy(np.flatnonzero(mask.numpy()))
    else:
        flat = mask.reshape(-1).nonzero()[:, 0]
    q, n = mask.shape
    counts = torch.bincount(flat // n, minlength=q)
    real = torch.arange(int(counts.max()), device=mask.device) < counts[:, None]
    if len(flat) == real.numel():
        return (flat % n).reshape(real.shape), real
    columns = torch.zeros(real.shape, dtype=torch.int64, device=mask.device)
    columns[real] = flat % n
    return columns, real


def distinct_rows(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows (u,) of `points` (Q, d) that differ from each other, and which of them (Q,) each row equals.

    Where all differ they stay in order.
    """
    first, inverse = np.unique(points.cpu().numpy(), axis=0, return_index=True, return_inverse=True)[1:]
    if len(first) == len(points):
        first = inverse = np.arange(len(points))
    return torch.from_numpy(first).to(points.device), torch.from_numpy(inverse.reshape(-1)).to(points.device)
