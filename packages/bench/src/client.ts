import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'

export interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
  /** Default: `content-type` only. */
  readonly headers?: Readonly<Record<string, string>>
  /** The expected status. Any other one is an error, because a refusal is fast and is no work. */
  readonly status: number
}

export type Client = ReturnType<typeof createClient>

const HEADERS = { 'content-type': 'application/json' }
const RETRY_AFTER_MS = 1_000
const GIVE_UP_AFTER_MS = 60_000

/** Creates a client with keep-alive connections to one server. */
export function createClient(url: string, connections: number) {
  const pool = new Pool(url, { connections, pipelining: 1 })
  return {
    /**
     * Resolves with the answer's body. Repeats the request after a 503, as a client of the API should. A 409 to a
     * repeated request then names the payment that was stored before.
     *
     * @throws Error for another status than the expected one, or when 503s last too long
     */
    async send(request: Request): Promise<string> {
      const giveUpAt = performance.now() + GIVE_UP_AFTER_MS
      for (let isRepeated = false; ; isRepeated = true) {
        const { status, text } = await exchange(pool, request)
        if (status === request.status || (isRepeated && status === 409)) return text
        if (status !== 503 || performance.now() > giveUpAt)
          throw new Error(
            `${request.method} ${request.path} was answered with ${status}, not ${request.status}: ${text}`,
          )
        await sleep(RETRY_AFTER_MS)
      }
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  }
}

function exchange(
  pool: Pool,
  { method, path, body, headers = HEADERS }: Request,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  let status = 0
  let text = ''
  // Without undici's streams, because a cheaper client leaves more CPU time to the system under test.
  pool.dispatch(
    { method, path, body: body ?? null, headers },
    {
      onRequestStart() {},
      onResponseStart(_controller, statusCode) {
        status = statusCode
      },
      onResponseData(_controller, chunk) {
        text += chunk.toString()
      },
      onResponseEnd: () => resolve({ status, text }),
      onResponseError: (_controller, error) => reject(error),
    },
  )
  return promise
}

/**
 * Returns requests to create payments, each with a unique reference.
 *
 * @param secret of the API key that each request sends, together with a unique idempotency key
 */
export function newPayments({ secret }: { secret?: string } = {}): () => Request {
  const prefix = randomBytes(6).toString('hex')
  let count = 0
  return () => {
    count += 1
    const body = `{"amount":100.5,"currency":"USD","reference":"${prefix}-${count}"}`
    const request = { method: 'POST', path: '/payments', body, status: 201 } as const
    if (secret === undefined) return request
    const headers = { ...HEADERS, authorization: `Bearer ${secret}`, 'idempotency-key': `${prefix}-${count}` }
    return { ...request, headers }
  }
}
