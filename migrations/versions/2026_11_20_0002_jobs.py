"""Recordings with a callback."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of jobs. Columns are described in ``app/storage/tables.py``."""
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=False),
        sa.Column("callback_method", sa.String(8), nullable=False),
        sa.Column("audio_url", sa.Text(), nullable=False),
        sa.Column("audio_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker", sa.String(36), nullable=True),
        sa.Column("lease_ends", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(80), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_body", sa.LargeBinary(), nullable=True),
        sa.Column("outcome_type", sa.String(80), nullable=True),
        sa.Column("outcome_problem", sa.String(80), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state_due", "jobs", ["state", "due"])


def downgrade() -> None:
    """Drop the jobs; what was not delivered never will be."""
    op.drop_index("ix_jobs_state_due", "jobs")
    op.drop_table("jobs")
