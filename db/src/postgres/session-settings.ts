import { differentMode, type Mode, modeOf } from '../mode.ts'
import { DatabaseSettingError, ReadOnlyError } from './errors.ts'

export interface SessionLimits {
  /** Maximum time of one statement, in milliseconds. 0 sets no limit, which migrations need. */
  statementMs: number
  /** Maximum time that a session idles within a transaction before PostgreSQL ends it, in milliseconds. */
  idleInTransactionMs: number
  /** Whether the database has to be a sandbox or live. Undefined for a session that accepts both, such as the migrator's. */
  sandbox?: boolean | undefined
  /** Whether each COMMIT has to wait for a standby. Default: no. */
  standbyRequired?: boolean | undefined
}

/** The settings in force by name, and other facts that `refusal` needs: the last answer to `settingStatements`. */
export type FoundSettings = Readonly<Record<string, string | boolean | null>>

// Longer than deadlock_timeout (1 s), so that a deadlock is reported as one and not as a lock timeout.
const LOCK_MS = 2_000
// Nothing else ends the session of a client that stopped reading while the server sends to it.
const UNREAD_MS = 6_000

// A generic plan that was made while a table was small may scan the whole table, and goes on doing so when it is large.
// Every statement finds its rows by an index, so one plan fits all parameters. Therefore plans are generic and use indexes
// only: joins look rows up by their keys, and a limit follows the order of an index instead of a bitmap of all matches.
const PLANS_BY_KEY = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
}

/** Settings that the code relies on. The server, the database and the role may have other defaults. */
const RELIED_ON = {
  client_encoding: 'UTF8',
  // pg reads times of another style as null.
  datestyle: 'ISO, MDY',
  standard_conforming_strings: 'on',
  // With fewer digits a delay in milliseconds is rounded.
  extra_float_digits: '1',
  // Otherwise a null in an array is read as the text NULL.
  array_nulls: 'on',
  // Each statement needs a snapshot of its own: a pass reads its lanes in one that is younger than its locks.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // A COMMIT that no standby has confirmed is recognised by a warning.
  client_min_messages: 'warning',
}

function limits({
  statementMs,
  idleInTransactionMs,
}: Pick<SessionLimits, 'statementMs' | 'idleInTransactionMs'>): Record<string, string> {
  return {
    statement_timeout: String(statementMs),
    lock_timeout: String(LOCK_MS),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
  }
}

/** Names of the settings that each session sets for itself. */
export const SET_BY_SESSION: readonly string[] = [
  ...Object.keys(limits({ statementMs: 0, idleInTransactionMs: 0 })),
  ...Object.keys({ ...PLANS_BY_KEY, ...RELIED_ON }),
  'tcp_user_timeout',
]

/**
 * Statements that set everything that a session relies on, and then read what is in force. The row of the last one is a
 * `FoundSettings`. Start-up parameters would save this trip, but PgBouncer refuses or ignores them.
 */
export function settingStatements(session: SessionLimits): string {
  const milliseconds = limits(session)
  const others = { ...PLANS_BY_KEY, ...RELIED_ON }
  return [
    ...Object.entries({ ...milliseconds, ...others }).map(([name, value]) => `set ${name} = '${value}'`),
    // Not over a Unix socket, which has no such limit, and not on a server without it, which would log each attempt.
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
      ...(session.sandbox === undefined ? [] : ['(select mode from deployment) as deployment_mode']),
    ].join(', ')}`,
  ].join('; ')
}

const NO_MODE =
  'The database does not say whether it is a sandbox or live: its table "deployment" is empty. Run "npm run migrate", then start again.'

/** The reason why a session with these settings must not be used. Undefined if it may be used. */
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
  if (session.standbyRequired && found.synchronous_standby_names === '')
    return new DatabaseSettingError(
      "REQUIRE_STANDBY is yes, but synchronous_standby_names is empty, so no COMMIT waits for a standby. Set it, such as to 'ANY 1 (standby1, standby2)', or set REQUIRE_STANDBY=no.",
    )
  if (session.sandbox !== undefined && found.deployment_mode !== modeOf(session.sandbox))
    return new DatabaseSettingError(
      found.deployment_mode === null ? NO_MODE : differentMode(modeOf(session.sandbox), found.deployment_mode as Mode),
    )
  const wanted = Object.entries({ ...limits(session), ...PLANS_BY_KEY, ...RELIED_ON })
  const [lost] = wanted.filter(([name, value]) => found[name] !== value)
  if (lost)
    return new DatabaseSettingError(
      `${lost[0]} is ${found[lost[0]]} just after the session has set it to ${lost[1]}. The pooler or proxy in between must keep a session's settings: use PgBouncer in session mode, or connect directly.`,
    )
  return undefined
}
