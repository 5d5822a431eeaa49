"""The JSON of `os-credits notices preview`."""

from __future__ import annotations

from datetime import datetime

from os_credits.api.shapes import CreditsText, NumberText, ProjectShape, Shape
from os_credits.domain.threshold import LineKind
from os_credits.flows.preview import Preview


class LineShape(Shape):
    """A line in the unit of its kind."""

    kind: LineKind
    line: NumberText


class PreviewNoticeShape(Shape):
    """A notice that would have been written; `mails` counts those that would have left at once."""

    created_at: datetime
    project: ProjectShape
    kind: LineKind
    line: NumberText
    from_line: NumberText | None
    value: NumberText | None
    also: list[LineShape]
    balance: CreditsText
    granted: CreditsText
    mails: int


class PreviewShape(Shape):
    """What lines would have caused between two moments.

    `projects` counts those that were looked at, `left_out` those of them whose lines of days and
    burn were not; `digests` are mails of all that happened to someone's projects within a day.
    """

    start: datetime
    end: datetime
    projects: int
    mails: int
    digests: int
    left_out: int
    notices: list[PreviewNoticeShape]


def preview_shape(found: Preview) -> PreviewShape:
    """Shape a preview."""
    return PreviewShape(
        start=found.start,
        end=found.end,
        projects=found.project_count,
        mails=found.mail_count,
        digests=found.digest_count,
        left_out=found.left_out_count,
        notices=[
            PreviewNoticeShape(
                created_at=one.notice.created_at,
                project=ProjectShape.model_validate(one.project),
                kind=one.notice.draft.line.kind,
                line=one.notice.draft.line.value,
                from_line=one.notice.draft.from_line,
                value=one.notice.draft.value,
                also=[LineShape(kind=line.kind, line=line.value) for line in one.notice.draft.also],
                balance=one.notice.facts.balance,
                granted=one.notice.facts.granted,
                mails=one.mail_count,
            )
            for one in found.notices
        ],
    )
