import { defined } from '@cashflow/async'
import { type Replay, type ReplayStart, type StartedReplay, startReplay } from '@cashflow/db'
import { isUuid, parseEventId } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import * as z from 'zod'
import { Problem } from '../problem.ts'
import { sendJson } from '../send-json.ts'
import { rfc3339Time, TIME_FORM } from '../time.ts'
import type { ChangeEndpointOptions } from './create-endpoint.ts'
import { eventTypes, readBody } from './endpoint-body.ts'
import { EVENT_ID_DOCUMENT } from './list-deliveries.ts'
import { unknownEndpoint } from './read-endpoints.ts'

const afterEvent = z
  .string()
  .refine((id) => parseEventId(id) !== undefined)
  .transform((id): ReplayStart => ({ from: 'event', ...defined(parseEventId(id), 'event') }))
  .meta({ override: EVENT_ID_DOCUMENT })
const afterTime = rfc3339Time().transform((text): ReplayStart => ({ from: 'time', time: new Date(text) }))

export const REPLAY_BODY = z.strictObject({
  after: z
    .union([afterEvent, afterTime], 'must be the id of an event, or an RFC 3339 time with an offset')
    .optional()
    .meta({
      description: `Begins after the event with this id, or at this time. Left out: at the first event that the endpoint missed while it was disabled. ${TIME_FORM}`,
    }),
  types: eventTypes
    .optional()
    .meta({ description: 'Only events of these types. Left out: of all types of the endpoint.' }),
})

/**
 * POST /webhook-endpoints/:id/replay: 202 when the replay has started, 404, or 409 if it cannot start now. It also delivers
 * what was delivered before.
 */
export function startReplayHandler({ db, changes }: ChangeEndpointOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { after: start = { from: 'missed' }, types } = readBody(req.body, REPLAY_BODY, 'a replay')
    const { id: endpointId } = req.params
    const { merchantId } = res.locals
    // The id is made before the first attempt, as that of an endpoint.
    const replay = { merchantId, endpointId, id: uuidv7(), start, types }
    const started: StartedReplay = isUuid(endpointId)
      ? await changes.run(res, () => startReplay(db, replay))
      : { outcome: 'unknown-endpoint' }
    if (started.outcome !== 'started') throw refusal(started.outcome)
    sendJson(res, 202, replayJson(started.replay))
  }
}

const replayJson = ({ id, endpointId, types, createdAt }: Replay) => ({
  id,
  endpoint_id: endpointId,
  types,
  created_at: createdAt,
})

function refusal(outcome: Exclude<StartedReplay['outcome'], 'started'>): Problem {
  switch (outcome) {
    case 'unknown-endpoint':
      return unknownEndpoint()
    case 'unknown-event':
      return new Problem('not-found', 'No event has the id that after names.')
    case 'disabled':
      return new Problem('endpoint-disabled', 'The endpoint is disabled. Enable it, and then start the replay.')
    case 'nothing-missed':
      return new Problem('nothing-missed', 'The endpoint has missed no event. Send after with an event or a time.')
    case 'running':
      return new Problem('replay-running', 'A replay to this endpoint is not finished.')
    default:
      return outcome satisfies never
  }
}
