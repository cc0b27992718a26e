"""Turn a suite into the plan of its jobs; everything that can be wrong with a suite is found here."""

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cryoarena.benchmark.code_version import code_version
from cryoarena.benchmark.plan import Asks, Job, Plan, key_of
from cryoarena.benchmark.suite import Suite, SuiteDataset, SuiteMethod
from cryoarena.benchmark.suite_orders import as_given, order_of
from cryoarena.datasets.base import datasets
from cryoarena.datasets.model_list import read_models
from cryoarena.errors import UserError
from cryoarena.files import read_json, sha256_of
from cryoarena.methods.base import Method, Resources, methods
from cryoarena.methods.external.external_method import ExternalMethod
from cryoarena.metrics.base import metrics
from cryoarena.options import as_json, parse_options
from cryoarena.particles.dataset_folder import open_particles

# What other jobs than runs take, for whole data sets; generous.
_MAKING = Resources(threads=16, memory_GB=4.0, memory_GB_per_megavoxel=0.5, minutes=30.0, minutes_per_gigapixel=60.0)
_JUDGING = Resources(memory_GB=4.0, memory_GB_per_megavoxel=2.0, minutes=60.0, minutes_per_gigapixel=240.0)


@dataclass(frozen=True)
class _Size:
    images: int
    box_px: int

    def asks(self, resources: Resources, threads: int | None = None, gpus: int = 0) -> Asks:
        """Return what a job on a data set of this size asks for."""
        gigapixels, megavoxels = self.images * self.box_px**2 / 1e9, self.box_px**3 / 1e6
        return Asks(
            resources.threads if threads is None else threads,
            round(1000 * (resources.memory_GB + resources.memory_GB_per_megavoxel * megavoxels)),
            round(resources.minutes + resources.minutes_per_gigapixel * gigapixels),
            gpus,
        )


def make_plan(suite: Suite, file: Path, signature: str) -> Plan:
    """Return the plan of a suite.

    Args:
        suite: as read.
        file: that it was read from, for what is said to the user.
        signature: kept in the plan.

    Raises:
        UserError: naming the file and the entry, for a name, an option or a number that is wrong.
    """
    _require_own_labels(suite, file)
    chosen = _metrics(suite, file)
    tools = [{"name": tool.name, "program": tool.program, "found": _is_found(tool)} for tool in _tools(suite, file)]
    jobs: list[Job] = []
    for data_number, data_entry in enumerate(suite.datasets):
        with _at(file, f"datasets[{data_number}]"):
            data, size = _data_job(data_entry)
        limits = _limits_job(data, size)
        runs = []
        for number, entry in enumerate(suite.methods):
            with _at(file, f"methods[{number}]"):
                seeds = [] if _is_left_out(entry) else entry.seeds or suite.seeds or [0]
                runs += [_run_job(data, size, entry, seed) for seed in seeds]
        scores = [_score_job(run, limits, size, chosen) for run in runs]
        jobs += [data, limits, *runs, *scores]
    by_identity: dict[str, Job] = {}
    for job in jobs:
        if (other := by_identity.setdefault(job.identity, job)) is not job:
            raise UserError(f"{file}: {other.label} and {job.label} are the same but for their names; leave one out")
    scores = [job for job in jobs if job.kind == "score"]
    needs = tuple(job.identity for job in scores)
    report = Job("report", key_of([code_version("report"), sorted(needs)]), "report", "", needs)
    return Plan(file.stem, signature, {**by_identity, report.identity: report}, chosen, tools)


def _require_own_labels(suite: Suite, file: Path) -> None:
    data = [entry.label or entry.name or Path(str(entry.folder)).name for entry in suite.datasets]
    for key, labels in (("datasets", data), ("methods", [entry.label or entry.name for entry in suite.methods])):
        for number, label in enumerate(labels):
            if label in labels[:number]:
                raise UserError(
                    f"{file}: {key}[{number}]: a second one is called {label!r}; give it a label of its own"
                )


def _metrics(suite: Suite, file: Path) -> dict[str, dict[str, Any]]:
    with _at(file, "metrics"):
        names = (
            list(metrics.all()) if suite.metrics is None else sorted({metrics.get(m).card.name for m in suite.metrics})
        )
    cards = [metrics.get(name).card for name in names]
    return {card.name: {"version": card.version, "direction": card.direction} for card in cards}


