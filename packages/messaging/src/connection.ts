import { setTimeout as sleep } from 'node:timers/promises'
import { BACKOFF_MAX_MS, backoffMs } from './backoff.ts'
import { parseEndpoints } from './endpoint.ts'
import { errorMessage, isLoginRefused, isVhostMissing } from './errors.ts'
import { type BrokerConnection, openLink } from './link.ts'
import type { Logger } from './logger.ts'
import { aborted, createLatch } from './waiting.ts'

const REMINDER_MS = 10_000
const LOGIN_SETTINGS = 'RABBITMQ_URL, or MQ_USER and MQ_PASSWORD'
const VHOST_SETTINGS = 'RABBITMQ_URL, whose path is the vhost'

export interface ConnectionOptions {
  /** Brokers of one cluster, tried in turn. */
  urls: readonly string[]
  /** Shown in RabbitMQ's management UI. */
  name: string
  logger: Logger
  /** A silent broker is given up after two to three of these. Default 10. */
  heartbeatSeconds?: number
  /** For lookup, TCP, TLS and handshake together. Default 5,000. */
  connectTimeoutMs?: number
  random?: () => number
}

/** A connection that is made again whenever it is lost, until it is stopped. One for publishing, another for consuming. */
export interface ConnectionSupervisor {
  readonly name: string
  /** Begins to connect and resolves at once: whoever needs the broker waits with `whenReady`. */
  start(): Promise<void>
  stop(): Promise<void>
  readonly ready: boolean
  readonly blocked: boolean
  /** @throws the signal's reason, or an error when the connection is stopped */
  whenReady(signal?: AbortSignal): Promise<void>
  /** The present connection, for what holds channels on it. Waits until there is one. */
  link(signal?: AbortSignal): Promise<BrokerConnection>
}

export function createConnection(options: ConnectionOptions): ConnectionSupervisor {
  const { name, logger, connectTimeoutMs = 5_000, random = Math.random } = options
  const endpoints = parseEndpoints(options.urls, options.heartbeatSeconds ?? 10)
  const stopping = new AbortController()
  const links = createLatch<BrokerConnection>(stopping.signal)
  const wait = createWaitLog(logger)
  let running: Promise<void> | undefined

  async function keepConnected(): Promise<void> {
    let failures = 0
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const endpoint = endpoints[turn % endpoints.length] ?? endpoints[0]
      const startedAt = performance.now()
      try {
        const link = await openLink(endpoint, { name, connectTimeoutMs, signal: stopping.signal })
        await hold(link)
      } catch (error) {
        if (!stopping.signal.aborted) wait.log(endpoint.name, error)
      }
      // A connection that dies young counts as a failure, or one that is accepted and cut would be dialled without end.
      failures = performance.now() - startedAt > BACKOFF_MAX_MS + connectTimeoutMs ? 0 : failures + 1
      const round = Math.floor(failures / endpoints.length)
      await sleep(backoffMs(round, random), undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  async function hold(link: BrokerConnection): Promise<void> {
    link.closed.throwIfAborted()
    const host = link.endpoint.name
    logger.info('connected to RabbitMQ', { host, ...wait.end() })
    const sayBlocked = (reason?: string) => logger.warn('RabbitMQ blocks publishing', { host, reason })
    if (link.blocked) sayBlocked()
    link.amqp.on('blocked', sayBlocked)
    link.amqp.on('unblocked', () => logger.info('RabbitMQ takes messages again', { host }))
    links.open(link)
    // At once: whoever lost a channel with it must not be given the same one again.
    link.closed.addEventListener('abort', links.shut)
    const reason = await aborted(link.closed, stopping.signal)
    if (stopping.signal.aborted) await link.close()
    else logger.warn('lost RabbitMQ', { host, reason: errorMessage(reason) })
  }

  return {
    name: `connection ${name}`,
    async start() {
      running ??= keepConnected()
    },
    async stop() {
      if (!stopping.signal.aborted) stopping.abort(new Error('the connection to RabbitMQ was stopped'))
      await running
    },
    get ready() {
      return links.value !== undefined && !stopping.signal.aborted
    },
    get blocked() {
      return links.value?.blocked ?? false
    },
    async whenReady(signal) {
      await links.wait(signal)
    },
    link: (signal) => links.wait(signal),
  }
}

/** Says what is waited for once, then every ten seconds: an error where only an operator can end the wait. */
function createWaitLog(logger: Logger) {
  let since: number | undefined
  let saidAt = Number.NEGATIVE_INFINITY
  return {
    log(host: string, error: unknown): void {
      const now = performance.now()
      since ??= now
      if (now - saidAt < REMINDER_MS) return
      saidAt = now
      const facts = { host, reason: errorMessage(error), waited_ms: Math.round(now - since) }
      const settings = isVhostMissing(error) ? VHOST_SETTINGS : LOGIN_SETTINGS
      if (isLoginRefused(error)) logger.error('waiting for RabbitMQ', { ...facts, settings })
      else logger.warn('waiting for RabbitMQ', facts)
    },
    end(): { waited_ms?: number } {
      if (since === undefined) return {}
      const waited = Math.round(performance.now() - since)
      since = undefined
      saidAt = Number.NEGATIVE_INFINITY
      return { waited_ms: waited }
    },
  }
}
