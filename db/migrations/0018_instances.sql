-- The running processes. Each writes its own row every 2 seconds, and deletes it at a clean stop. Unlogged: no write reaches
-- a disk or a standby. After a crash or a failover the table is empty, and each process that runs writes its row again. No
-- index has a column that changes, and half of each page stays free, so an update touches only the row's own page.
create unlogged table instances (
  -- Made by the process at its start: no process writes the row of another one.
  id uuid primary key,
  role text not null check (role in ('api', 'relay', 'worker')),
  -- Host and process id.
  instance text not null,
  version text not null,
  started_at timestamptz not null,
  seen_at timestamptz not null default clock_timestamp(),
  -- Counts since the start, by the names of the process's metrics.
  counters jsonb not null,
  -- Ready messages by queue. Null where the process does not look at the broker's queues.
  queue_depths jsonb
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
