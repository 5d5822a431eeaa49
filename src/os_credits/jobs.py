"""What one copy of the service does by itself: its jobs, the lines it watches, its channels."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from os_credits.collect.portal import Portal
from os_credits.domain.mail import Addressing, Channel, Language
from os_credits.flows import book, deliver, forecast, invitations, notice, overview
from os_credits.flows import closing as ends
from os_credits.flows.clock import Clock, Job
from os_credits.flows.day_sums import DaySums
from os_credits.flows.keys import KeyRing
from os_credits.flows.lots import pass_time_if_due
from os_credits.flows.notice import Watch
from os_credits.flows.portal import PortalFollower
from os_credits.flows.rate import Rater
from os_credits.flows.rate_clock import RatingClock
from os_credits.flows.registry import Registry
from os_credits.flows.retain import Kept, retain
from os_credits.flows.rounds import Promises, Rounds
from os_credits.flows.seal import Sealer
from os_credits.flows.sources import Reporter
from os_credits.flows.stats import Stats
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.notify.outlet import MailOutlet, Outlet
from os_credits.notify.portal_form import PortalForm
from os_credits.notify.webhook import Webhook
from os_credits.notify.wording import Wording
from os_credits.rating.judgement import AcceptanceWindow
from os_credits.settings import Settings
from os_credits.store.pool import Pool

REFRESH_SECONDS = 60.0
RETAIN_SECONDS = 600.0
# It rests longer where it has much to do.
DAY_SUMS_SECONDS = 5.0
PORTAL_SECONDS = 10.0
GIVE_UP_SECONDS = 600.0
REPORT_SECONDS = 10.0
ROUNDS_SECONDS = 600.0


def jobs_of(
    settings: Settings, pool: Pool, stats: Stats, registry: Registry, window: AcceptanceWindow
) -> list[Job]:
    """List what this copy does by itself; where it only serves, it learns of changed meters."""

    async def refresh() -> int:
        await registry.refresh(pool)
        return 0

    jobs = [Job("refresh", REFRESH_SECONDS, refresh)]
    if settings.endpoints_only:
        return jobs
    watch = watch_of(settings)
    rater = Rater(pool, stats, window_ms=window.past_ms, samples_max=settings.rate_samples_max)
    rating = RatingClock(rater, samples_max=settings.rate_samples_max)
    grace = timedelta(seconds=settings.grace_period_seconds)
    kept = Kept(samples=_days(settings.samples_kept_days), usage=_days(settings.usage_kept_days))
    jobs += [
        Job("rate", settings.rate_interval_seconds, rating.run),
        Job(
            "book",
            settings.book_interval_seconds,
            lambda: book.book_if_due(pool, rater, stats, grace=grace),
        ),
        Job(
            "lots",
            settings.book_interval_seconds,
            lambda: pass_time_if_due(pool, rater, watch),
            again_if_busy=True,
        ),
        Job(
            "closing",
            settings.notice_interval_seconds,
            lambda: ends.tell(pool, watch.addressing),
        ),
        Job("seal", settings.book_interval_seconds, Sealer(pool, rater, grace=grace).run),
        Job("forecast", settings.forecast_interval_seconds, lambda: forecast.run(pool)),
        Job("day_sums", DAY_SUMS_SECONDS, DaySums(pool).run),
        Job("retain", RETAIN_SECONDS, lambda: retain(rater, kept), again_if_busy=True),
        Job(
            "prune_logins",
            RETAIN_SECONDS,
            lambda: invitations.prune(pool, idle=timedelta(hours=settings.session_hours)),
        ),
        Job("figures", settings.notice_interval_seconds, lambda: overview.refresh(pool)),
        Job(
            "notice",
            settings.notice_interval_seconds,
            lambda: notice.check(pool, watch),
        ),
    ]
    jobs += _deliveries(settings, pool)
    if settings.portal_url:
        jobs.append(_portal_job(settings, pool, watch))
    return jobs


def reporting(pool: Pool, stats: Stats, ring: KeyRing, clock: Clock, rounds: Rounds) -> list[Job]:
    """List what every copy does for those who look after the service."""
    reporter = Reporter(pool, stats.sources, ring, clock.tasks)
    return [
        Job("report", REPORT_SECONDS, reporter.run),
        Job("rounds", ROUNDS_SECONDS, rounds.look_closely),
    ]


def promises_of(settings: Settings) -> Promises:
    """Say by what the database, and what surrounds the service, are judged."""
    return Promises(
        allow_unsafe=settings.allow_unsafe_database,
        ahead_seconds_max=settings.acceptance_ahead_seconds,
        sends_mail=bool(settings.mail_host),
        asks_portal=bool(settings.portal_url),
    )


def _portal_job(settings: Settings, pool: Pool, watch: Watch) -> Job:
    """Look for projects to ask the portal about; each is asked once in the poll interval."""
    interval = settings.portal_poll_interval_seconds
    key = settings.portal_key.get_secret_value()
    follower = PortalFollower(
        pool,
        lambda: Portal(settings.portal_url, key),
        watch,
        interval=timedelta(seconds=interval),
    )
    return Job("portal", min(PORTAL_SECONDS, interval), follower.run, again_if_busy=True)


def watch_of(settings: Settings) -> Watch:
    """Say which lines are watched."""
    addressing = Addressing(
        message_id_domain=letterhead_of(settings).domain,
        digest_hour=settings.digest_hour,
        webhook=bool(settings.webhook_url),
        portal=bool(settings.portal_limit_url),
    )
    return Watch(settings.lines, addressing)


def _days(count: int) -> timedelta | None:
    """Give a time to keep something; 0 days stand for ever."""
    return timedelta(days=count) if count else None


def letterhead_of(settings: Settings) -> Letterhead:
    """Say what is the same in every mail; Misconfigured for addresses or templates that cannot be.

    The templates are read from their folder each time.
    """
    return Letterhead(
        sender=settings.mail_from,
        copies=tuple(settings.mail_cc),
        public_url=settings.public_url,
        precision=settings.precision,
        override=settings.mail_override_address,
        language=Language(settings.mail_language),
        wording=Wording(settings.mail_template_folder),
    )


def _mailer_of(settings: Settings) -> SmtpMailer:
    return SmtpMailer(
        host=settings.mail_host,
        port=settings.mail_port,
        tls=settings.mail_tls,
        user=settings.mail_user,
        password=settings.mail_password.get_secret_value(),
        timeout_seconds=settings.mail_timeout_seconds,
    )


def outlets_of(settings: Settings) -> list[Outlet]:
    """List the channels that are set up."""
    outlets: list[Outlet] = []
    seconds = settings.mail_timeout_seconds
    if settings.mail_host:
        outlets.append(MailOutlet(_mailer_of(settings), letterhead_of(settings)))
    if settings.webhook_url:
        secret = settings.webhook_secret.get_secret_value()
        outlets.append(Webhook(settings.webhook_url, secret, time.time, seconds))
    if settings.portal_limit_url:
        key = settings.portal_key.get_secret_value()
        outlets.append(PortalForm(settings.portal_limit_url, key, seconds))
    return outlets


def _deliveries(settings: Settings, pool: Pool) -> list[Job]:
    """List a job for each channel, so that none waits for another, and one that gives up."""

    def sender(outlet: Outlet) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            done = await deliver.deliver(pool, outlet, attempts_max=settings.mail_attempts_max)
            return done.sent_count

        return run

    jobs = [Job("give_up", GIVE_UP_SECONDS, lambda: deliver.give_up(pool))]
    for outlet in outlets_of(settings):
        name = "deliver" if outlet.channel is Channel.MAIL else f"deliver_{outlet.channel}"
        jobs.append(Job(name, settings.deliver_interval_seconds, sender(outlet)))
    if settings.sends_links:
        mailer, letterhead = _mailer_of(settings), letterhead_of(settings)
        jobs.append(
            Job(
                "invite",
                settings.deliver_interval_seconds,
                lambda: invitations.deliver_invitations(
                    pool, mailer, letterhead, attempts_max=settings.mail_attempts_max
                ),
            )
        )
    return jobs
