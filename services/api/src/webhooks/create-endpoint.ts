import { createEndpoint, ENDPOINTS_MAX, type Tables } from '@cashflow/db'
import { uuidv7 } from '@cashflow/runtime'
import { newSecret } from '@cashflow/webhook-sender'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { assertUrl, ENDPOINT_BODY, readBody } from './endpoint-body.ts'
import { endpointJson } from './endpoint-json.ts'
import type { WebhookSettings } from './require-secrets.ts'

export interface ChangeEndpointOptions {
  db: Kysely<Tables>
  changes: RequestQueue
}

/**
 * POST /webhook-endpoints: 201 with the endpoint and its secret, or 409 if the merchant has 16 of them. No other answer
 * shows the secret. A repeated request creates another endpoint.
 */
export function createEndpointHandler(
  { db, changes }: ChangeEndpointOptions,
  { box, policy }: WebhookSettings,
): RequestHandler {
  return async (req, res) => {
    const settings = readBody(req.body, ENDPOINT_BODY, 'an endpoint')
    assertUrl(settings.url, policy)
    const { merchantId } = res.locals
    // Made before the first attempt. If the answer to its COMMIT is lost, the next attempt finds its own endpoint.
    const id = uuidv7()
    const secret = newSecret()
    const created = await changes.run(res, () =>
      createEndpoint(db, { ...settings, merchantId, id, secret: box.seal(secret, id) }),
    )
    if (created.outcome === 'limit')
      throw new Problem('endpoint-limit', `A merchant has at most ${ENDPOINTS_MAX} endpoints.`)
    res.setHeader('Location', `${req.baseUrl}/${id}`)
    sendJson(res, 201, { ...endpointJson(created.endpoint), secret })
  }
}
