import { setTimeout as sleep } from 'node:timers/promises'
import { type CashflowClient, createClient } from '@cashflow/client'
import { uuidv7 } from '@cashflow/runtime'

const ANSWER_MS = 45_000
const REFUSALS_MAX = 10
const RETRY_AFTER_MAX_S = 5

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined if the text is no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Default: the deployment's. Null sends none. */
  readonly key?: string | null
}

export interface NewBody {
  readonly amount?: string
  readonly reference?: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** The API that is checked. */
export interface Deployment {
  readonly key: string | undefined
  readonly client: CashflowClient
  /** A name that no payment of the deployment has. */
  newName(): string
  /** Sends a request as it is. One that is refused for its pace is sent again. */
  ask(path: string, asked?: Asked): Promise<Answer>
  /** POSTs a payment of 1.00 USD under an idempotency key. */
  create(key: string, body?: NewBody | string): Promise<Answer>
}

export function openDeployment(url: string, key: string | undefined): Deployment {
  const base = `${url.replace(/\/+$/, '')}/api/v1`

  async function askOnce(path: string, { method = 'GET', headers = {}, body, key: own = key ?? null }: Asked) {
    const authorization = own === null ? {} : { authorization: `Bearer ${own}` }
    const response = await fetch(base + path, {
      ...{ method, headers: { ...authorization, ...headers }, redirect: 'manual', body: body ?? null },
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: asObject(text) }
  }

  async function ask(path: string, asked: Asked = {}): Promise<Answer> {
    for (let refusals = 0; ; refusals++) {
      const answer = await askOnce(path, asked)
      if ((answer.status !== 429 && answer.status !== 503) || refusals === REFUSALS_MAX) return answer
      await sleep(1_000 * Math.min(RETRY_AFTER_MAX_S, Number(answer.headers.get('retry-after')) || 1))
    }
  }

  const newName = () => `conformance-${uuidv7()}`
  return {
    key,
    client: createClient({ url, key }),
    newName,
    ask,
    create(idempotencyKey, body = {}) {
      const text =
        typeof body === 'string'
          ? body
          : JSON.stringify({ amount: '1.00', currency: 'USD', reference: newName(), ...body })
      const headers = { 'content-type': 'application/json', 'idempotency-key': `"${idempotencyKey}"` }
      return ask('/payments', { method: 'POST', headers, body: text })
    },
  }
}

function asObject(text: string): Answer['body'] {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body } : undefined
  } catch {
    return undefined
  }
}
