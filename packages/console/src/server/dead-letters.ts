import type { Tables } from '@cashflow/db'
import { discard, listActions, requeue, searchDeadLetters, selectDeadLetters } from '@cashflow/db/operator'
import { findDeadLetter } from '@cashflow/outbox'
import { type Logger, redactedErrorMessage } from '@cashflow/runtime'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { DeadLetterPageAnswer, DeadLettersAnswer, ResolvedAnswer, SelectionAnswer } from '../answers.ts'
import { toActAnswer } from './audit.ts'
import { Refusal } from './refusal.ts'
import { operatorOf, parsed, reason, text, timeOf, unreadableNotes } from './request.ts'

const PAGE = 200
/** Dead letters that one act resolves at most, as with `cashflow dead`. */
const RESOLVED_MAX = 1_000
const ACTS_MAX = 100
const YEARS_10_MS = 3_650 * 86_400_000

const filterMembers = {
  source: text(255).optional(),
  topic: text(255).optional(),
  containing: text(255).optional(),
  over_ms: z.coerce.number().int().min(0).max(YEARS_10_MS).optional(),
}
const query = z.object(filterMembers)
const selectBody = z.strictObject(filterMembers)
const letterId = z.string().regex(/^[1-9]\d{0,17}$/, 'is no id of a dead letter')
const resolveBody = z.union([
  z.strictObject({ reason, ids: z.array(letterId).min(1).max(RESOLVED_MAX) }),
  z.strictObject({ reason, filter: selectBody, expect: z.string().regex(/^[0-9a-f]{16}$/, 'is no hash') }),
])

type Filter = z.output<typeof query>

interface DeadLetterOptions {
  db: Kysely<Tables>
  logger: Logger
}

/** Lists dead letters, shows one, and requeues or discards them: each in a transaction of its own. */
export function deadLetterRoutes(options: DeadLetterOptions): Router {
  const { db } = options
  const router = Router()
  router.get('/dead-letters', async (req, res) => {
    res.json(await list(db, parsed(query, req.query)))
  })
  router.get('/dead-letters/:id', async (req, res) => {
    const { id } = req.params
    const page = letterId.safeParse(id).success ? await readPage(db, id) : undefined
    if (!page) throw new Refusal(404, 'No dead letter has this id.')
    res.json(page)
  })
  router.post('/dead-letters/select', async (req, res) => {
    const { ids, hash, hasMore } = await select(db, parsed(selectBody, req.body))
    res.json({ dead_letters: ids.length, hash, more: hasMore } satisfies SelectionAnswer)
  })
  router.post('/dead-letters/requeue', resolveWith(options, requeue))
  router.post('/dead-letters/discard', resolveWith(options, discard))
  return router
}

const toFilter = ({ source, topic, containing, over_ms }: Filter) => ({
  ...{ source, topic, reason: containing, ageMinMs: over_ms },
})

async function list(db: Kysely<Tables>, filter: Filter): Promise<DeadLettersAnswer> {
  const { letters, leftOut } = await searchDeadLetters(db, { ...toFilter(filter), limit: PAGE + 1 })
  return {
    letters: letters.slice(0, PAGE).map(({ id, source, topic, key, attempts, diedAt, reason: why }) => ({
      ...{ id, source, topic, key, attempts, died_at: timeOf(diedAt), reason: why },
    })),
    more: letters.length > PAGE,
    notes: unreadableNotes(leftOut),
  }
}

async function readPage(db: Kysely<Tables>, id: string): Promise<DeadLetterPageAnswer | undefined> {
  const letter = await findDeadLetter(db, id)
  if (!letter) return undefined
  const { messageId, diedAt, createdAt, resolvedAt, ...rest } = letter
  const acts = (await listActions(db, { target: id, limit: ACTS_MAX })).map(toActAnswer)
  return {
    ...rest,
    message_id: messageId,
    created_at: timeOf(createdAt),
    died_at: timeOf(diedAt),
    resolved_at: timeOf(resolvedAt),
    acts,
  }
}

const select = (db: Kysely<Tables>, filter: Filter) =>
  selectDeadLetters(db, { ...toFilter(filter), limit: RESOLVED_MAX })

type Resolve = typeof discard

/** A dead letter that is refused stops no other. The answer tells what became of each. */
function resolveWith({ db, logger }: DeadLetterOptions, resolve: Resolve): RequestHandler {
  return async (req: Request, res: Response) => {
    const body = parsed(resolveBody, req.body)
    const ids = 'ids' in body ? [...new Set(body.ids)] : await expected(db, body)
    const by = operatorOf(res)
    const results: { id: string; done: boolean; why: string | null }[] = []
    for (const id of ids) {
      // An operator who has left the page sees no result. What was not reached stays as it is.
      if (res.destroyed) return
      try {
        const result = await resolve(db, id, { by, reason: body.reason })
        results.push({ id, done: result.done, why: result.done ? null : result.why })
      } catch (error) {
        // Its COMMIT may have arrived. The rest would most likely fail alike.
        logger.warn('the console could not resolve a dead letter', { dead_letter: id, error })
        results.push({ id, done: false, why: `It is not known whether this was done: ${redactedErrorMessage(error)}` })
        break
      }
    }
    res.json({ results } satisfies ResolvedAnswer)
  }
}

async function expected(
  db: Kysely<Tables>,
  { filter, expect }: { filter: Filter; expect: string },
): Promise<readonly string[]> {
  const { ids, hash } = await select(db, filter)
  if (hash === expect) return ids
  throw new Refusal(
    409,
    `The filter selects other dead letters than before: ${ids.length} by now. Nothing was changed. Look at them again.`,
  )
}
