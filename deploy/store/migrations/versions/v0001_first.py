"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SPEND_VIEW = """
create view spend as
select j.cycle_id, c.prompt, j.purpose, j.model, sum(j.calls) as calls, sum(j.input_tokens) as input_tokens,
       sum(j.output_tokens) as output_tokens, coalesce(sum(j.cost_usd), 0.0) as cost_usd,
       sum(case when j.unpriced <> '' then 1 else 0 end) as unpriced, max(j.at) as last_at
from journal j join cycle c on c.id = j.cycle_id
group by j.cycle_id, c.prompt, j.purpose, j.model
"""


def upgrade() -> None:
    """Build everything."""
    op.create_table(
        "candidate",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("parent_version", sa.Integer(), nullable=False),
        sa.Column("parent_body", sa.LargeBinary(), nullable=False),
        sa.Column("parent_config", sa.LargeBinary(), nullable=False),
        sa.Column("parent_labels", sa.Text(), nullable=False),
        sa.Column("parent_commit_message", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "id", name=op.f("pk_candidate")),
    )
    op.create_table(
        "case_result",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("text_ids", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "position", name=op.f("pk_case_result")),
    )
    op.create_table(
        "cause",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.Column("gradient_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "id", name=op.f("pk_cause")),
    )
    op.create_table(
        "cycle",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("parent_version", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycle")),
    )
    op.create_index(op.f("ix_cycle_prompt"), "cycle", ["prompt"], unique=False)
    op.create_table(
        "cycle_event",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "number", name=op.f("pk_cycle_event")),
    )
    op.create_table(
        "derivation",
        sa.Column("derived_kind", sa.String(), nullable=False),
        sa.Column("derived_id", sa.String(), nullable=False),
        sa.Column("text_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("derived_kind", "derived_id", "text_id", name=op.f("pk_derivation")),
    )
    op.create_index("ix_derivation_text_id", "derivation", ["text_id"], unique=False)
    op.create_table(
        "edit",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("candidate_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("op", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("cause_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "candidate_id", "position", name=op.f("pk_edit")),
    )
    op.create_table(
        "effect",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "key", name=op.f("pk_effect")),
    )
    op.create_table(
        "gate_report",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("candidate_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_gate_report")),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("prompt_name", sa.String(), nullable=False),
        sa.Column("prompt_version", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("input_id", sa.String(), nullable=False),
        sa.Column("output_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
    )
    op.create_index(
        "ix_generation_prompt_name_prompt_version_at",
        "generation",
        ["prompt_name", "prompt_version", "at"],
        unique=False,
    )
    op.create_index(op.f("ix_generation_trace_id"), "generation", ["trace_id"], unique=False)
    op.create_table(
        "gradient",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.String(), nullable=False),
        sa.Column("score_ids", sa.Text(), nullable=False),
        sa.Column("n_prompts", sa.Integer(), nullable=False),
        sa.Column("loss_kind", sa.String(), nullable=False),
        sa.Column("loss_id", sa.String(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("warrants_change", sa.Boolean(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "id", name=op.f("pk_gradient")),
    )
    op.create_table(
        "heartbeat",
        sa.Column("executor", sa.String(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("executor", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "journal",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reply_id", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column("unpriced", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "key", name=op.f("pk_journal")),
    )
    op.create_table(
        "limiter",
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("next_allowed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_limiter")),
    )
    op.create_table(
        "poll",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project", "prompt", name=op.f("pk_poll")),
    )
    op.create_table(
        "refusal",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", "kind", "reason", name=op.f("pk_refusal")),
    )
    op.create_table(
        "release",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("candidate_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_release")),
    )
    op.create_index(op.f("ix_release_prompt"), "release", ["prompt"], unique=False)
    op.create_table(
        "release_event",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_release_event")),
    )
    op.create_table(
        "score",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("flag", sa.Boolean(), nullable=True),
        sa.Column("value_id", sa.String(), nullable=True),
        sa.Column("comment_id", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("observation_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
    )
    op.create_index(op.f("ix_score_trace_id"), "score", ["trace_id"], unique=False)
    op.create_table(
        "source_text",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("source_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_text")),
    )
    op.create_index(op.f("ix_source_text_source_key"), "source_text", ["source_key"], unique=False)
    op.create_table(
        "waiting_score",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("score_id", sa.String(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "prompt", "score_id", name=op.f("pk_waiting_score")),
    )
    op.execute(SPEND_VIEW)


def downgrade() -> None:
    """There is nothing before the first tables, so this is the end of everything that was stored."""
    op.execute("drop view spend")
    for table in (
        "candidate",
        "case_result",
        "cause",
        "cycle",
        "cycle_event",
        "derivation",
        "edit",
        "effect",
        "gate_report",
        "generation",
        "gradient",
        "heartbeat",
        "journal",
        "limiter",
        "poll",
        "refusal",
        "release",
        "release_event",
        "score",
        "source_text",
        "waiting_score",
    ):
        op.drop_table(table)
