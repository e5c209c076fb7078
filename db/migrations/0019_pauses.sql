-- The last pause of all relays, and of all workers. A row stays after the end of its pause: it says who ended it.
create table pauses (
  component text primary key check (component in ('relay', 'worker')),
  reason text not null,
  paused_by text not null default session_user,
  paused_at timestamptz not null default clock_timestamp(),
  -- Null for a pause without an end.
  paused_until timestamptz,
  resumed_at timestamptz,
  resumed_by text,
  resume_reason text
);
