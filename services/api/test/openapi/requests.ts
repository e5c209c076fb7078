import { type Answer, sendRaw } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import type { Operation } from './contract.ts'

export interface Parts {
  id?: string
  /** The id of a check. */
  check?: string
  /** With its question mark. */
  query?: string
  headers?: Readonly<Record<string, string>>
  body?: string | undefined
}

export const UNKNOWN_ID = '019a0000-0000-7000-8000-000000000000'

/** Bodies of operations that create no payment. */
const BODIES: Readonly<Record<string, string>> = {
  createWebhookEndpoint: '{"url": "https://hooks.example.com/cashflow"}',
  changeWebhookEndpoint: '{}',
  rotateWebhookSecret: '{}',
  replayWebhooks: '{}',
  redeliverEvent: '{}',
}

/** A body that the document allows. A payment has a new reference of the same length each time. */
export function bodyOf({ operationId, node }: Operation): string | undefined {
  return node.requestBody && (BODIES[operationId] ?? bodyWith())
}

/** A scope that does not allow the operation. */
export const otherScope = ({ method }: Operation) => (method === 'GET' ? 'payments:write' : 'payments:read')

/** A request that the document allows, changed by `parts`. */
export function textOf(asked: Operation, { id, check = UNKNOWN_ID, query = '', headers = {}, body }: Parts = {}) {
  const { method, path } = asked
  const named = id ?? (path.includes('/events/{id}/') ? `evt_${UNKNOWN_ID}_1` : UNKNOWN_ID)
  const sent = body ?? bodyOf(asked)
  const all = {
    Host: 'x',
    Connection: 'close',
    ...(sent !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path.replace('{id}', named).replace('{check}', check)}${query} HTTP/1.1\r\n${lines.join('')}\r\n${sent ?? ''}`
}

export const ask = ({ http }: ApiUnderTest, operation: Operation, parts?: Parts): Promise<Answer> =>
  sendText(http.url, textOf(operation, parts))

export const sendText = (url: string, text: string): Promise<Answer> => sendRaw(url, { bytes: Buffer.from(text) })