def _data_job(entry: SuiteDataset) -> tuple[Job, _Size]:
    if entry.folder is not None:
        info = read_json(Path(entry.folder) / "dataset.json")
        label, decides = entry.label or Path(entry.folder).name, [info["id"]]
        particles = open_particles(Path(entry.folder))
        size = _Size(len(particles), particles.box_px)
    else:
        order = order_of(entry)
        settings = order.settings()
        recipe = datasets.get(order.name)
        options = parse_options(recipe.options, order.options)
        given = order.given
        models = None if given.models is None else read_models(given.models)
        files = [given.structure, given.topology, given.trajectory, order.ctf, *(models[0] if models else ())]
        label, size = entry.label or order.name, _Size(settings.images, settings.box_px)
        numbers = asdict(settings)
        if Path(settings.realism.noise).is_file():
            numbers["realism"]["noise"] = _content(Path(settings.realism.noise))
        decides = [order.name, numbers, _recorded(options), list(map(_content, files))]
        decides.append(models and models[1])
        decides += [code_version("data"), _own_code(recipe)]
    key = key_of(decides)
    work = entry.model_dump(exclude_defaults=True)
    return Job("data", key, label, f"data/{label}-{key}", work=work, asks=size.asks(_MAKING)), size


def _limits_job(data: Job, size: _Size) -> Job:
    versions = {name: metric.card.version for name, metric in metrics.all().items()}
    key = key_of([data.key, versions, code_version("limits")])
    folder = f"{data.folder}/truth/limits"
    return Job("limits", key, data.label, folder, (data.identity,), asks=size.asks(_JUDGING))


def _run_job(data: Job, size: _Size, entry: SuiteMethod, seed: int) -> Job:
    method = methods.get(entry.name)
    given = as_given(entry.options)
    options = parse_options(method.options, given)
    decides = [data.key, entry.name, _recorded(options), seed, entry.device, code_version("run"), _own_code(method)]
    if isinstance(method, ExternalMethod):
        # What could not run for want of its program is run once it is installed.
        decides.append(_is_found(method.tool))
    key = key_of(decides)
    name = entry.label or entry.name
    gpus = int(entry.device == "cuda" or method.card.needs_gpu)
    work = {
        "method": asdict(method.card),
        "options": {"given": given, "resolved": as_json(options)},
        "dataset": {"name": data.label, "id": data.key},
        "seed": seed,
        "device": entry.device,
    }
    return Job(
        "run",
        key,
        f"{data.label} {name} seed {seed}",
        f"results/{data.label}-{data.key}/{name}-seed{seed}-{key}",
        (data.identity,),
        work,
        size.asks(method.card.resources, getattr(options, "threads", None), gpus),
    )


def _score_job(run: Job, limits: Job, size: _Size, chosen: dict[str, dict[str, Any]]) -> Job:
    key = key_of([run.key, limits.key, chosen, code_version("score")])
    # A program that cannot do without a GPU may need it for the maps that are judged, too.
    gpus = run.asks.gpus if run.work["method"]["needs_gpu"] else 0
    asks = size.asks(_JUDGING, gpus=gpus)
    return Job("score", key, run.label, run.folder, (run.identity, limits.identity), asks=asks)


def _tools(suite: Suite, file: Path) -> list[Any]:
    found = {}
    for number, entry in enumerate(suite.methods):
        with _at(file, f"methods[{number}]"):
            method = methods.get(entry.name)
        if isinstance(method, ExternalMethod):
            found[method.tool.name] = method.tool
    return list(found.values())


def _is_found(tool: Any) -> bool:
    return tool.find() is not None


def _is_left_out(entry: SuiteMethod) -> bool:
    method = methods.get(entry.name)
    return entry.if_installed and isinstance(method, ExternalMethod) and not _is_found(method.tool)


def _recorded(options: Any) -> dict[str, Any]:
    """Return resolved options, a file by its content."""
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: _content(value) if isinstance(value, Path) else value for name, value in values.items()}


def _content(path: Path | None) -> str | None:
    """Return what tells a file from another.

    Raises:
        UserError: when there is no such file.
    """
    if path is not None and not path.is_file():
        raise UserError(f"{path} {'is a folder, not a file' if path.exists() else 'does not exist'}")
    return None if path is None else sha256_of(path)


def _own_code(entry: Method[Any] | Any) -> str:
    """Return a hash of the file in which an entry is defined: what is not in this package has no other version."""
    file = inspect.getsourcefile(type(entry))
    return "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()


@contextmanager
def _at(file: Path, key: str) -> Iterator[None]:
    """Name the file and the key in what is said to the user."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{file}: {key}: {error}") from error
