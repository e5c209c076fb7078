import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { amqp } from '@cashflow/testing'
import { onCleanUp } from './rig.ts'

const { bytes, contentFrames, createMethodReader, long, longLong, longText, method, methodFrame, short, shortText } =
  amqp
export type Method = amqp.Method

export const connectionClose = (code: number, text: string) =>
  method(10, 50, short(code), shortText(text), short(0), short(0))
export const connectionBlocked = (reason: string) => method(10, 60, shortText(reason))
export const channelClose = (code: number, text: string) =>
  method(20, 40, short(code), shortText(text), short(0), short(0))
/** A channel.close that blames `basic.publish`. */
export const publishRefused = (code: number, text: string) =>
  method(20, 40, short(code), shortText(text), short(60), short(40))

/** A delivery to the consumer of `payments`. */
export const delivered = (properties: Buffer, body: string) => (channel: number) =>
  Buffer.concat([
    methodFrame(
      channel,
      method(60, 60, shortText('payments'), longLong(1), bytes(0), shortText(''), shortText('payments')),
    ),
    contentFrames(channel, properties, Buffer.from(body)),
  ])
/** A message that returns to its publisher, because no queue is bound to its topic. */
export const returned = (properties: Buffer, body: string) => (channel: number) =>
  Buffer.concat([
    methodFrame(channel, method(60, 50, short(312), shortText('NO_ROUTE'), shortText(''), shortText('payments'))),
    contentFrames(channel, properties, Buffer.from(body)),
  ])

const START = method(10, 10, bytes(0, 9), long(0), longText('PLAIN'), longText('en_US'))

/** The answer to a queue's declaration. */
export const queueDeclared = (ready: number) => method(50, 11, shortText('q'), long(ready), long(0))

type Answers = Readonly<Record<string, Method | undefined>>

/** The answers to the methods that our clients send. */
const ANSWERS: Answers = {
  'start-ok': method(10, 30, short(2_047), long(131_072), short(0)),
  open: method(10, 41, shortText('')),
  'connection.close': method(10, 51),
  'channel.open': method(20, 11, long(0)),
  'channel.close': method(20, 41),
  'exchange.declare': method(40, 11),
  'queue.declare': queueDeclared(0),
  'queue.look': queueDeclared(0),
  'queue.bind': method(50, 21),
  qos: method(60, 11),
  // Our consumers use the queue's name as consumer tag.
  consume: method(60, 21, shortText('payments')),
  cancel: method(60, 31, shortText('payments')),
  'confirm.select': method(85, 11),
}

const ack = (tag: number) => method(60, 80, long(0), long(tag), bytes(0))

const NAMES: Readonly<Record<string, string>> = {
  '10.11': 'start-ok',
  '10.40': 'open',
  '10.50': 'connection.close',
  '10.51': 'connection.close-ok',
  '20.10': 'channel.open',
  '20.40': 'channel.close',
  '40.10': 'exchange.declare',
  '50.10': 'queue.declare',
  '50.20': 'queue.bind',
  '60.10': 'qos',
  '60.20': 'consume',
  '60.30': 'cancel',
  '60.40': 'publish',
  '60.80': 'ack',
  '85.10': 'confirm.select',
}

export interface FakeBroker {
  url: string
  /** True once the extra frame is sent. */
  readonly extraSent: boolean
  /** Consumers that were accepted, without the extra frame. */
  readonly consumers: number
  /** Acknowledgements received. */
  readonly acks: number
  /** Open channels. */
  readonly channels: number
  /** True once a client has answered the broker's connection.close. */
  readonly heardCloseOk: boolean
}

/**
 * A broker that accepts every request and delivers nothing. It sends `extra` in one TCP segment with its first answer to
 * the method `after`; `protocol` is the client's first line. `given` replaces answers. Stopped after the test.
 */
