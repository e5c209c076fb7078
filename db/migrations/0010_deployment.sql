-- What the deployment of this database is: a sandbox, where no money may move, or live. `migrate` writes the row, and each
-- session of a service reads it. cursor_secret signs cursors, so that no client can make one.
create table deployment (
  mode text not null check (mode in ('sandbox', 'live')),
  cursor_secret bytea not null check (octet_length(cursor_secret) = 32)
);

create unique index deployment_has_one_row on deployment ((true));
