import { findDeadLetter } from '@cashflow/outbox'
import { type Kysely, type Selectable, type SqlBool, sql, type Transaction } from 'kysely'
import { fromNow } from '../payments/row.ts'
import { BIGINT_MAX } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { OperatorActionsTable, Tables } from '../tables.ts'
import { CUT_MS } from './read-rows.ts'

/** Who acts, and with which program, such as `cashflow`. */
export interface Operator {
  readonly actor: string
  readonly via: string
}

/** Acts of an operator, named as their commands. */
export const ACTION_NAMES = [
  ...(['dead requeue', 'dead discard', 'payments settle', 'redrive', 'pause', 'resume', 'merchants create'] as const),
  ...(['keys create', 'keys revoke', 'keys rotate', 'migrate --mode', 'verify --seal'] as const),
  ...(['webhooks enable', 'webhooks disable', 'webhooks redeliver', 'webhooks replay', 'webhooks rekey'] as const),
  ...(['webhooks check', 'webhooks ping', 'console token'] as const),
] as const

export type ActionName = (typeof ACTION_NAMES)[number]

type Fact = string | number | boolean | null | undefined | Date | readonly string[]

/** What an act changed. Never a secret, and nothing that a secret can be computed from. */
export type ActionFacts = Readonly<Record<string, Fact>>

export interface NewAction {
  readonly action: ActionName
  /**
   * The id of the payment, key or merchant, the name of the component, or the id of a dead letter that is about no
   * payment. Of a login token, the name of its operator. At most 255 characters.
   */
  readonly target: string
  readonly reason?: string | undefined
  readonly before?: ActionFacts
  readonly after?: ActionFacts
}

/** Records acts of an operator. Takes their transaction: no act is stored without its record, and no record without its act. */
export async function recordAction(
  tx: Transaction<Tables>,
  { actor, via }: Operator,
  ...actions: readonly NewAction[]
): Promise<void> {
  if (actions.length === 0) return
  await tx
    .insertInto('operator_actions')
    .values(
      actions.map(({ action, target, reason, before, after }) => ({
        actor,
        // The actor is what the operator says. The role is what PostgreSQL knows. The builder has no session_user.
        via: sql<string>`${via}::text || ' as ' || session_user`,
        action,
        target,
        reason: reason ?? null,
        before: before ? jsonOf(before) : null,
        after: after ? jsonOf(after) : null,
      })),
    )
    .execute()
}

const TEXT_MAX = 500
const ITEMS_MAX = 20

/** Facts as JSON of a bounded size. A text may come from a client or a provider, so its end is cut off. */
function jsonOf(facts: ActionFacts): string {
  return JSON.stringify(facts, (_, value: unknown) => {
    if (Array.isArray(value)) return value.slice(0, ITEMS_MAX)
    if (typeof value !== 'string' || value.length <= TEXT_MAX) return value
    return `${value.slice(0, TEXT_MAX).toWellFormed()}…`
  })
}

export type Action = Selectable<OperatorActionsTable>

export interface ActionFilter {
  /** The target of an act, or the id of a dead letter. */
  readonly target?: string | undefined
  readonly actor?: string | undefined
  readonly action?: ActionName | undefined
  /** Maximum age, in milliseconds. */
  readonly ageMaxMs?: number | undefined
  /** The id of an act. Only those before it are read. */
  readonly before?: string | undefined
  /** The lowest id that is read. */
  readonly from?: string | undefined
  readonly limit: number
}

const COLUMNS = ['id', 'at', 'actor', 'via', 'action', 'target', 'reason', 'before', 'after'] as const

/** Reads acts, the newest first. To continue after the last one, pass its id as `before`. */
export async function listActions(
  db: Kysely<Tables>,
  { target, actor, action, ageMaxMs, before, from, limit }: ActionFilter,
): Promise<Action[]> {
  const letter = target !== undefined && /^\d{1,18}$/.test(target) ? await findDeadLetter(db, target) : undefined
  return await db
    .selectFrom('operator_actions')
    .select(COLUMNS)
    .$if(before !== undefined, (read) => read.where('id', '<', before ?? ''))
    .$if(from !== undefined, (read) => read.where('id', '>=', from ?? ''))
    .$if(actor !== undefined, (read) => read.where('actor', '=', actor ?? ''))
    .$if(action !== undefined, (read) => read.where('action', '=', action ?? ''))
    .$if(ageMaxMs !== undefined, (read) => read.where('at', '>=', fromNow(-(ageMaxMs ?? 0))))
    .$if(target !== undefined, (read) =>
      read.where((eb) => {
        const isTarget = eb('target', '=', target ?? '')
        if (!letter) return isTarget
        const isAboutLetter = sql<SqlBool>`before ->> 'dead_letter' = ${letter.id}` // The builder's form reads worse.
        return eb.or([isTarget, eb.and([eb('target', '=', letter.key), isAboutLetter])])
      }),
    )
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** Reads acts as `listActions` does, without those that PostgreSQL cannot read. */
export async function searchActions(
  db: Kysely<Tables>,
  filter: ActionFilter,
): Promise<{ actions: readonly Action[]; leftOut: readonly LeftOut[] }> {
  const { before, limit } = filter
  // Places count backwards from the highest id.
  const { found } = await readPastDamage<Action>({
    read: ({ after, to }, most) =>
      listActions(db, {
        ...filter,
        before: after < 0n ? undefined : String(BIGINT_MAX - after),
        from: String(BIGINT_MAX - to),
        limit: most,
      }),
    placeOf: ({ id }) => BIGINT_MAX - BigInt(id),
    span: { after: before === undefined ? -1n : BIGINT_MAX - BigInt(before), to: BIGINT_MAX },
    ...{ limit, cutMs: CUT_MS },
  })
  return {
    actions: found.flatMap((part) => (isUnreadable(part) ? [] : part)),
    leftOut: found.filter(isUnreadable).map(({ at, error }) => leftOut(`act ${BIGINT_MAX - at}`, error)),
  }
}
