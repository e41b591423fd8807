# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person should be told about a result that may disappoint: the likely cause, and what mends it."""

from __future__ import annotations

from blockcore.report.summary import Summary, ViewSummary

_POOR = 12.0  # dB; pictures of something else reach about 10, models in a light of their own 16 to 20
_UNSURE = 0.3  # of the visible blocks


def warnings_of(summary: Summary) -> list[str]:
    """Returns one sentence for each thing that is wrong with a result; none for a good one."""
    if not summary.visible_blocks:
        return ["No camera sees a block; move the cameras, or use Add Orbit Cameras"]
    poor = [view for view in summary.views if _is_poor(view)]
    said = []
    if poor and len(poor) == len(summary.views):
        said.append(
            "The blocks look little like the pictures; the cameras may stand elsewhere than those of the pictures, or "
            "the light is another: try Light, Lighting: Fitted under Advanced"
        )
    elif poor:
        names = ", ".join(view.name for view in poor[:3]) + ", …" * (len(poor) > 3)
        said.append(f"What {names} shows is not in its picture; check that camera, or tick it off under Views")
    if summary.psnr_after is not None and (summary.psnr_before is None or summary.psnr_after < summary.psnr_before):
        said.append("The pictures match less than before, as rules or smoothness ask; allow more materials to mend it")
    if summary.unsure_blocks > _UNSURE * summary.visible_blocks:
        said.append(
            f"{summary.unsure_blocks:,} blocks would look nearly the same in another material; use larger pictures or "
            "more cameras, or fewer materials that look alike"
        )
    return said


def _is_poor(view: ViewSummary) -> bool:
    return view.psnr_after is not None and view.psnr_after < _POOR
