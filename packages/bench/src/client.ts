import { randomBytes } from 'node:crypto'
import { Pool } from 'undici'

export interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
  /** Any other answer is an error: a refusal is quick, and must not count as work. */
  readonly status: number
}

/** Keep-alive connections to one server. */
export interface Client {
  /** Resolves with the answer's body. @throws Error when the status is another than the expected one */
  send(request: Request): Promise<string>
  close(): Promise<void>
}

const HEADERS = { 'content-type': 'application/json' }

export function createClient(url: string, connections: number): Client {
  const pool = new Pool(url, { connections, pipelining: 1 })
  return {
    send({ method, path, body = null, status }) {
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      let answered = 0
      let text = ''
      // Without undici's streams: the less the client costs, the more is left to what it measures.
      pool.dispatch(
        { method, path, body, headers: HEADERS },
        {
          onRequestStart() {},
          onResponseStart(_controller, statusCode) {
            answered = statusCode
          },
          onResponseData(_controller, chunk) {
            text += chunk.toString()
          },
          onResponseEnd() {
            if (answered === status) resolve(text)
            else reject(new Error(`${method} ${path} was answered with ${answered}, not ${status}: ${text}`))
          },
          onResponseError(_controller, error) {
            reject(error)
          },
        },
      )
      return promise
    },
    close: () => pool.destroy(),
  }
}

/** Requests to create payments, each with a reference that nobody else has. */
export function newPayments(): () => Request {
  const prefix = randomBytes(6).toString('hex')
  let count = 0
  return () => {
    count += 1
    const body = `{"amount":100.5,"currency":"USD","reference":"${prefix}-${count}"}`
    return { method: 'POST', path: '/payments', body, status: 201 }
  }
}
