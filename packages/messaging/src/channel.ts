import { aborted, errorMessage, within } from '@cashflow/async'
import type { Channel, ConfirmChannel } from 'amqplib/callback_api'
import { createChannel } from './amqplib-internals.ts'
import type { BrokerConnection } from './broker-connection.ts'

const SETUP_DEADLINE_MS = 10_000
const CLOSE_DEADLINE_MS = 2_000

/** An open channel. */
export interface OpenChannel<AnyChannel> {
  readonly channel: AnyChannel
  /** Aborted, with the cause, when the channel or its connection is lost. */
  readonly closed: AbortSignal
}

/** @param bodyBytesMax how many bytes of a delivery's body are kept; undefined: all of them */
export function openChannel(broker: BrokerConnection, bodyBytesMax?: number): Promise<OpenChannel<Channel>> {
  return open(broker, (done) => createChannel(broker.amqp, bodyBytesMax, done))
}

export function openConfirmChannel(broker: BrokerConnection): Promise<OpenChannel<ConfirmChannel>> {
  return open(broker, (done) => broker.amqp.createConfirmChannel(done))
}

/** Adds the listeners before the broker answers: an `error` event without a listener would end the connection. */
function open<AnyChannel extends Channel>(
  broker: BrokerConnection,
  create: (done: (error: Error | null) => void) => AnyChannel,
): Promise<OpenChannel<AnyChannel>> {
  return new Promise((resolve, reject) => {
    const closed = new AbortController()
    const channel = create((error) => (error ? reject(error) : resolve({ channel, closed: closed.signal })))
    channel.on('error', (error) => closed.abort(error))
    channel.on('close', () => closed.abort(broker.closed.aborted ? broker.closed.reason : new Error('channel closed')))
    broker.closed.addEventListener('abort', () => closed.abort(broker.closed.reason), { signal: closed.signal })
  })
}

/** Opens a channel and sets it up, each by the deadline. A broker that does not answer in time is disconnected. */
export async function prepareChannel<AnyChannel extends Channel, Session>(
  broker: BrokerConnection,
  opening: (broker: BrokerConnection) => Promise<OpenChannel<AnyChannel>>,
  setUp: (opened: OpenChannel<AnyChannel>) => Promise<Session>,
  signal: AbortSignal,
  deadlineMs = SETUP_DEADLINE_MS,
): Promise<[OpenChannel<AnyChannel>, Session]> {
  const limits = { deadlineMs, what: 'setting up a channel', signal }
  let opened: OpenChannel<AnyChannel> | undefined
  try {
    opened = await within(opening(broker), limits)
    return [opened, await within(setUp(opened), limits)]
  } catch (error) {
    if (opened && (opened.closed.aborted || signal.aborted)) await closeChannel(broker, opened)
    else if (!signal.aborted) broker.drop(errorMessage(error))
    throw error
  }
}

/** Does `work` on a channel of its own: when the broker refuses a request, it closes the channel of that request. */
export async function onOwnChannel<Answer>(
  broker: BrokerConnection,
  work: (channel: Channel) => Promise<Answer>,
  signal: AbortSignal,
  deadlineMs?: number,
): Promise<Answer> {
  const [opened, answer] = await prepareChannel(broker, openChannel, ({ channel }) => work(channel), signal, deadlineMs)
  await closeChannel(broker, opened)
  return answer
}

/** Closes a channel. Its unsettled deliveries return to their queue. A broker that does not answer is disconnected. */
export async function closeChannel(broker: BrokerConnection, { channel, closed }: OpenChannel<Channel>): Promise<void> {
  if (closed.aborted) return
  try {
    channel.close()
    await within(aborted(closed), { deadlineMs: CLOSE_DEADLINE_MS, what: 'closing the channel' })
  } catch (error) {
    broker.drop(errorMessage(error))
  }
}

/** Turns one request of the callback API into a promise. It also rejects where amqplib throws: on a closed channel. */
export function ask<Answer>(send: (done: (error: Error | null, answer: Answer) => void) => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    send((error, answer) => (error ? reject(error) : resolve(answer)))
  })
}
