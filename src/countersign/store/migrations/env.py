"""Configures Alembic to render revisions to SQL, for the dialect that `store.engine.migrate` gives."""

from __future__ import annotations

from alembic import context

context.configure(
    dialect_name=context.config.attributes["dialect"],
    output_buffer=context.config.output_buffer,
    # Our own transaction has begun before: it also reads the current revision.
    transactional_ddl=False,
)
context.run_migrations()
