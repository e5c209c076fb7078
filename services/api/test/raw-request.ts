import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { openSocket } from '@cashflow/testing'

export interface Answer {
  status: number
  headers: Record<string, string>
  /** The body as it came. */
  text: string
  /** The parsed JSON, or undefined if the answer has none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of any answer.
  body: any
  /** The amount as JSON text. */
  amountText: string | undefined
}

/** Sends bytes on a new connection, and reads until the server closes it. @throws Error unless it answers in HTTP */
export async function sendRaw(url: string, { bytes }: { bytes: Buffer }): Promise<Answer> {
  const socket = openSocket(url)
  await once(socket, 'connect')
  const answered = buffer(socket)
  socket.write(bytes)
  return parse(await answered)
}

function parse(answer: Buffer): Answer {
  const text = answer.toString()
  const end = text.indexOf('\r\n\r\n')
  const [start = '', ...lines] = text.slice(0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(start)?.[1])
  if (end < 0 || !status) throw new Error(`This is no HTTP answer: ${JSON.stringify(text.slice(0, 300))}`)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const [name, value] = [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  const body = text.slice(end + 4)
  return {
    status,
    headers,
    text: body,
    body: headers['content-type']?.includes('json') && body !== '' ? JSON.parse(body) : undefined,
    amountText: /"amount":([0-9.]+)/.exec(body)?.[1],
  }
}
