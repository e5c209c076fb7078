import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { differentMode, type Mode } from '../mode.ts'
import { recordAction } from '../operator/actions.ts'
import { operatorName } from '../operator/operator-name.ts'
import type { Ledger, MigrationTables } from './ledger.ts'
import { type Run, retryInTransaction } from './run-migration.ts'
import { connectedSessions } from './schema.ts'

/** The migration that creates the table `deployment`. */
export const CREATES_DEPLOYMENT = '0010_deployment'
/** The migration that creates the table `operator_actions`. */
const RECORDS_ACTIONS = '0020_history'
/** The tables that hold payments, and the remains of those that were pruned, by the migrations that create them. */
const CREATES_PAYMENTS = { '0001_payments': 'payments', '0007_pruned_references': 'pruned_references' } as const

/** The mode that a run of `migrate` wants the database to have. */
export interface WantedMode {
  readonly mode: Mode
  /** Who says so. A default gives no mode to payments that exist, and only `--mode` changes a mode that is stored. */
  readonly from: '--mode' | 'SANDBOX' | 'default'
}

/** The database cannot get the mode that was wanted. Nothing was changed. */
export class ModeError extends Error {
  readonly code: 'mode_differs' | 'mode_unknown' | 'mode_in_use'

  constructor(code: ModeError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/**
 * Compares the database's mode with the wanted one. Changes it if `--mode` says so.
 *
 * @throws ModeError before anything is changed
 */
export async function agreeOnMode(run: Run, { mode, from }: WantedMode, { applied }: Ledger): Promise<void> {
  const stored = applied.has(CREATES_DEPLOYMENT) ? await storedMode(run.session) : undefined
  if (stored === mode) return
  if (stored !== undefined) {
    if (from !== '--mode') throw new ModeError('mode_differs', differentMode(mode, stored))
    return changeMode(run, { before: stored, mode, isRecorded: applied.has(RECORDS_ACTIONS) })
  }
  if (from === 'default' && (await hasEverHeldPayment(run.session, applied)))
    throw new ModeError(
      'mode_unknown',
      'The database holds payments, or held some that were pruned, but does not say whether money moves for them. Nothing was changed. ' +
        'Set SANDBOX=no if it does, or SANDBOX=yes if it does not, for this command and for all services. Then run "npm run migrate" again.',
    )
}

/** Stores the database's mode, with a new secret, if it has none. Other runs wait for the migration lock. */
export async function storeMode({ session, logger }: Run, { mode, from }: WantedMode): Promise<void> {
  const { numInsertedOrUpdatedRows: stored } = await session
    .insertInto('deployment')
    .values({ mode, cursor_secret: randomBytes(32) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow()
  if (stored) logger.info('mode of the deployment stored', { mode, from })
}

/**
 * Changes the mode. Payments of one mode must never be processed in the other, so there must be no PENDING payment, and no
 * process that has compared its mode with the former one.
 */
async function changeMode(
  run: Run,
  { before, mode, isRecorded }: { before: Mode; mode: Mode; isRecorded: boolean },
): Promise<void> {
  await retryInTransaction(run, { mode }, async (tx) => {
    // An insert that is in flight ends first, and none begins.
    await sql`lock table payments in share mode`.execute(tx)
    // Each session of a service reads this table when it starts. One that has read it is connected, and is found below. A
    // later one waits for this lock, and then reads the new mode.
    await sql`lock table deployment in access exclusive mode`.execute(tx)
    const sessions = await connectedSessions(tx)
    if (sessions.length > 0)
      throw new ModeError(
        'mode_in_use',
        `The mode was not changed: ${sessions.join(', ')} connected. Stop all services, then run this command again.`,
      )
    if (await hasPending(tx))
      throw new ModeError(
        'mode_in_use',
        'The mode was not changed: some payments are PENDING. Let the services settle them, or settle them by hand. Then stop the services, and run this command again.',
      )
    await tx.updateTable('deployment').set({ mode }).execute()
    const act = { action: 'migrate --mode', target: 'deployment', before: { mode: before }, after: { mode } } as const
    if (isRecorded) await recordAction(tx, { actor: operatorName(), via: 'migrate' }, act)
  })
  run.logger.warn('mode of the deployment changed: set SANDBOX for all processes', {
    mode,
    SANDBOX: mode === 'live' ? 'no' : 'yes',
  })
}

async function storedMode(db: Kysely<MigrationTables>): Promise<Mode | undefined> {
  return (await db.selectFrom('deployment').select('mode').executeTakeFirst())?.mode
}

async function hasEverHeldPayment(db: Kysely<MigrationTables>, applied: ReadonlySet<string>): Promise<boolean> {
  for (const [migration, table] of Object.entries(CREATES_PAYMENTS)) {
    if (!applied.has(migration)) continue
    if (await db.selectFrom(table).select('id').limit(1).executeTakeFirst()) return true
  }
  return false
}

async function hasPending(db: Kysely<MigrationTables>): Promise<boolean> {
  const payments = db.selectFrom('payments').select('id').where('status', '=', 'PENDING').limit(1)
  return (await payments.executeTakeFirst()) !== undefined
}
