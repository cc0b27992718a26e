"""Time the simulation of IgG-1D and print the ratio to the peer pipeline.

    python benchmarks/simulate.py --images 100000 --processes 2 -o /tmp/igg1d

The peer (CryoBench: project at 256 px, CTF, noise, crop to 128) was measured at 774 CPU s per 1,000 images on two
cores (725 project3d + 38 add_ctf + 3 add_noise + 8 downsample; 20 GB at its default batch size).
"""

import argparse
import multiprocessing
import resource
import shutil
import threading
import time
from pathlib import Path

from cryoarena.datasets.base import datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import Given, locate_all

PEER_CPU_S_PER_1000 = 774.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--structure", type=Path, default=None, help="1HZH; else $CRYOARENA_MIRROR or the PDB")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="keep the dataset")
    arguments = parser.parse_args()

    dataset = datasets.get("igg-1d")
    settings = resolve_settings(dataset, "paper", images=arguments.images)
    sources = locate_all(dataset, given=Given(structure=arguments.structure))
    peaks = PeakMemory()
    started = time.perf_counter()
    make_dataset(dataset, settings, sources, arguments.out, processes=arguments.processes)
    wall_s = time.perf_counter() - started
    peaks.stop()
    if not arguments.keep:
        shutil.rmtree(arguments.out)
    cpu_s = peaks.cpu_s()
    per_1000 = 1000 * cpu_s / arguments.images
    print(f"{arguments.images} images of {settings.box_px} px, {arguments.processes} processes")
    print(f"wall                    {wall_s:8.1f} s    {arguments.images / wall_s:8.0f} images/s")
    print(f"CPU                     {cpu_s:8.1f} s    {per_1000:8.2f} s per 1,000 images")
    print(f"peer, CPU per 1,000     {PEER_CPU_S_PER_1000:8.1f} s    ratio {PEER_CPU_S_PER_1000 / per_1000:.0f}x")
    print(f"peak memory             {peaks.parent_GB:8.2f} GB parent, {peaks.worker_GB:.2f} GB largest worker")


class PeakMemory:
    """Watch the resident memory and CPU time of this process and its workers (Linux /proc)."""

    def __init__(self) -> None:
        self.parent_GB = 0.0
        self.worker_GB = 0.0
        self._cpu_s: dict[int, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look a last time."""
        self._look()
        self._stopped.set()
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the CPU seconds of this process and its workers."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        return own.ru_utime + own.ru_stime + sum(self._cpu_s.values())

    def _watch(self) -> None:
        while not self._stopped.wait(0.2):
            self._look()

    def _look(self) -> None:
        own = multiprocessing.current_process().pid
        ticks = 100.0
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid, parent = int(folder.name), int(status["PPid"])
            peak_GB = int(status.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e9
            if pid == own:
                self.parent_GB = max(self.parent_GB, peak_GB)
            elif parent == own:
                self.worker_GB = max(self.worker_GB, peak_GB)
                self._cpu_s[pid] = (int(fields[11]) + int(fields[12])) / ticks


if __name__ == "__main__":
    main()
