import { DatabaseSettingError, ReadOnlyError } from './errors.ts'

export interface SessionLimits {
  /** How long one statement may run; 0 is forever. */
  statementMs: number
  /** After how long the server ends a session that idles in a transaction. */
  idleInTransactionMs: number
}

/** What PostgreSQL answers to `settingStatements`: the settings in force by name, and what decides about them. */
export type FoundSettings = Readonly<Record<string, string | boolean | null>>

// Not deadlock_timeout's 1 s: a deadlock is then found as one, and not as a lock that takes long.
const LOCK_MS = 2_000
// A client that stopped reading while the server sends to it is freed by nothing else.
const UNREAD_MS = 6_000

// Every statement finds its rows by the keys of an index, so one plan fits all its parameters and is kept; and what was
// planned while a table was small must not scan it when it is large. For the same reason joins name the keys they look
// for, and a limit is met by the order of an index, not by a bitmap of all that a few rows once were.
const PLANS_BY_KEY = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
}

/** What the code relies on, so that the defaults of a server, database or role change none of it. */
const RELIED_ON = {
  client_encoding: 'UTF8',
  // Other times would be read as null.
  datestyle: 'ISO, MDY',
  standard_conforming_strings: 'on',
  // With fewer digits a delay in milliseconds is another one.
  extra_float_digits: '1',
  // Else a null in an array is the text NULL.
  array_nulls: 'on',
  // A pass reads its lanes in a snapshot that is younger than its locks.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // A COMMIT that no standby has confirmed is known by a warning.
  client_min_messages: 'warning',
}

function limits({ statementMs, idleInTransactionMs }: SessionLimits): Record<string, string> {
  return {
    statement_timeout: String(statementMs),
    lock_timeout: String(LOCK_MS),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
  }
}

/** The names of what each session sets for itself. */
export const SET_BY_SESSION: readonly string[] = [
  ...Object.keys(limits({ statementMs: 0, idleInTransactionMs: 0 })),
  ...Object.keys({ ...PLANS_BY_KEY, ...RELIED_ON }),
  'tcp_user_timeout',
]

/**
 * Sets everything that a session relies on, and asks what is in force then: the row of the last statement is a
 * `FoundSettings`. Not by start-up parameters: PgBouncer refuses them, or drops them where it was told to.
 */
export function settingStatements(session: SessionLimits): string {
  const milliseconds = limits(session)
  const others = { ...PLANS_BY_KEY, ...RELIED_ON }
  return [
    ...Object.entries({ ...milliseconds, ...others }).map(([name, value]) => `set ${name} = '${value}'`),
    // A Unix socket has no such limit, and a server without it logs each try.
    `select set_config('tcp_user_timeout', '${UNREAD_MS}', false)
      where inet_client_addr() is not null and current_setting('tcp_user_timeout', true) is not null`,
    `select ${[
      ...Object.keys(milliseconds).map(
        (name) => `(extract(epoch from current_setting('${name}')::interval) * 1000)::int::text as ${name}`,
      ),
      ...Object.keys(others).map((name) => `current_setting('${name}') as ${name}`),
      `current_setting('tcp_user_timeout', true) not in ('', '0') as ends_unread`,
      `inet_client_addr() is not null as by_tcp`,
      `pg_is_in_recovery() as is_standby`,
      ...['default_transaction_read_only', 'server_encoding', 'synchronous_commit', 'synchronous_standby_names'].map(
        (name) => `current_setting('${name}') as ${name}`,
      ),
    ].join(', ')}`,
  ].join('; ')
}

/** Why a session with these settings must not be used; undefined where it may. */
export function refusal(
  session: SessionLimits,
  found: FoundSettings,
): ReadOnlyError | DatabaseSettingError | undefined {
  if (found.is_standby) return new ReadOnlyError('The server is a standby')
  if (found.default_transaction_read_only !== 'off') return new ReadOnlyError('default_transaction_read_only is on')
  if (found.server_encoding !== 'UTF8')
    return new DatabaseSettingError(
      `The database's encoding is ${found.server_encoding}, so it cannot hold every reference. Create one with ENCODING 'UTF8'.`,
    )
  if (found.synchronous_commit === 'off')
    return new DatabaseSettingError(
      'synchronous_commit is off, so PostgreSQL may lose what it has confirmed. Set it to on, for this role and database.',
    )
  if (found.synchronous_commit === 'local' && found.synchronous_standby_names !== '')
    return new DatabaseSettingError(
      'synchronous_commit is local, so no COMMIT waits for the standbys of synchronous_standby_names. Set it to on, for this role and database.',
    )
  const wanted = Object.entries({ ...limits(session), ...PLANS_BY_KEY, ...RELIED_ON })
  const [lost] = wanted.filter(([name, value]) => found[name] !== value)
  if (lost)
    return new DatabaseSettingError(
      `${lost[0]} is ${found[lost[0]]} just after the session has set it to ${lost[1]}. What stands between must leave a session its settings: use PgBouncer in session mode, or none.`,
    )
  return undefined
}