export async function createFakeBroker(
  after?: string,
  extra?: Method | ((channel: number) => Buffer),
  given: Answers = {},
): Promise<FakeBroker> {
  const answers = { ...ANSWERS, ...given }
  let extraSent = false
  let consumers = 0
  let channels = 0
  let acks = 0
  let heardCloseOk = false
  const url = await listen((client) => {
    const answer = (channel: number, name: string, regular: Method | undefined) => {
      if (name === 'connection.close-ok') heardCloseOk = true
      if (name === 'ack') acks++
      if (name === 'channel.open') channels++
      if (name === 'channel.close') channels--
      if (!regular) return
      const hasExtra = name === after && !extraSent
      if (hasExtra) extraSent = true
      else if (name === 'consume') consumers++
      client.write(
        Buffer.concat([methodFrame(channel, regular), extra && hasExtra ? toFrames(extra, channel) : bytes()]),
      )
    }
    readFrames(client, (channel, name) =>
      name === 'protocol' ? answer(0, name, START) : answer(channel, name, answers[name]),
    )
  })
  return {
    url,
    get extraSent() {
      return extraSent
    },
    get consumers() {
      return consumers
    },
    get acks() {
      return acks
    },
    get channels() {
      return channels
    },
    get heardCloseOk() {
      return heardCloseOk
    },
  }
}

/** A message as the broker receives it. */
export interface Arrival {
  topic: string
  /** Unanswered messages on the same channel before this one. */
  unanswered: number
}

/**
 * A broker that accepts every request. `answer` decides by a message's topic: a confirm after `ackAfterMs`, the end of the
 * channel or the connection, or a cut of the socket. After such an end it ignores further messages. Stopped after the test.
 */
export async function createPublishingBroker(
  answer: (topic: string) => Method | 'ack' | 'cut',
  { ackAfterMs = 0 }: { ackAfterMs?: number } = {},
) {
  const arrivals: Arrival[] = []
  const url = await listen((client) => {
    let tag = 0
    let acked = 0
    let ended = false
    const publish = (channel: number, topic: string) => {
      if (ended) return
      arrivals.push({ topic, unanswered: tag - acked })
      const own = ++tag
      const what = answer(topic)
      if (what === 'ack') {
        // After the messages that arrived together with this one.
        setTimeout(() => {
          if (ended) return
          acked++
          client.write(methodFrame(channel, ack(own)))
        }, ackAfterMs)
        return
      }
      ended = true
      if (what === 'cut') client.destroy()
      else client.write(methodFrame(what[0] === 10 ? 0 : channel, what))
    }
    readFrames(client, (channel, name, args) => {
      if (name === 'publish') return publish(channel, topicOf(args))
      if (name === 'channel.open') {
        tag = 0
        acked = 0
        ended = false
      }
      const regular = name === 'protocol' ? START : ANSWERS[name]
      if (regular) client.write(methodFrame(name === 'protocol' ? 0 : channel, regular))
    })
  })
  return { url, arrivals }
}

/** Reads the routing key of `basic.publish`. Its arguments are two bytes, the exchange, the routing key. */
function topicOf(args: Buffer): string {
  const at = 3 + args.readUInt8(2)
  return args.toString('utf8', at + 1, at + 1 + args.readUInt8(at))
}

/** Listens on a free port until the end of the test. Returns the URL. */
async function listen(serve: (client: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    client.on('error', () => {})
    sockets.add(client)
    client.on('close', () => sockets.delete(client))
    serve(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onCleanUp(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  return `amqp://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function toFrames(extra: Method | ((channel: number) => Buffer), channel: number): Buffer {
  if (typeof extra === 'function') return extra(channel)
  return methodFrame(extra[0] === 10 ? 0 : channel, extra)
}

/** Reads the flag `passive`: the first bit after the queue's name. */
function isPassive(declare: Buffer): boolean {
  return ((declare[14 + (declare[13] ?? 0)] ?? 0) & 1) === 1
}

function readFrames(client: Socket, onMethod: (channel: number, name: string, args: Buffer) => void): void {
  let greeting = 8
  const read = createMethodReader((channel, number, frame) => {
    const name = NAMES[number]
    if (name) onMethod(channel, name === 'queue.declare' && isPassive(frame) ? 'queue.look' : name, frame.subarray(11))
  })
  client.on('data', (data) => {
    if (greeting > 0) onMethod(0, 'protocol', data)
    read(data.subarray(greeting))
    greeting = 0
  })
}
