"""Time buckets of the metrics endpoint, in UTC: pure arithmetic on milliseconds."""

from datetime import UTC, datetime, timedelta

from sandbox.langfuse.instants import wire

GRANULARITIES = ["auto", "minute", "hour", "day", "week", "month"]


def automatic(span_ms: int) -> str:
    """A granularity that gives a readable number of buckets for this span."""
    hours = span_ms / 3_600_000
    steps = (("minute", 2), ("hour", 72), ("day", 24 * 60), ("week", 24 * 365))
    return next((name for name, most in steps if hours <= most), "month")


def floor(instant_ms: int, granularity: str) -> int:
    """The start of the bucket that this instant falls into."""
    moment = datetime.fromtimestamp(instant_ms // 1000, UTC).replace(second=0)
    if granularity != "minute":
        moment = moment.replace(minute=0)
    if granularity not in ("minute", "hour"):
        moment = moment.replace(hour=0)
    if granularity == "week":
        moment -= timedelta(days=moment.weekday())
    if granularity == "month":
        moment = moment.replace(day=1)
    return int(moment.timestamp()) * 1000


def following(bucket_ms: int, granularity: str) -> int:
    """The start of the next bucket."""
    days = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 32}[granularity]
    return floor(bucket_ms + round(days * 86_400_000), granularity)


def bucket_text(bucket_ms: int, granularity: str) -> str:
    """A bucket as answers name it: a date, or an instant below a day."""
    return wire(bucket_ms) if granularity in ("minute", "hour") else wire(bucket_ms)[:10]
