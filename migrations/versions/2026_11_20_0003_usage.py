"""Requests on record, secrets of tokens, tags of keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables and add the tags. Columns are described in ``app/storage/tables.py``."""
    op.create_table(
        "usage_records",
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("completed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("model_uuid", sa.String(36), nullable=False),
        sa.Column("model_version", sa.String(80), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("audio_s", sa.Float(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_usage_records"),
    )
    op.create_index("ix_usage_records_created", "usage_records", ["created"])
    op.create_table(
        "signing_secrets",
        sa.Column("secret_id", sa.String(36), nullable=False),
        sa.Column("secret", sa.String(128), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retires", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("secret_id", name="pk_signing_secrets"),
    )
    op.add_column("api_keys", sa.Column("tags", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop them; what was on record is lost, and tokens that were handed out open nothing any more."""
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_column("tags")
    op.drop_table("signing_secrets")
    op.drop_index("ix_usage_records_created", "usage_records")
    op.drop_table("usage_records")
