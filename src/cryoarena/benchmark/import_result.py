"""Write a result folder from what an outside program left."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryoarena.benchmark.run_cell import outcome_of, versions
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, read_json, require_empty_output
from cryoarena.methods.base import methods
from cryoarena.methods.external.external_method import ImportableMethod
from cryoarena.methods.external.run_program import ProgramFailed
from cryoarena.methods.result_folder import write_arrays
from cryoarena.methods.result_info import write_info
from cryoarena.options import as_json, parse_options
from cryoarena.particles.dataset_folder import open_particles


def import_result(
    name: str,
    source: Path,
    dataset_folder: Path,
    out: Path,
    given_options: dict[str, str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Read what a program left, as a result of the method `name`, and return what result.json says.

    Raises:
        UserError: for wrong names, options or folders; nothing is written then.
    """
    method = methods.get(name)
    if not isinstance(method, ImportableMethod):
        importable = [other for other, entry in methods.all().items() if isinstance(entry, ImportableMethod)]
        raise UserError(f"{name} is built in and has nothing to import; choose {', '.join(importable)}")
    if method.reads_file and not source.is_file():
        raise UserError(f"{source} is no file; give the table that the program wrote")
    if not method.reads_file and not source.is_dir():
        raise UserError(f"{source} is no folder; give the output folder of the program")
    options = parse_options(method.import_options, given_options or {})
    method = method.method_of(source.absolute(), options)
    dataset_info = read_json(dataset_folder / "dataset.json")
    particles = open_particles(dataset_folder)
    require_empty_output(out, overwrite, [dataset_folder, source])
    started = time.perf_counter()
    with atomic_path(out) as temporary:
        temporary.mkdir()
        try:
            reconstruction = method.read(source.absolute(), particles, options)
            write_arrays(temporary, reconstruction, particles)
        except ProgramFailed as error:
            raise UserError(f"{source} gives no maps: {error}") from error
        info = {
            "method": asdict(method.card),
            "imported": True,
            "options": {"given": given_options or {}, "resolved": as_json(options)},
            "dataset": {"name": dataset_info["name"], "id": dataset_info["id"]},
            "versions": versions(),
            "import_s": time.perf_counter() - started,
            **outcome_of(reconstruction),
        }
        write_info(temporary, info)
    return info
