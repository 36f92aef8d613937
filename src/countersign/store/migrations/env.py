"""What Alembic loads to render revisions: always to SQL, for the dialect that `store.migrate` names."""

from __future__ import annotations

from alembic import context

context.configure(
    dialect_name=context.config.attributes["dialect"],
    output_buffer=context.config.output_buffer,
    # The transaction is ours: it begins before the current revision is read.
    transactional_ddl=False,
)
context.run_migrations()
