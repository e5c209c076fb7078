import type { Channel, ConfirmChannel } from 'amqplib/callback_api'
import { type Batch, createBatch, type OutboundMessage, type PublishOutcome } from './batch.ts'
import { closeChannel, type OpenChannel, openChannel, openConfirmChannel, prepareChannel } from './channel.ts'
import { type ConfirmSession, createConfirmSession } from './confirm-session.ts'
import type { ConnectionSupervisor } from './connection.ts'
import { blamesMessage, errorMessage } from './errors.ts'
import { superviseChannel } from './keep-channel.ts'
import type { BrokerConnection } from './link.ts'
import type { Logger } from './logger.ts'
import { createSuspects } from './suspects.ts'
import { declareTopology, type Topology } from './topology.ts'
import { aborted, createLatch } from './waiting.ts'

/** How long a message that is alone in flight has for its confirm, in milliseconds, or half of its call's deadline. */
const ALONE_MS = 2_000

export interface PublisherOptions {
  connection: ConnectionSupervisor
  topology: Topology
  logger: Logger
  /** Messages sent and not yet confirmed, over all calls. Default 1,024. */
  windowMax?: number
  /** How long the broker may nack everything, in milliseconds, before it is asked on a new channel. Default 10,000. */
  refusedMaxMs?: number
}

export interface ConfirmPublisher {
  readonly name: string
  /** Resolves at once; `whenReady` tells when it can publish. */
  start(): Promise<void>
  /** Takes no more, waits for what is on its way, each call to its own deadline. */
  stop(): Promise<void>
  /** Connected, topology declared, channel open, not blocked by an alarm. */
  readonly ready: boolean
  /** @throws the signal's reason, or an error when the publisher is stopped */
  whenReady(signal?: AbortSignal): Promise<void>
  /** Resolves when the broker has accepted the topology for the first time, also while it blocks publishing. */
  whenAccepted(signal?: AbortSignal): Promise<void>
  /**
   * One outcome for each message, at its index, no later than the deadline; never rejects. When the channel is lost
   * nothing more of a call is sent that had messages in flight, so that none overtakes an earlier one whose fate is unknown.
   * A message over which the broker closes the channel or the connection becomes `rejected`: see `Suspects`.
   */
  publish(messages: readonly OutboundMessage[], options: { deadlineMs: number }): Promise<PublishOutcome[]>
  /** Declares the topology again, after a return. False when that failed, which is logged; never rejects. */
  redeclare(): Promise<boolean>
}

