import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defined } from '@cashflow/async'
import { Webhook } from 'standardwebhooks'

/** One step of a receiver's work on a request. A broken receiver has another one of these. */
export interface Steps {
  /** Returns the event. Throws for what is not ours. */
  verify(body: Buffer, headers: Record<string, string>): CheckEvent
  bodyBytesMax: number
  /** The status of a refusal. Undefined closes the connection. */
  refusal: number | undefined
  /** The types that it knows. Undefined for all. */
  types: readonly string[] | undefined
  /** What names an event. */
  idOf(headers: Record<string, string>): string
  isStored(ids: ReadonlySet<string>, id: string): boolean
  /** What names the payment of an event. */
  subjectOf(event: CheckEvent): string
  /** What grows from event to event of a payment. */
  placeOf(event: CheckEvent): number
  isOutdated(latest: number, place: number): boolean
  /** Waits before the event is stored. */
  beforeStoring(event: CheckEvent): Promise<void>
  beforeAnswer(): Promise<void>
  tellsOutcome: boolean
  /** The number of requests after which it answers 429. */
  requestsMax: number
}

export interface CheckEvent {
  readonly type: string
  readonly timestamp: string
  readonly data: { readonly id: string; readonly sequence: number; readonly check: string }
}

export type GradedReceiver = Awaited<ReturnType<typeof startReceiver>>

/** A receiver that does all that it should, in memory, verified by the library of Standard Webhooks. */
export async function startReceiver(secret: string, broken: Partial<Steps> = {}) {
  const webhook = new Webhook(secret)
  const steps: Steps = {
    verify: (body, headers) => webhook.verify(body, headers) as CheckEvent,
    bodyBytesMax: 1_000_000,
    refusal: 400,
    types: undefined,
    isStored: (ids, id) => ids.has(id),
    idOf: (headers) => defined(headers['webhook-id'], 'webhook-id'),
    subjectOf: ({ data }) => data.id,
    placeOf: ({ data }) => data.sequence,
    isOutdated: (latest, place) => place < latest,
    beforeStoring: async () => {},
    beforeAnswer: async () => {},
    tellsOutcome: true,
    requestsMax: Number.POSITIVE_INFINITY,
    ...broken,
  }
  const ids = new Set<string>()
  const latest = new Map<string, number>()
  const events: CheckEvent[] = []

  let requests = 0

  async function receive(
    body: Buffer,
    headers: Record<string, string>,
  ): Promise<{ status: number | undefined; outcome?: string }> {
    requests += 1
    if (requests > steps.requestsMax) return { status: 429 }
    if (body.length > steps.bodyBytesMax) return { status: 413 }
    let event: CheckEvent
    try {
      event = steps.verify(body, headers)
    } catch {
      return { status: steps.refusal }
    }
    events.push(event)
    if (steps.types?.every((type) => type !== event.type)) return { status: 500 }
    const id = steps.idOf(headers)
    const isKnown = steps.isStored(ids, id)
    await steps.beforeStoring(event)
    if (isKnown) return { status: 204, outcome: 'duplicate' }
    ids.add(id)
    const [subject, place] = [steps.subjectOf(event), steps.placeOf(event)]
    if (steps.isOutdated(latest.get(subject) ?? Number.NEGATIVE_INFINITY, place))
      return { status: 204, outcome: 'outdated' }
    latest.set(subject, place)
    return { status: 204, outcome: 'handled' }
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { status, outcome } = await receive(Buffer.concat(chunks), request.headers as Record<string, string>)
    await steps.beforeAnswer()
    if (status === undefined) return void request.socket.destroy()
    if (steps.tellsOutcome && outcome) response.setHeader('Webhook-Outcome', outcome)
    response.writeHead(status).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    /** Those that it took for ours. */
    events: events as readonly CheckEvent[],
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
