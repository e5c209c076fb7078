import { type EndpointCheck, findCheck, type ReplayStart, type Tables } from '@cashflow/db'
import {
  checkByHand,
  findSeenEndpoint,
  readAttempts,
  redeliverByHand,
  replayByHand,
  searchDeliveries,
  searchEndpoints,
  switchEndpoint,
} from '@cashflow/db/operator'
import { isUuid, parseEventId } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import { type Request, Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import {
  type AttemptsAnswer,
  type CheckAnswer,
  DELIVERY_STATUSES,
  type DeliveriesAnswer,
  ENDPOINT_STATES,
  type EndpointsAnswer,
} from '../answers.ts'
import { Refusal } from './refusal.ts'
import { operatorOf, orConflict, parsed, reason, timeOf, unreadableNotes, uuidParameter } from './request.ts'
import { toDeliveryAnswer, withRates } from './webhook-answers.ts'

const PAGE = 50

const deliveryId = z.string().regex(/^[1-9]\d{0,17}$/, 'is no id of a delivery')
const endpointQuery = z.object({
  merchant: z.uuid().optional(),
  state: z.enum(ENDPOINT_STATES).optional(),
  after: z.uuid().optional(),
})
const deliveryQuery = z.object({
  endpoint: z.uuid().optional(),
  status: z.enum(DELIVERY_STATUSES).optional(),
  payment: z.uuid().optional(),
  after: deliveryId.optional(),
})
const NO_EVENT = 'is no id of an event, such as evt_0197f3c0-0000-7000-8000-0123456789ab_1'
const event = z.string().transform((id, context) => {
  const found = parseEventId(id.toLowerCase())
  if (found) return found
  context.addIssue(NO_EVENT)
  return z.NEVER
})
const time = z.iso.datetime({ offset: true }).transform((at): ReplayStart => ({ from: 'time', time: new Date(at) }))
const switchBody = z.strictObject({ reason })
const replayBody = z.strictObject({
  after: z
    .union(
      [event.transform((named): ReplayStart => ({ from: 'event', ...named })), time],
      'is no id of an event and no time',
    )
    .default({ from: 'missed' }),
  reason,
})
const redeliverBody = z.strictObject({ event_id: event, endpoint_id: z.uuid().optional(), reason })
const checkBody = z.strictObject({ kind: z.enum(['check', 'ping']), reason })

/** Endpoints of all merchants with their deliveries, and what an operator can do for them. */
export function webhookRoutes(db: Kysely<Tables>): Router {
  const router = Router()
  router.get('/webhooks/endpoints', async (req, res) =>
    res.json(await listEndpoints(db, parsed(endpointQuery, req.query))),
  )
  router.get('/webhooks/endpoints/:id', async (req, res) => {
    const endpoint = await findSeenEndpoint(db, uuidParameter(req, 'endpoint'))
    if (!endpoint) throw new Refusal(404, NO_ENDPOINT)
    res.json((await withRates(db, [endpoint]))[0])
  })
  router.get('/webhooks/deliveries', async (req, res) =>
    res.json(await listDeliveries(db, parsed(deliveryQuery, req.query))),
  )
  router.get('/webhooks/endpoints/:id/deliveries/:delivery/attempts', async (req, res) => {
    const { delivery } = req.params
    const found = deliveryId.safeParse(delivery).success
      ? await readAttempts(db, { endpointId: uuidParameter(req, 'endpoint'), deliveryId: delivery })
      : []
    const attempts = found.map(({ at, durationMs, ...rest }) => ({ at: timeOf(at), duration_ms: durationMs, ...rest }))
    res.json({ attempts } satisfies AttemptsAnswer)
  })
  router.get('/webhooks/endpoints/:id/checks/:check', async (req, res) => res.json(await readCheck(db, req)))
  router.use(webhookActs(db))
  return router
}

const NO_ENDPOINT = 'No endpoint has this id, or it was deleted.'

function webhookActs(db: Kysely<Tables>): Router {
  const router = Router()
  for (const [act, isEnabled] of [
    ['enable', true],
    ['disable', false],
  ] as const)
    router.post(`/webhooks/endpoints/:id/${act}`, async (req, res) => {
      const { reason: why } = parsed(switchBody, req.body)
      const id = uuidParameter(req, 'endpoint')
      orConflict(await switchEndpoint(db, { id, isEnabled, reason: why, by: operatorOf(res) }))
      res.json({})
    })
  router.post('/webhooks/endpoints/:id/replay', async (req, res) => {
    const { after: start, reason: why } = parsed(replayBody, req.body)
    const endpointId = uuidParameter(req, 'endpoint')
    orConflict(await replayByHand(db, { endpointId, id: uuidv7(), start, reason: why, by: operatorOf(res) }))
    res.json({})
  })
  router.post('/webhooks/redeliver', async (req, res) => {
    const { event_id: named, endpoint_id: endpointId, reason: why } = parsed(redeliverBody, req.body)
    orConflict(await redeliverByHand(db, { ...named, endpointId, reason: why, by: operatorOf(res) }))
    res.json({})
  })
  router.post('/webhooks/endpoints/:id/check', async (req, res) => {
    const { kind, reason: why } = parsed(checkBody, req.body)
    const endpointId = uuidParameter(req, 'endpoint')
    const started = await checkByHand(db, { endpointId, id: uuidv7(), kind, reason: why, by: operatorOf(res) })
    orConflict(started)
    res.json(toCheckAnswer(started.check))
  })
  return router
}

async function listEndpoints(
  db: Kysely<Tables>,
  { merchant: merchantId, state, after }: z.output<typeof endpointQuery>,
): Promise<EndpointsAnswer> {
  const { endpoints, leftOut } = await searchEndpoints(db, { merchantId, state, after, limit: PAGE + 1 })
  const shown = endpoints.slice(0, PAGE)
  return {
    endpoints: await withRates(db, shown),
    next: endpoints.length > PAGE ? (shown.at(-1)?.id ?? null) : null,
    notes: unreadableNotes(leftOut),
  }
}

async function listDeliveries(
  db: Kysely<Tables>,
  { endpoint: endpointId, status, payment: paymentId, after }: z.output<typeof deliveryQuery>,
): Promise<DeliveriesAnswer> {
  const search = { endpointId, status, paymentId, after, limit: PAGE + 1 }
  const { deliveries, leftOut } = await searchDeliveries(db, search)
  const shown = deliveries.slice(0, PAGE)
  return {
    deliveries: shown.map(toDeliveryAnswer),
    next: deliveries.length > PAGE ? (shown.at(-1)?.id ?? null) : null,
    notes: unreadableNotes(leftOut),
  }
}

async function readCheck(db: Kysely<Tables>, req: Request): Promise<CheckAnswer> {
  const endpoint = await findSeenEndpoint(db, uuidParameter(req, 'endpoint'))
  const { check: id = '' } = req.params as { check?: string }
  const name = endpoint && { merchantId: endpoint.merchantId, endpointId: endpoint.id, id }
  const check = name && isUuid(id) ? await findCheck(db, name) : undefined
  if (!check) throw new Refusal(404, 'No check of this endpoint has this id.')
  return toCheckAnswer(check)
}

const toCheckAnswer = ({ id, kind, createdAt, finishedAt, report }: EndpointCheck): CheckAnswer => ({
  ...{ id, kind, created_at: timeOf(createdAt), finished_at: timeOf(finishedAt), report },
})
