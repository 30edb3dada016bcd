"""Where Alembic starts. The caller hands in a connection that already holds the migration lock and a transaction."""

from alembic import context

from deploy.store.schema_releases import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
