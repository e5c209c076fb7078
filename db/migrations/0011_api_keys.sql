-- What clients authenticate with. A key's secret is not stored, only its HMAC under a pepper that no database has. No row of
-- merchants is deleted or changed, so this foreign key is only checked when a key is created.
create table api_keys (
  id text collate "C" primary key check (id ~ '^[0-9A-Za-z]{13}$'),
  merchant_id uuid not null references merchants (id),
  name text not null check (char_length(name) between 1 and 255),
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  pepper_id text not null check (pepper_id ~ '^[0-9a-f]{12}$'),
  scopes text[] not null check (cardinality(scopes) > 0 and scopes <@ array['payments:read', 'payments:write']),
  created_at timestamptz not null default now(),
  expires_at timestamptz check (expires_at >= created_at),
  revoked_at timestamptz check (revoked_at >= created_at),
  -- Up to a minute and more behind: a request writes nothing.
  last_used_at timestamptz,
  -- The key that rotation made of this one: a repeated rotation makes no other.
  replaced_by text collate "C" references api_keys (id) check (replaced_by <> id)
);

create index api_keys_merchant on api_keys (merchant_id);

-- A repeated `merchants create` makes no second merchant.
create unique index merchants_name on merchants (name collate "C");
