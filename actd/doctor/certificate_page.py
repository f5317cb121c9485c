"""The certificate as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from actd.doctor import certificate_table as cells
from actd.doctor.certificate import Certificate
from actd.report.formatting import flat
from actd.report.page import PageSection, Table, page


def certificate_page(certificate: Certificate) -> str:
    """The whole page as HTML text."""
    return page("actd bench --certify", cells.verdict(certificate), list(_sections(certificate)))


def _sections(certificate: Certificate) -> Iterator[PageSection]:
    phases = certificate.phases
    counts = [cells.counts(phase) for phase in phases]
    yield PageSection("Ticks", [Table(counts, cells.COUNTS)], _COUNTS_NOTE)
    rows = [row for phase in phases for row in cells.latencies(phase)]
    yield PageSection("Lateness", [Table(rows, cells.HEADER)], _LATENESS_NOTE)
    late = [row for phase in phases for row in cells.late_ticks(phase)]
    if late:
        yield PageSection("Late ticks", [Table(late, cells.LATE)])
    granted = list(certificate.granted.items())
    yield PageSection("Granted by the kernel", [Table(granted, numeric=False)])
    facts = [(name.strip("."), value) for name, value in flat(certificate.facts, "").items()]
    yield PageSection("Deployment and computer", [Table(facts, numeric=False)])


_COUNTS_NOTE = (
    "Clean and contended minutes alternate; contended: a busy process for each core. Late: handed "
    "to the socket more than half a period after its slot. A late tick is the computer's where a "
    "loop that does nothing, at the same priority and on the same core, stood still too, or the "
    "hypervisor had taken the processor; every other one counts against actd."
)
_LATENESS_NOTE = (
    "From the slot of a tick to the process (wake-up) and to the bytes in the socket. The bare "
    "loop wakes four times as often or more, so that no stall passes between two of its wake-ups; "
    "what it is late, the computer is. Percentiles are values that happened."
)
