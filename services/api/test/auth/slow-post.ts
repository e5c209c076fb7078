import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { eventually, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'

/**
 * Sends the headers of a POST and half of its body. Resolves when the API has accepted the key and reads the body.
 *
 * @returns `finish` sends the rest, and `answer` is the whole answer
 */
export async function startPost(api: ApiUnderTest, key: string) {
  const body = bodyWith()
  const socket = openSocket(api.http.url)
  await once(socket, 'connect')
  const before = api.admitted.count
  const headers = [
    'POST /payments HTTP/1.1',
    'Host: x',
    'Connection: close',
    `Authorization: Bearer ${key}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  socket.write(`${headers.join('\r\n')}\r\n\r\n${body.slice(0, 10)}`)
  await eventually(() => expect(api.admitted.count).to.equal(before + 1))
  return { finish: () => void socket.write(body.slice(10)), answer: text(socket) }
}
