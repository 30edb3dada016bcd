"""What a release needs after its proposal: orders, pull requests, splits, what production said, looks, refusals.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, and columns to a release and its events; what was released so far was proposed by its cycle."""
    op.create_table(
        "exposure",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("place", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("latency_s", sa.Float(), nullable=True),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "trace_id", name=op.f("pk_exposure")),
    )
    op.create_index(op.f("ix_exposure_unit"), "exposure", ["unit"], unique=False)
    op.create_table(
        "exposure_score",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("score_id", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("worth", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "score_id", name=op.f("pk_exposure_score")),
    )
    op.create_table(
        "freeze",
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prompt", name=op.f("pk_freeze")),
    )
    op.create_table(
        "look",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "at", name=op.f("pk_look")),
    )
    op.create_table(
        "pull_request",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_pull_request")),
    )
    op.create_table(
        "refused_edit",
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("edit_id", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", "run_id", "edit_id", name=op.f("pk_refused_edit")),
    )
    op.create_table(
        "release_order",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("argument", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_order")),
    )
    op.create_index(op.f("ix_release_order_prompt"), "release_order", ["prompt"], unique=False)
    op.create_table(
        "release_text",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "revision", name=op.f("pk_release_text")),
    )
    op.create_table(
        "split",
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("bands", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prompt", name=op.f("pk_split")),
    )
    op.add_column("release", sa.Column("policy", sa.String(), server_default="propose", nullable=False))
    op.add_column("release", sa.Column("approver", sa.String(), server_default="", nullable=False))
    op.add_column("release", sa.Column("plan", sa.Text(), nullable=True))
    op.add_column("release", sa.Column("watched_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("release_event", sa.Column("actor", sa.String(), server_default="tracegrad", nullable=False))
    op.add_column("release_event", sa.Column("evidence", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Forget everything that came after the proposals."""
    for column in ("evidence", "actor"):
        op.drop_column("release_event", column)
    for column in ("watched_until", "plan", "approver", "policy"):
        op.drop_column("release", column)
    for table in (
        "exposure",
        "exposure_score",
        "freeze",
        "look",
        "pull_request",
        "refused_edit",
        "release_order",
        "release_text",
        "split",
    ):
        op.drop_table(table)
