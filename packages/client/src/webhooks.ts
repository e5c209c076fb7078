import { ApiError } from './errors.ts'
import { named } from './named.ts'
import { queryOf } from './query.ts'
import { type CallOptions, type Settings, send } from './send.ts'
import {
  type DeliveryStatus,
  type NewWebhookEndpoint,
  type NewWebhookReplay,
  readNamed,
  readWebhookPage,
  type WebhookDelivery,
  type WebhookDeliveryWithAttempts,
  type WebhookEndpoint,
  type WebhookEndpointChange,
  type WebhookEndpointWithSecret,
  type WebhookPage,
  type WebhookReplay,
} from './webhook.ts'

/** More than a merchant may have, so that one page has all of them. */
const ENDPOINTS_SHOWN = 100

export interface DeliveryListOptions extends CallOptions {
  /** The id of an endpoint. */
  endpoint?: string | undefined
  status?: DeliveryStatus | undefined
  /** The id of an event. */
  event?: string | undefined
  /** Deliveries of a page, 1 to 100. Default: 20. */
  limit?: number | undefined
  /** The `next_cursor` of a page with the same filters. */
  cursor?: string | undefined
}

/** The calls about webhooks. */
export function createWebhooks(settings: Settings) {
  /** One page of deliveries, newest first. */
  async function listDeliveriesPage({ timeoutMs, signal, ...query }: DeliveryListOptions = {}) {
    const request = { method: 'GET', path: `/webhook-deliveries${queryOf(query)}` } as const
    const answer = await send(settings, { ...request, read: readWebhookPage<WebhookDelivery> }, { timeoutMs, signal })
    return answer.value
  }

  return {
    /**
     * Creates an endpoint. The result is the only one that has its `secret`. An attempt without an answer is not repeated: it
     * would create another endpoint. The error then has `mayHaveHappened`.
     */
    async createEndpoint(endpoint: NewWebhookEndpoint, options?: CallOptions): Promise<WebhookEndpointWithSecret> {
      const request = { method: 'POST', path: '/webhook-endpoints', body: JSON.stringify(endpoint) } as const
      const once = { ...request, isOnce: true, read: readNamed<WebhookEndpointWithSecret> }
      return (await send(settings, once, options)).value
    },

    /** All endpoints, the oldest first. */
    async listEndpoints(options?: CallOptions): Promise<readonly WebhookEndpoint[]> {
      const request = { method: 'GET', path: `/webhook-endpoints?limit=${ENDPOINTS_SHOWN}` } as const
      return (await send(settings, { ...request, read: readWebhookPage<WebhookEndpoint> }, options)).value.data
    },

    async getEndpoint(id: string, options?: CallOptions): Promise<WebhookEndpoint> {
      const request = { method: 'GET', path: endpointPath(id), read: readNamed<WebhookEndpoint> } as const
      return (await send(settings, request, options)).value
    },

    /** Changes the members that are given, and returns the endpoint. */
    async updateEndpoint(id: string, change: WebhookEndpointChange, options?: CallOptions): Promise<WebhookEndpoint> {
      const request = { method: 'PATCH', path: endpointPath(id), body: JSON.stringify(change) } as const
      return (await send(settings, { ...request, read: readNamed<WebhookEndpoint> }, options)).value
    },

    /** Deletes an endpoint. If an earlier attempt of this call has deleted it, that is success too. */
    async deleteEndpoint(id: string, options?: CallOptions): Promise<void> {
      const request = { method: 'DELETE', path: endpointPath(id), read: () => undefined } as const
      await send(settings, request, options).catch((error: unknown) => {
        if (error instanceof ApiError && error.code === 'not-found' && error.mayHaveHappened) return
        throw error
      })
    },

    /**
     * Replaces the secret of an endpoint. The result is the only one that has the new `secret`. The former one signs as well
     * for `overlap_s` seconds, by default a day.
     */
    async rotateSecret(
      id: string,
      { overlap_s, ...options }: CallOptions & { overlap_s?: number | undefined } = {},
    ): Promise<WebhookEndpointWithSecret> {
      const request = { method: 'POST', path: `${endpointPath(id)}/rotate-secret` } as const
      const body = JSON.stringify({ overlap_s })
      return (await send(settings, { ...request, body, read: readNamed<WebhookEndpointWithSecret> }, options)).value
    },

    /**
     * Delivers past events to an endpoint again. An attempt without an answer is not repeated: the replay may have started.
     *
     * @throws ApiError `nothing-missed`, `endpoint-disabled` or `replay-running`
     */
    async replay(id: string, replay: NewWebhookReplay = {}, options?: CallOptions): Promise<WebhookReplay> {
      const request = { method: 'POST', path: `${endpointPath(id)}/replay`, body: JSON.stringify(replay) } as const
      return (await send(settings, { ...request, isOnce: true, read: readNamed<WebhookReplay> }, options)).value
    },

    /** Deliveries, newest first, from as many pages as the loop asks for. `timeoutMs` is the time of one page. */
    async *listDeliveries(options: DeliveryListOptions = {}): AsyncGenerator<WebhookDelivery, void, undefined> {
      for (let cursor = options.cursor; ; ) {
        const page: WebhookPage<WebhookDelivery> = await listDeliveriesPage({ ...options, cursor })
        yield* page.data
        if (page.next_cursor === null) return
        cursor = page.next_cursor
      }
    },

    listDeliveriesPage,

    /** The deliveries of an event with their attempts, the oldest first. */
    async deliveriesOf(eventId: string, options?: CallOptions): Promise<readonly WebhookDeliveryWithAttempts[]> {
      const request = { method: 'GET', path: `${eventPath(eventId)}/deliveries` } as const
      const read = readWebhookPage<WebhookDeliveryWithAttempts>
      return (await send(settings, { ...request, read }, options)).value.data
    },

    /** Makes the deliveries of an event due now, or the one to `endpoint_id`, and returns them. It may be repeated. */
    async redeliver(
      eventId: string,
      { endpoint_id, ...options }: CallOptions & { endpoint_id?: string | undefined } = {},
    ): Promise<readonly WebhookDelivery[]> {
      const request = { method: 'POST', path: `${eventPath(eventId)}/redeliver` } as const
      const body = JSON.stringify({ endpoint_id })
      return (await send(settings, { ...request, body, read: readWebhookPage<WebhookDelivery> }, options)).value.data
    },
  }
}

const endpointPath = (id: string) => `/webhook-endpoints/${named(id)}`
const eventPath = (id: string) => `/events/${named(id)}`
