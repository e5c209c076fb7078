-- What each client has left of its rate limit, for all api processes. Unlogged: after a crash everybody starts with a full
-- bucket, and no commit waits for a disk or a standby. Half of each page stays free, so that an update, which changes no
-- index, finds room next to the row.
create unlogged table rate_limits (
  key text collate "C" primary key,
  -- Requests that may be accepted now. Negative where the processes together have accepted too many.
  level double precision not null,
  -- Requests of the last seconds, accepted or not. It falls by the factor e each second.
  demand double precision not null,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