export function createPublisher(options: PublisherOptions): ConfirmPublisher {
  const { connection, topology, logger, windowMax = 1024, refusedMaxMs = 10_000 } = options
  const stopping = new AbortController()
  const ready = createLatch<ConfirmSession>(stopping.signal)
  const accepted = createLatch<true>(stopping.signal)
  /** Calls that have something left to send, in order. */
  const waiting = new Set<Batch>()
  const suspects = createSuspects(logger)
  const unfinished = new Set<Promise<unknown>>()
  let current: { link: BrokerConnection; session: ConfirmSession } | undefined
  let running: Promise<void> | undefined
  let taking = true

  const declare = ({ channel }: OpenChannel<Channel>) => declareTopology(channel, topology)

  async function setUp(opened: OpenChannel<ConfirmChannel>): Promise<ConfirmSession> {
    await declare(opened)
    return createConfirmSession(opened, { exchange: topology.exchange, refusedMaxMs, suspects, progressed: pump })
  }

  function pump(): void {
    for (const batch of waiting) {
      while (!batch.done && batch.next < batch.messages.length) {
        const session = ready.value
        if (!session || session.congested || session.inFlight >= windowMax) return
        if (suspects.size === 0) session.sendNext(batch)
        else if (!sendCarefully(session, batch)) return
      }
      waiting.delete(batch)
    }
  }

  /** Returns false while something in flight has to be answered first. */
  function sendCarefully(session: ConfirmSession, batch: Batch): boolean {
    const alone = suspects.mustBeAlone(batch.messages[batch.next] as OutboundMessage)
    if (session.holdsLone || (alone && session.inFlight > 0)) return false
    if (alone && performance.now() > batch.aloneUntil) batch.giveUp('no time left to publish it alone')
    else session.sendNext(batch, alone)
    return true
  }

  async function hold(link: BrokerConnection): Promise<void> {
    const [opened, session] = await prepareChannel(link, openConfirmChannel, setUp, stopping.signal)
    accepted.open(true)
    const follow = () => {
      if (link.blocked || opened.closed.aborted || session.spent.aborted) return ready.shut()
      ready.open(session)
      pump()
    }
    current = { link, session }
    link.amqp.on('blocked', follow)
    link.amqp.on('unblocked', follow)
    // At once, as amqplib refuses the very next message.
    opened.closed.addEventListener('abort', ready.shut)
    session.spent.addEventListener('abort', ready.shut)
    follow()
    await aborted(opened.closed, session.spent, stopping.signal)
    ready.shut()
    current = undefined
    link.amqp.off('blocked', follow)
    link.amqp.off('unblocked', follow)
    if (!opened.closed.aborted) {
      if (session.spent.aborted) logRefused(link, session)
      return closeChannel(link, opened)
    }
    const { reason } = opened.closed
    // Without the culprit the next channel may live: it is opened at once, and calls with nothing in flight go on with it.
    if (!session.lose(reason, blamesMessage(reason, link.closed.aborted ? 'connection' : 'channel'))) throw reason
  }

  function logRefused(link: BrokerConnection, { spent }: ConfirmSession): void {
    const facts = { host: link.endpoint.name, reason: errorMessage(spent.reason) }
    logger.warn('RabbitMQ goes on refusing, asking on a new channel', facts)
  }

  function expire(batch: Batch, deadlineMs: number): void {
    if (batch.done) return
    const unconfirmed = batch.inFlight
    batch.giveUp(`not confirmed within ${deadlineMs} ms`)
    // A blocked broker has said why it is silent. Any other that keeps the window waiting is as good as gone.
    if (!current || current.link.blocked) return
    if (unconfirmed > 0 || current.session.inFlight >= windowMax) current.link.drop('a publisher confirm is overdue')
  }

  function publish(messages: readonly OutboundMessage[], { deadlineMs }: { deadlineMs: number }) {
    const { promise, resolve } = Promise.withResolvers<PublishOutcome[]>()
    const aloneUntil = performance.now() + deadlineMs - Math.min(ALONE_MS, deadlineMs / 2)
    const order = suspects.size > 0 ? suspects.order(messages) : undefined
    const batch = createBatch(messages, { order, aloneUntil, finish: resolve })
    if (messages.length === 0) resolve([])
    else if (!taking) batch.giveUp('the publisher was stopped')
    else {
      // After a stall the confirms may have arrived and not been read: the turn of the event loop between reads them.
      const timer = setTimeout(() => setImmediate(expire, batch, deadlineMs), deadlineMs)
      waiting.add(batch)
      unfinished.add(promise)
      promise.then(() => {
        clearTimeout(timer)
        waiting.delete(batch)
        unfinished.delete(promise)
      })
      pump()
    }
    return promise
  }

  async function redeclare(): Promise<boolean> {
    const link = current?.link
    if (!link) return false
    try {
      const [opened] = await prepareChannel(link, openChannel, declare, stopping.signal)
      await closeChannel(link, opened)
      return true
    } catch (error) {
      logger.error('could not declare the topology', { host: link.endpoint.name, reason: errorMessage(error) })
      return false
    }
  }

  return {
    name: 'publisher',
    async start() {
      running ??= superviseChannel({ connection, logger, name: 'publisher', hold }, stopping.signal)
    },
    async stop() {
      taking = false
      await Promise.all(unfinished)
      if (!stopping.signal.aborted) stopping.abort(new Error('the publisher was stopped'))
      await running
    },
    get ready() {
      return taking && ready.value !== undefined
    },
    async whenReady(signal) {
      await ready.wait(signal)
    },
    async whenAccepted(signal) {
      await accepted.wait(signal)
    },
    publish,
    redeclare,
  }
}
