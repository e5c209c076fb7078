import type { Channel, ConfirmChannel } from 'amqplib/callback_api'
import { errorMessage } from './errors.ts'
import type { BrokerConnection } from './link.ts'
import { aborted, within } from './waiting.ts'

const SETUP_DEADLINE_MS = 10_000
const CLOSE_DEADLINE_MS = 2_000

/** A channel and the end of it: aborted when the channel or its connection is gone, with the cause. */
export interface OpenChannel<AnyChannel> {
  readonly channel: AnyChannel
  readonly closed: AbortSignal
}

/** @param bodyBytesMax how much of a delivery's body is kept; all of it, if undefined */
export function openChannel(link: BrokerConnection, bodyBytesMax?: number): Promise<OpenChannel<Channel>> {
  // `contentMax` is our patch's.
  return open(link, (done) => link.amqp.createChannel({ contentMax: bodyBytesMax } as object, done))
}

export function openConfirmChannel(link: BrokerConnection): Promise<OpenChannel<ConfirmChannel>> {
  return open(link, (done) => link.amqp.createConfirmChannel(done))
}

/** The listeners are there before the broker is asked: an `error` event that nobody hears would take the connection. */
function open<AnyChannel extends Channel>(
  link: BrokerConnection,
  create: (done: (error: Error | null) => void) => AnyChannel,
): Promise<OpenChannel<AnyChannel>> {
  return new Promise((resolve, reject) => {
    const closed = new AbortController()
    const channel = create((error) => (error ? reject(error) : resolve({ channel, closed: closed.signal })))
    channel.on('error', (error) => closed.abort(error))
    channel.on('close', () => closed.abort(link.closed.aborted ? link.closed.reason : new Error('channel closed')))
    link.closed.addEventListener('abort', () => closed.abort(link.closed.reason), { signal: closed.signal })
  })
}

/** Opens a channel and makes it useful. What the broker leaves unanswered until the deadline loses the connection. */
export async function prepareChannel<AnyChannel extends Channel, Session>(
  link: BrokerConnection,
  opening: (link: BrokerConnection) => Promise<OpenChannel<AnyChannel>>,
  setUp: (opened: OpenChannel<AnyChannel>) => Promise<Session>,
  signal: AbortSignal,
  deadlineMs = SETUP_DEADLINE_MS,
): Promise<[OpenChannel<AnyChannel>, Session]> {
  const limits = { deadlineMs, what: 'setting up a channel', signal }
  let opened: OpenChannel<AnyChannel> | undefined
  try {
    opened = await within(opening(link), limits)
    return [opened, await within(setUp(opened), limits)]
  } catch (error) {
    if (opened && (opened.closed.aborted || signal.aborted)) await closeChannel(link, opened)
    else if (!signal.aborted) link.drop(errorMessage(error))
    throw error
  }
}

/** What is unsettled on it goes back to its queue. A broker that does not answer loses the connection. */
export async function closeChannel(link: BrokerConnection, { channel, closed }: OpenChannel<Channel>): Promise<void> {
  if (closed.aborted) return
  try {
    channel.close()
    await within(aborted(closed), { deadlineMs: CLOSE_DEADLINE_MS, what: 'closing the channel' })
  } catch (error) {
    link.drop(errorMessage(error))
  }
}

/** One request of the callback API as a promise; also a request on a channel that is gone, which throws at once. */
export function ask<Answer>(send: (done: (error: Error | null, answer: Answer) => void) => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    send((error, answer) => (error ? reject(error) : resolve(answer)))
  })
}
