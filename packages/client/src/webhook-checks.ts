import { named } from './named.ts'
import { type CallOptions, type Settings, send } from './send.ts'
import { readNamed, type WebhookCheck } from './webhook.ts'

/** The calls about checks of receivers. */
export function createWebhookChecks(settings: Settings) {
  async function start(id: string, kind: 'check' | 'ping', options?: CallOptions): Promise<WebhookCheck> {
    const request = { method: 'POST', path: `/webhook-endpoints/${named(id)}/${kind}` } as const
    return (await send(settings, { ...request, read: readNamed<WebhookCheck> }, options)).value
  }

  return {
    /**
     * Starts a check of the receiver behind an endpoint. `getCheck` has its report once it is finished. While one is not
     * finished, a repeated call gets that one.
     *
     * @throws ApiError `check-limit` within a minute of the last check
     */
    check(id: string, options?: CallOptions): Promise<WebhookCheck> {
      return start(id, 'check', options)
    },

    /** Starts to send an endpoint one valid event, as `check` does. */
    ping(id: string, options?: CallOptions): Promise<WebhookCheck> {
      return start(id, 'ping', options)
    },

    /** A check of an endpoint, with its report once it is finished. */
    async getCheck(endpointId: string, checkId: string, options?: CallOptions): Promise<WebhookCheck> {
      const path = `/webhook-endpoints/${named(endpointId)}/checks/${named(checkId)}`
      return (await send(settings, { method: 'GET', path, read: readNamed<WebhookCheck> }, options)).value
    },
  }
}
