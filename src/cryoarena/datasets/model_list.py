"""Which atomic models a user gives, and how many particles of each."""

from pathlib import Path

from cryoarena.errors import UserError

_SUFFIXES = (".pdb", ".cif", ".ent", ".mmcif", ".pdb.gz", ".cif.gz", ".ent.gz", ".mmcif.gz")


def read_models(path: Path) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    """Return the models of `--models` and, where they are given, the number of particles of each.

    Args:
        path: a folder, whose PDB and mmCIF files are taken in order of their names; or a text file with one model per
            line, relative to that file, and after it, on all lines or none, the number of particles.

    Raises:
        UserError: when there is no model, one is missing, or counts are not on every line.
    """
    if path.is_dir():
        found = tuple(sorted(file for file in path.iterdir() if file.name.lower().endswith(_SUFFIXES)))
        if not found:
            raise UserError(f"{path} holds no PDB or mmCIF file; --models takes a folder of models or a list of them")
        return found, ()
    models: list[Path] = []
    counts: list[int] = []
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no list of models; --models takes a folder of models or a text file") from error
    for number, words in enumerate(lines, start=1):
        if not words or words[0].startswith("#"):
            continue
        model = path.parent / words[0]
        if not model.is_file():
            raise UserError(f"{path}, line {number}: {model} does not exist")
        models.append(model)
        if len(words) > 1:
            if not words[1].isdigit() or int(words[1]) < 1:
                raise UserError(f"{path}, line {number}: {words[1]!r} is no number of particles")
            counts.append(int(words[1]))
    if not models:
        raise UserError(f"{path} names no model; write one path per line")
    if counts and len(counts) != len(models):
        raise UserError(f"{path}: {len(counts)} of {len(models)} models have a number of particles; give all or none")
    return tuple(models), tuple(counts)
