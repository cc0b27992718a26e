"""Tell how far passes over all images are."""

from collections.abc import Iterable, Iterator

from cryoarena.methods.batches import Batch
from cryoarena.progress import Report


class ImagePasses:
    """Counts the images of a known number of passes."""

    def __init__(self, report: Report, images: int, passes: int, done: int = 0) -> None:
        """Report of `passes` passes over `images` images each, of which `done` passes were made before."""
        self._report = report
        self._total = images * passes
        self._done = images * done

    def count(self, batches: Iterable[Batch], note: str) -> Iterator[Batch]:
        """Yield the batches; a batch counts when the next is asked for."""
        for batch in batches:
            yield batch
            self._done += len(batch.rows)
            self._report(self._done, self._total, note)
