-- The numbers of the console's charts: a ring of 8,640 slots of 10 seconds, which is 24 hours. A slot is written once a day,
-- in place. Unlogged, like `instances`: no write reaches a disk or a standby, and after a crash or a failover the charts begin
-- again. No index has a column that changes, and half of each page stays free, so an update touches only the row's own page.
create unlogged table chart_slots (
  -- The start of the 10 seconds, counted in slots since 1970, modulo 8,640.
  slot int primary key check (slot between 0 and 8639),
  at timestamptz not null,
  -- Time that the counts cover: since the sample before. Null if that is unknown or too long ago. Then nothing was counted.
  span_ms int check (span_ms > 0),
  created int,
  settled int,
  -- The settled payments by the time since their creation: 24 buckets, see db/src/charts/settled-after.ts.
  settled_within int[] check (cardinality(settled_within) = 24),
  -- Messages in the outbox, and the age of the oldest one. Null if PostgreSQL could not read them.
  backlog int,
  lag_ms double precision,
  -- Ready messages in the queue of the workers. Null if no relay has looked at it.
  queue_depth int,
  check (num_nulls(span_ms, created, settled, settled_within) in (0, 4))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What each process had counted at the last sample. The next sample counts only what came after it.
create unlogged table chart_marks (
  -- The id of the process in `instances`.
  id uuid primary key,
  marked_at timestamptz not null,
  counted jsonb not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
