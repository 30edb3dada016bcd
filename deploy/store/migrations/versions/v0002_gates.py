"""What may be claimed: prompt ids, ledgers, uses of cases, agreement with people; sums of the journal.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SUMS = """
insert into journal_total (cycle_id, cost_usd, dearest_usd, in_flight)
select cycle_id, coalesce(sum(cost_usd), 0.0), coalesce(max(cost_usd), 0.0),
       sum(case when outcome = '' then 1 else 0 end)
from journal group by cycle_id
"""


def upgrade() -> None:
    """Add tables, and two columns to what a gate found; all results so far are a screen's."""
    op.create_table(
        "agreement",
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("score_id", sa.String(), nullable=False),
        sa.Column("human", sa.Float(), nullable=False),
        sa.Column("judged", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", "judge", "score_id", name=op.f("pk_agreement")),
    )
    op.create_table(
        "case_use",
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("gate_id", sa.String(), nullable=False),
        sa.Column("drawn", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", "case_id", "gate_id", name=op.f("pk_case_use")),
    )
    op.create_table(
        "journal_total",
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("dearest_usd", sa.Float(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_journal_total")),
    )
    op.create_table(
        "ledger_day",
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", "date", name=op.f("pk_ledger_day")),
    )
    op.create_table(
        "prompt_name",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_prompt_name")),
    )
    op.create_index(op.f("ix_prompt_name_prompt_id"), "prompt_name", ["prompt_id"], unique=False)
    op.create_table(
        "stake",
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("candidate", sa.String(), nullable=False),
        sa.Column("stake", sa.Float(), nullable=False),
        sa.Column("budget", sa.Float(), nullable=False),
        sa.Column("left_after", sa.Float(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ledger", "release_id", name=op.f("pk_stake")),
    )
    op.create_index(op.f("ix_stake_prompt_id"), "stake", ["prompt_id"], unique=False)
    op.add_column("case_result", sa.Column("part", sa.String(), nullable=False, server_default="screen"))
    op.add_column("case_result", sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(SUMS)


def downgrade() -> None:
    """Forget what may be claimed; the stakes are gone for good."""
    op.drop_column("case_result", "recorded_at")
    op.drop_column("case_result", "part")
    for table in ("agreement", "case_use", "journal_total", "ledger_day", "prompt_name", "stake"):
        op.drop_table(table)
