import { defined, eventually } from '@cashflow/async'
import type { Merchant } from './merchants.ts'
import { ask, objectIn } from './payment-api.ts'
import type { Random } from './random.ts'
import { type Receiver, startReceiver } from './receiver.ts'

export interface EndpointSettings {
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly ordering: 'payment' | 'none'
}

/** A webhook endpoint, with what arrived at it. */
export interface WebhookEndpoint extends EndpointSettings, Pick<Receiver, 'requests' | 'secrets'> {
  readonly id: string
  readonly merchantId: string
  /** When the API confirmed that it is deleted, in milliseconds since 1970. */
  deletedAt?: number
}

/** An endpoint while the system runs. */
export interface RunningEndpoint extends WebhookEndpoint {
  readonly merchant: Merchant
  readonly receiver: Receiver
}

export type WebhookEndpoints = Awaited<ReturnType<typeof createWebhookEndpoints>>

export interface WebhookEndpointsOptions {
  apiUrls: readonly string[]
  /** Two of them. */
  merchants: readonly Merchant[]
  random: Random
}

/** Time for which the former secret signs as well, in seconds. */
export const OVERLAP_S = 15

const ENDS = ['payment.succeeded', 'payment.failed']
const KINDS: readonly (EndpointSettings & { readonly of: number })[] = [
  { of: 0, types: null, ordering: 'payment' },
  { of: 0, types: ENDS, ordering: 'payment' },
  { of: 0, types: null, ordering: 'none' },
  { of: 1, types: null, ordering: 'payment' },
  { of: 1, types: ['payment.created'], ordering: 'none' },
]
/** Longer than an API needs after any fault, also on a slow machine. */
const PATIENT = { timeoutMs: 60_000, intervalMs: 250 }

interface ApiRequest {
  readonly method: string
  /** Below `/webhook-endpoints`. */
  readonly path: string
  readonly body?: object
  /** The statuses of an answer that ends it. */
  readonly expected: readonly number[]
}

/** Creates five endpoints of two merchants over the API, each with a receiver. */
export async function createWebhookEndpoints({ apiUrls, merchants, random }: WebhookEndpointsOptions) {
  const all: RunningEndpoint[] = []
  await using receivers = new AsyncDisposableStack()
  let kept = receivers

  async function request({ key }: Merchant, { method, path, body, expected }: ApiRequest) {
    const content = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await ask(`${random.pick(apiUrls)}/api/v1/webhook-endpoints${path}`, key, { method, ...content })
    if (!answer || !expected.includes(answer.status))
      throw new Error(`${method} ${path} was answered with ${answer?.status}: ${answer?.text}`)
    return objectIn(answer.text)
  }

  /** Asks any API until one gives an expected answer. So it may act twice. */
  const manage = (merchant: Merchant, what: ApiRequest) => eventually(() => request(merchant, what), PATIENT)

  /** Each attempt has a receiver of its own, because one without an answer may have created an endpoint. */
  async function create(merchant: Merchant, settings: EndpointSettings) {
    const receiver = kept.adopt(await startReceiver(random), (started) => started.stop())
    const body = { ...settings, url: receiver.url }
    return { receiver, created: await request(merchant, { method: 'POST', path: '', body, expected: [201] }) }
  }

  async function add(merchant: Merchant, settings: EndpointSettings): Promise<RunningEndpoint> {
    const { receiver, created } = await eventually(() => create(merchant, settings), PATIENT)
    receiver.learn(String(created.secret))
    const { requests, secrets } = receiver
    const ids = { id: String(created.id), merchantId: merchant.id }
    const endpoint: RunningEndpoint = { ...settings, ...ids, requests, secrets, merchant, receiver }
    all.push(endpoint)
    return endpoint
  }

  for (const { of, ...settings } of KINDS) await add(defined(merchants[of], 'merchant'), settings)
  const own: readonly RunningEndpoint[] = [...all]
  for (const { merchant, receiver } of own) {
    const foreign = own.find((other) => other.merchant !== merchant)
    receiver.redirectTo(defined(foreign, 'endpoint of another merchant').receiver.url)
  }
  kept = receivers.move()
  return {
    /** Those that exist for the whole run. */
    own,
    /** Also those that were deleted. */
    all: all as readonly RunningEndpoint[],
    /** Creates one more endpoint. */
    add,
    async setEnabled({ id, merchant }: RunningEndpoint, enabled: boolean): Promise<void> {
      await manage(merchant, { method: 'PATCH', path: `/${id}`, body: { enabled }, expected: [200] })
    },
    /** Starts a replay of what an endpoint missed while it was disabled, as soon as its replay before has ended. */
    async replayMissed({ id, merchant }: RunningEndpoint): Promise<void> {
      const replay = { method: 'POST', path: `/${id}/replay`, body: {}, expected: [202, 409] }
      await eventually(async () => {
        const { code } = await manage(merchant, replay)
        // Nothing missed: a request without an answer has started the replay.
        if (code !== undefined && code !== 'nothing-missed') throw new Error(`no replay to ${id}: ${code}`)
      }, PATIENT)
    },
    async rotateSecret({ id, merchant, receiver }: RunningEndpoint): Promise<void> {
      const rotation = { method: 'POST', path: `/${id}/rotate-secret`, body: { overlap_s: OVERLAP_S }, expected: [200] }
      const { secret } = await manage(merchant, rotation)
      receiver.learn(String(secret))
    },
    async remove(endpoint: RunningEndpoint): Promise<void> {
      const { id, merchant } = endpoint
      // 404: a request without an answer has deleted it.
      await manage(merchant, { method: 'DELETE', path: `/${id}`, expected: [204, 404] })
      endpoint.deletedAt = Date.now()
    },
    stop: () => kept.disposeAsync(),
  }
}
