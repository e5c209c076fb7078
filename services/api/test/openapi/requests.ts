import { type Answer, sendRaw } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import type { Operation } from './contract.ts'

export interface Parts {
  id?: string
  /** With its question mark. */
  query?: string
  headers?: Readonly<Record<string, string>>
  body?: string | undefined
}

export const UNKNOWN_ID = '019a0000-0000-7000-8000-000000000000'

/** A request that the document allows, changed by `parts`. */
export function textOf(
  { method, path, node }: Operation,
  { id = UNKNOWN_ID, query = '', headers = {}, body }: Parts = {},
) {
  const sent = body ?? (node.requestBody ? bodyWith() : undefined)
  const all = {
    Host: 'x',
    Connection: 'close',
    ...(sent !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path.replace('{id}', id)}${query} HTTP/1.1\r\n${lines.join('')}\r\n${sent ?? ''}`
}

export const ask = ({ http }: ApiUnderTest, operation: Operation, parts?: Parts): Promise<Answer> =>
  sendText(http.url, textOf(operation, parts))

export const sendText = (url: string, text: string): Promise<Answer> => sendRaw(url, { bytes: Buffer.from(text) })
