import { once } from 'node:events'
import { openSocket } from '../open-socket.ts'
import {
  bytes,
  contentFrames,
  createMethodReader,
  long,
  longText,
  method,
  methodFrame,
  short,
  shortText,
} from './bytes.ts'

/**
 * Publishes one message to a queue with exactly these bytes as its properties, which no library would send.
 *
 * @returns `taken` when the broker confirms it; otherwise how the broker closed the channel or the connection
 */
export async function publishRaw(url: string, queue: string, properties: Buffer, body: string): Promise<string> {
  const { pathname, username, password } = new URL(url)
  const socket = openSocket(url)
  const ended = Promise.withResolvers<string>()
  const send = (channel: number, ...given: Parameters<typeof method>) =>
    socket.write(methodFrame(channel, method(...given)))
  const vhost = decodeURIComponent(pathname.slice(1)) || '/'
  const next: Record<string, (frame: Buffer) => void> = {
    '10.10': () =>
      send(0, 10, 11, long(0), shortText('PLAIN'), longText(`\0${username}\0${password}`), shortText('en_US')),
    '10.30': () => {
      send(0, 10, 31, short(2_047), long(131_072), short(0))
      send(0, 10, 40, shortText(vhost), bytes(0, 0))
    },
    '10.41': () => send(1, 20, 10, bytes(0)),
    '20.11': () => send(1, 85, 10, bytes(0)),
    '85.11': () => {
      send(1, 60, 40, short(0), shortText(''), shortText(queue), bytes(0))
      socket.write(contentFrames(1, properties, Buffer.from(body)))
    },
    '60.80': () => ended.resolve('taken'),
    '10.50': (frame) => ended.resolve(`closed with ${frame.readUInt16BE(11)}`),
    '20.40': (frame) => ended.resolve(`channel closed with ${frame.readUInt16BE(11)}`),
  }
  socket.on(
    'data',
    createMethodReader((_, name, frame) => next[name]?.(frame)),
  )
  socket.on('close', () => ended.resolve('cut'))
  try {
    await once(socket, 'connect')
    socket.write(Buffer.concat([Buffer.from('AMQP'), bytes(0, 0, 9, 1)]))
    socket.setTimeout(20_000, () => socket.destroy())
    return await ended.promise
  } finally {
    socket.destroy()
  }
}
