import { type CheckKind, type EndpointCheck, findCheck, type StartedCheck, startCheck, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { discardBody } from '../discard-body.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import type { ChangeEndpointOptions } from './create-endpoint.ts'
import { unknownEndpoint } from './read-endpoints.ts'

/**
 * POST /webhook-endpoints/:id/check and /ping: 202 with the check that services/webhooks will run, 404, or 429 if the last one
 * began less than a minute ago. While one is not finished, a repeated request gets that one.
 */
export function startCheckHandler(
  { db, changes }: ChangeEndpointOptions,
  kind: CheckKind,
): RequestHandler<{ id: string }> {
  return async (req, res) => {
    discardBody(req)
    const { id: endpointId } = req.params
    const { merchantId } = res.locals
    // The id is made before the first attempt, as that of an endpoint.
    const check = { merchantId, endpointId, id: uuidv7(), kind }
    const started: StartedCheck = isUuid(endpointId)
      ? await changes.run(res, () => startCheck(db, check))
      : { outcome: 'unknown-endpoint' }
    switch (started.outcome) {
      case 'started': {
        const shown = checkJson(started.check)
        res.setHeader('Location', shown.report_url)
        return sendJson(res, 202, shown)
      }
      case 'unknown-endpoint':
        throw unknownEndpoint()
      case 'too-soon':
        throw new Problem('check-limit', `An endpoint gets at most one ${kind} a minute.`, {
          headers: { 'Retry-After': String(Math.max(1, Math.ceil(started.afterMs / 1_000))) },
        })
      default:
        return started satisfies never
    }
  }
}

/** GET /webhook-endpoints/:id/checks/:check: 200 with the check, and with its report once it has finished, or 404. */
export function getCheckHandler({
  db,
  reads,
}: {
  db: Kysely<Tables>
  reads: RequestQueue
}): RequestHandler<{ id: string; check: string }> {
  return async (req, res) => {
    const { id: endpointId, check: id } = req.params
    const { merchantId } = res.locals
    const isNamed = isUuid(endpointId) && isUuid(id)
    const check = isNamed ? await reads.run(res, () => findCheck(db, { merchantId, endpointId, id })) : undefined
    if (!check) throw new Problem('not-found', 'No check of this endpoint has this id.')
    sendJson(res, 200, checkJson(check))
  }
}

const checkJson = ({ id, endpointId, kind, createdAt, finishedAt, report }: EndpointCheck) => ({
  id,
  endpoint_id: endpointId,
  kind,
  status: finishedAt === null ? 'pending' : 'finished',
  report_url: `/api/v1/webhook-endpoints/${endpointId}/checks/${id}`,
  created_at: createdAt,
  finished_at: finishedAt,
  report,
})
