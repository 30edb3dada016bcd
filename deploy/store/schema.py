"""Every table of ours, in the order things flow. `migrations/` builds them; a test keeps the two equal.

What strangers wrote (inputs, outputs, comments, corrections), and every model reply that may repeat it, is in
`source_text` and nowhere else; other tables hold its ids, and `derivation` says what was made from it. Erasing a person
means deleting rows of one table and following one index.
"""

from datetime import datetime

import sqlalchemy as sa

from deploy.store.columns import AnyText, JsonText, Moment

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True)


def _place(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _moment(name: str) -> sa.Column[datetime]:
    return sa.Column(name, Moment, nullable=False)


# ---- what production said ------------------------------------------------------------------------------------------

source_text = sa.Table(
    "source_text",
    metadata,
    _key("id"),
    _text("kind"),
    sa.Column("text", AnyText, nullable=False),
    sa.Column("source_key", sa.String, nullable=False, index=True),
    _moment("created_at"),
)

derivation = sa.Table(
    "derivation",
    metadata,
    _key("derived_kind"),
    _key("derived_id"),
    _key("text_id"),
    sa.Index("ix_derivation_text_id", "text_id"),
)

generation = sa.Table(
    "generation",
    metadata,
    _key("id"),
    sa.Column("trace_id", sa.String, nullable=False, index=True),
    _text("prompt_name"),
    sa.Column("prompt_version", sa.Integer, nullable=False),
    _text("environment"),
    _moment("at"),
    _text("input_id"),
    _text("output_id"),
    _text("model"),
    _text("source_key"),
    sa.Column("tags", JsonText, nullable=False),
    _moment("read_at"),
    sa.Index("ix_generation_prompt_name_prompt_version_at", "prompt_name", "prompt_version", "at"),
)

# exactly one of number, flag and value_id is set, by the type of the score's value
score = sa.Table(
    "score",
    metadata,
    _key("id"),
    _text("name"),
    _text("kind"),
    sa.Column("number", sa.Float),
    sa.Column("flag", sa.Boolean),
    sa.Column("value_id", sa.String),
    _text("comment_id"),
    sa.Column("trace_id", sa.String, nullable=False, index=True),
    _text("observation_id"),
    _text("environment"),
    _moment("at"),
    _moment("updated_at"),
)

# scope: digest of what was asked for; an owner who asks for something else wants it from the beginning
poll = sa.Table("poll", metadata, _key("project"), _key("prompt"), _moment("watermark"), _text("scope"))

waiting_score = sa.Table(
    "waiting_score", metadata, _key("project"), _key("prompt"), _key("score_id"), _moment("deadline")
)

limiter = sa.Table("limiter", metadata, _key("bucket"), _moment("next_allowed_at"))

# ---- what we did about it ------------------------------------------------------------------------------------------

cycle = sa.Table(
    "cycle",
    metadata,
    _key("id"),
    sa.Column("prompt", sa.String, nullable=False, index=True),
    _text("slot"),
    _text("state"),
    sa.Column("reason", AnyText, nullable=False),
    sa.Column("parent_version", sa.Integer, nullable=False),
    _text("candidate_id"),
    _text("verdict"),
    _moment("started_at"),
    sa.Column("ended_at", Moment),
    sa.Column("secret", sa.LargeBinary, nullable=False),
)

cycle_event = sa.Table(
    "cycle_event",
    metadata,
    _key("cycle_id"),
    _place("number"),
    _text("state"),
    sa.Column("reason", AnyText, nullable=False),
    _moment("at"),
)

gradient = sa.Table(
    "gradient",
    metadata,
    _key("cycle_id"),
    _key("id"),
    sa.Column("position", sa.Integer, nullable=False),
    _text("generation_id"),
    sa.Column("score_ids", JsonText, nullable=False),
    sa.Column("n_prompts", sa.Integer, nullable=False),
    _text("loss_kind"),
    _text("loss_id"),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("warrants_change", sa.Boolean, nullable=False),
    sa.Column("text", AnyText, nullable=False),
)

cause = sa.Table(
    "cause",
    metadata,
    _key("cycle_id"),
    _key("id"),
    sa.Column("position", sa.Integer, nullable=False),
    _text("label"),
    sa.Column("summary", AnyText, nullable=False),
    sa.Column("gradient_ids", JsonText, nullable=False),
)

edit = sa.Table(
    "edit",
    metadata,
    _key("cycle_id"),
    _key("candidate_id"),
    _place("position"),
    _text("id"),
    _text("op"),
    _text("line"),
    sa.Column("text", AnyText, nullable=False),
    sa.Column("reason", AnyText, nullable=False),
    _text("cause_id"),
)

candidate = sa.Table(
    "candidate",
    metadata,
    _key("cycle_id"),
    _key("id"),
    _text("prompt"),
    sa.Column("parent_version", sa.Integer, nullable=False),
    sa.Column("parent_body", AnyText, nullable=False),
    sa.Column("parent_config", AnyText, nullable=False),
    sa.Column("parent_labels", JsonText, nullable=False),
    sa.Column("parent_commit_message", AnyText, nullable=False),
    sa.Column("body", AnyText, nullable=False),
    _moment("created_at"),
)

refusal = sa.Table(
    "refusal",
    metadata,
    _key("cycle_id"),
    _key("kind"),
    _key("reason"),
    sa.Column("count", sa.Integer, nullable=False),
)

gate_report = sa.Table(
    "gate_report",
    metadata,
    _key("cycle_id"),
    _text("candidate_id"),
    _text("verdict"),
    sa.Column("numbers", JsonText, nullable=False),
    _moment("created_at"),
)

case_result = sa.Table(
    "case_result",
    metadata,
    _key("cycle_id"),
    _place("position"),
    _text("case_id"),
    _text("origin"),
    _text("source_key"),
    sa.Column("tags", JsonText, nullable=False),
    sa.Column("text_ids", JsonText, nullable=False),
    sa.Column("baseline", JsonText, nullable=False),
    sa.Column("candidate", JsonText, nullable=False),
    sa.Column("part", sa.String, nullable=False, server_default="screen"),
    sa.Column("recorded_at", Moment),
)

release = sa.Table(
    "release",
    metadata,
    _key("run_id"),
    _text("cycle_id"),
    sa.Column("prompt", sa.String, nullable=False, index=True),
    _text("candidate_id"),
    _text("state"),
    sa.Column("reason", AnyText, nullable=False),
    sa.Column("base_version", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("expires_at"),
    sa.Column("policy", sa.String, nullable=False, server_default="propose"),
    sa.Column("approver", sa.String, nullable=False, server_default=""),
    # fixed when its canary opens, null before
    sa.Column("plan", JsonText),
    # how far production was read for it
    sa.Column("watched_until", Moment),
)

release_event = sa.Table(
    "release_event",
    metadata,
    _key("run_id"),
    _place("number"),
    _text("state"),
    sa.Column("reason", AnyText, nullable=False),
    _moment("at"),
    sa.Column("actor", sa.String, nullable=False, server_default="tracegrad"),
    sa.Column("evidence", JsonText, nullable=False, server_default="{}"),
)

# ---- what may be claimed -------------------------------------------------------------------------------------------

# every name that a prompt has had; what follows is kept by the id, which outlives a rename
prompt_name = sa.Table(
    "prompt_name", metadata, _key("name"), sa.Column("prompt_id", sa.String, nullable=False, index=True)
)

# a ledger counts the days on which something happened; its day is the number of these rows
ledger_day = sa.Table("ledger_day", metadata, _key("prompt_id"), sa.Column("date", sa.Date, primary_key=True))

# append-only; `left_after` is what remained of the budget once this stake was taken
stake = sa.Table(
    "stake",
    metadata,
    _key("ledger"),
    _key("release_id"),
    sa.Column("prompt_id", sa.String, nullable=False, index=True),
    _text("candidate"),
    sa.Column("stake", sa.Float, nullable=False),
    sa.Column("budget", sa.Float, nullable=False),
    sa.Column("left_after", sa.Float, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    _moment("at"),
)

# drawn: its place among the cases that were drawn for a claim; empty for one that was only looked at
case_use = sa.Table(
    "case_use",
    metadata,
    _key("prompt_id"),
    _key("case_id"),
    _key("gate_id"),
    sa.Column("drawn", sa.Integer),
    _moment("at"),
)

agreement = sa.Table(
    "agreement",
    metadata,
    _key("prompt_id"),
    _key("judge"),
    _key("score_id"),
    sa.Column("human", sa.Float, nullable=False),
    sa.Column("judged", sa.Float, nullable=False),
    _moment("at"),
)

# ---- what keeps it alive -------------------------------------------------------------------------------------------

# outcome: empty while the call is in flight, "reply", or the name of the BadReply class that came back
journal = sa.Table(
    "journal",
    metadata,
    _key("cycle_id"),
    _key("key"),
    sa.Column("attempt", sa.Integer, nullable=False),
    _text("purpose"),
    _text("model"),
    _text("outcome"),
    _text("reply_id"),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("input_tokens", sa.Integer, nullable=False),
    sa.Column("output_tokens", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Float),
    _text("unpriced"),
    _moment("at"),
)

# sums over the journal's rows of a cycle: asking the budget must not cost more with every call that was made
journal_total = sa.Table(
    "journal_total",
    metadata,
    _key("cycle_id"),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("dearest_usd", sa.Float, nullable=False),
    sa.Column("in_flight", sa.Integer, nullable=False),
)

effect = sa.Table("effect", metadata, _key("cycle_id"), _key("key"), sa.Column("result", JsonText), _moment("at"))

# `until` is in seconds since 1970 by the database's clock: machines' own clocks differ
heartbeat = sa.Table(
    "heartbeat",
    metadata,
    _key("executor"),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
)

SPEND_VIEW = """
create view spend as
select j.cycle_id, c.prompt, j.purpose, j.model, sum(j.calls) as calls, sum(j.input_tokens) as input_tokens,
       sum(j.output_tokens) as output_tokens, coalesce(sum(j.cost_usd), 0.0) as cost_usd,
       sum(case when j.unpriced <> '' then 1 else 0 end) as unpriced, max(j.at) as last_at
from journal j join cycle c on c.id = j.cycle_id
group by j.cycle_id, c.prompt, j.purpose, j.model
"""

# read-only, and kept out of `metadata`, so that no migration ever takes it for a table
spend = sa.table(
    "spend",
    sa.column("cycle_id", sa.String),
    sa.column("prompt", sa.String),
    sa.column("purpose", sa.String),
    sa.column("model", sa.String),
    sa.column("calls", sa.Integer),
    sa.column("input_tokens", sa.Integer),
    sa.column("output_tokens", sa.Integer),
    sa.column("cost_usd", sa.Float),
    sa.column("unpriced", sa.Integer),
    sa.column("last_at", Moment),
)
