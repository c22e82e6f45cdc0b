"""What a whole fleet comes to: how many images of which verdict, what is wrong, which chains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..showing.document import Document, headed
from ..showing.findings import finding_document
from ..text import counted
from .lineage import Chains, Lineage

VERDICTS = ("clean", "warnings", "corrupt", "not-vhdx", "failed")

NO_CHAINS = Chains(0, 0, [])


def summarize(records: Iterable[Document]) -> Document:
    """Return what records of images come to, and the chains that the images make up.

    Nothing is read but the records. The document is what
    `vhdx_kaitai/schemas/scan-summary.json` says.

    Args:
        records: What `scan` yields; of several for one path the last one counts for chains.
    """
    summary = Summary()
    for record in records:
        summary.add(record)
    return summary.document(summary.chains())


class Summary:
    """Counts records as they come, and keeps what chains are made of."""

    def __init__(self) -> None:
        self._lineage = Lineage()
        self._verdicts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    def add(self, record: Document) -> None:
        """Take a record."""
        self._lineage.add(record)
        self._verdicts[record["verdict"] or "failed"] += 1
        if record["error_type"] is not None:
            self._errors[record["error_type"]] += 1
        broken = {one["rule"] for one in record["findings"] if one["level"] != "note"}
        self._rules.update(sorted(broken))  # the order of a set is never the same
        for name in ("file_size", "virtual_disk_size"):
            self._sizes[name] += record[name] or 0

    def __str__(self) -> str:
        images = self._verdicts.total()
        bad = images - self._verdicts["clean"]
        return f"{counted(images, 'image')}, {bad} of them not clean"

    def chains(self) -> Chains:
        """Return what the images are to each other."""
        return self._lineage.chains()

    def document(self, chains: Chains = NO_CHAINS) -> Document:
        """Return the summary.

        Args:
            chains: What `chains` has returned, when that matters.
        """
        told = [{"path": path, **finding_document(finding)} for path, finding in chains.findings]
        return headed(
            images=self._verdicts.total(),
            verdicts={verdict: self._verdicts[verdict] for verdict in VERDICTS},
            errors=dict(self._errors.most_common()),
            rules=dict(self._rules.most_common()),
            file_size=self._sizes["file_size"],
            virtual_disk_size=self._sizes["virtual_disk_size"],
            children=chains.children,
            whole=chains.whole,
            chain_findings=told,
        )
