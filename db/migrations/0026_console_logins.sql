-- Login tokens of the console that were used. Each is good for one login: the second insert of its id finds the row.
create table console_logins (
  id uuid primary key,
  expires_at timestamptz not null
);
