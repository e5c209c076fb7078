import { deleteEndpoint, rotateSecret, updateEndpoint } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import { newSecret } from '@cashflow/webhook-sender'
import type { RequestHandler } from 'express'
import { discardBody } from '../discard-body.ts'
import { sendJson } from '../send-json.ts'
import type { ChangeEndpointOptions } from './create-endpoint.ts'
import { assertUrl, ENDPOINT_CHANGE, ROTATION_BODY, readBody } from './endpoint-body.ts'
import { endpointJson } from './endpoint-json.ts'
import { unknownEndpoint } from './read-endpoints.ts'
import type { WebhookSettings } from './require-secrets.ts'

/** PATCH /webhook-endpoints/:id: 200 with the endpoint, or 404. Members that are left out stay as they are. */
export function changeEndpointHandler(
  { db, changes }: ChangeEndpointOptions,
  { policy }: WebhookSettings,
): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { enabled: isEnabled, ...settings } = readBody(req.body, ENDPOINT_CHANGE, 'an endpoint')
    if (settings.url !== undefined) assertUrl(settings.url, policy)
    const { id } = req.params
    const { merchantId } = res.locals
    const change = { ...settings, merchantId, id, isEnabled }
    const endpoint = isUuid(id) ? await changes.run(res, () => updateEndpoint(db, change)) : undefined
    if (!endpoint) throw unknownEndpoint()
    sendJson(res, 200, endpointJson(endpoint))
  }
}

/** DELETE /webhook-endpoints/:id: 204, or 404, also for an endpoint that is deleted already. */
export function deleteEndpointHandler({ db, changes }: ChangeEndpointOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    discardBody(req)
    const { id } = req.params
    const { merchantId } = res.locals
    const isDeleted = isUuid(id) && (await changes.run(res, () => deleteEndpoint(db, { merchantId, id })))
    if (!isDeleted) throw unknownEndpoint()
    res.status(204).end()
  }
}

/**
 * POST /webhook-endpoints/:id/rotate-secret: 200 with the endpoint and its new secret, or 404. No other answer shows the
 * secret.
 */
export function rotateSecretHandler(
  { db, changes }: ChangeEndpointOptions,
  { box }: WebhookSettings,
): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { overlap_s } = readBody(req.body, ROTATION_BODY, 'a rotation')
    const id = req.params.id.toLowerCase()
    const { merchantId } = res.locals
    const secret = newSecret()
    const rotation = { merchantId, id, secret: box.seal(secret, id), overlapMs: overlap_s * 1_000 }
    const endpoint = isUuid(id) ? await changes.run(res, () => rotateSecret(db, rotation)) : undefined
    if (!endpoint) throw unknownEndpoint()
    sendJson(res, 200, { ...endpointJson(endpoint), secret })
  }
}
