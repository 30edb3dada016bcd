"""The tables of a release after its proposal: what people ordered, where it stands, and what production said of it."""

import sqlalchemy as sa

from deploy.store.columns import AnyText, JsonText, Moment
from deploy.store.schema import metadata as metadata

# the text that a person made of a candidate in a pull request; it is released in the candidate's stead
release_text = sa.Table(
    "release_text",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("revision", sa.String, primary_key=True),
    sa.Column("body", AnyText, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

# what a person told a release, or a prompt, to do; handled once, in order
release_order = sa.Table(
    "release_order",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("prompt", sa.String, nullable=False, index=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("argument", JsonText, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("why", AnyText, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("handled_at", Moment),
    sa.Column("outcome", AnyText, nullable=False),
)

# nothing moves forward while a row stands; the empty prompt is all of them
freeze = sa.Table(
    "freeze",
    metadata,
    sa.Column("prompt", sa.String, primary_key=True),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("why", AnyText, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

pull_request = sa.Table(
    "pull_request",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("branch", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("checked_at", Moment, nullable=False),
)

# who is shown which version now; what the evaluation endpoint answers from
split = sa.Table(
    "split",
    metadata,
    sa.Column("prompt", sa.String, primary_key=True),
    sa.Column("salt", sa.String, nullable=False),
    sa.Column("bands", JsonText, nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
)

exposure = sa.Table(
    "exposure",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("trace_id", sa.String, primary_key=True),
    sa.Column("unit", sa.String, nullable=False, index=True),
    sa.Column("place", sa.Float, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Column("latency_s", sa.Float),
    sa.Column("cost_usd", sa.Float),
)

exposure_score = sa.Table(
    "exposure_score",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("score_id", sa.String, primary_key=True),
    sa.Column("trace_id", sa.String, nullable=False),
    sa.Column("worth", sa.Float, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

look = sa.Table(
    "look",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("at", Moment, primary_key=True),
    sa.Column("numbers", JsonText, nullable=False),
)

# an edit that a person refused or that production took back, with the words that were said of it
refused_edit = sa.Table(
    "refused_edit",
    metadata,
    sa.Column("prompt_id", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("edit_id", sa.String, primary_key=True),
    sa.Column("because", sa.String, nullable=False),
    sa.Column("words", AnyText, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("at", Moment, nullable=False),
)
