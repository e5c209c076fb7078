import { aborted, defined, errorMessage, fullJitterMs, pause, type TlsFault, tlsFault } from '@cashflow/async'
import { type BrokerConnection, connectToBroker, type TlsOptions } from './broker-connection.ts'
import { parseEndpoints } from './endpoint.ts'
import { isLoginRefused, isVhostMissing } from './errors.ts'
import { createLatch } from './latch.ts'
import type { Logger } from './logger.ts'

/** Waits between attempts to connect or to open a channel. */
export const BACKOFF = { baseMs: 100, capMs: 5_000 }
const REMINDER_MS = 10_000
/** Of an outage that only an operator can end. */
const OPERATORS_REMINDER_MS = 60_000
const LOGIN_SETTINGS = 'RABBITMQ_URL, or MQ_USER and MQ_PASSWORD'
const VHOST_SETTINGS = 'RABBITMQ_URL, whose path is the vhost'
const TLS_SETTINGS: Readonly<Record<TlsFault['kind'], string>> = {
  authority: 'MQ_TLS_CA',
  name: 'the host in RABBITMQ_URL or MQ_HOST, or MQ_TLS_SERVERNAME',
  expired: "the broker's certificate, and MQ_TLS_CA",
  not_yet_valid: "the broker's certificate, and the clock of this machine",
  own_certificate: 'MQ_TLS_CERT and MQ_TLS_KEY',
  no_tls: 'the port in RABBITMQ_URL or MQ_PORT, which for TLS is 5671 as a rule',
  other: "the broker's ssl_options",
}

export interface ConnectionOptions {
  /** Brokers of one cluster, tried in turn. */
  urls: readonly string[]
  /** Connection name in RabbitMQ's management UI. */
  name: string
  logger: Logger
  /** Heartbeat interval. A connection on which the broker is silent for two to three intervals is lost. Default 10. */
  heartbeatSeconds?: number
  /** Called for each new connection to an `amqps://` URL, so that it uses the certificates as they are now. */
  tls?: () => TlsOptions
  /** Deadline of lookup, TCP, TLS and handshake together, in milliseconds. Default 5,000. */
  connectTimeoutMs?: number
  random?: () => number
}

export type ConnectionSupervisor = ReturnType<typeof createConnection>

/** Keeps one connection to RabbitMQ up until it is stopped. Publishing and consuming need one each. */
export function createConnection(options: ConnectionOptions) {
  const { name, logger, tls, connectTimeoutMs = 5_000, random = Math.random } = options
  const endpoints = parseEndpoints(options.urls, options.heartbeatSeconds ?? 10)
  const stopping = new AbortController()
  const live = createLatch<BrokerConnection>(stopping.signal)
  const outage = createOutageLog(logger)
  const blocks = createStopwatch()
  let connects = 0
  let running: Promise<void> | undefined

  async function keepConnected(): Promise<void> {
    let failures = 0
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const endpoint = defined(endpoints[turn % endpoints.length], 'endpoint of this turn')
      const startedAt = performance.now()
      try {
        await runConnection(await connectToBroker(endpoint, { name, connectTimeoutMs, tls, signal: stopping.signal }))
      } catch (error) {
        if (!stopping.signal.aborted) outage.log(endpoint.name, error)
      }
      // A connection that is lost soon counts as a failure. Otherwise a broker that accepts connections and cuts them
      // would be dialled without a pause.
      failures = performance.now() - startedAt > BACKOFF.capMs + connectTimeoutMs ? 0 : failures + 1
      const round = Math.floor(failures / endpoints.length)
      await pause(fullJitterMs(round + 1, { ...BACKOFF, random }), stopping.signal)
    }
  }

  async function runConnection(broker: BrokerConnection): Promise<void> {
    broker.closed.throwIfAborted()
    const host = broker.endpoint.name
    logger.info('connected to RabbitMQ', { host, tls: broker.encryption?.protocol, ...outage.end() })
    connects += 1
    const onBlocked = (reason?: string) => {
      blocks.start()
      logger.warn('RabbitMQ blocks publishing', { host, reason })
    }
    if (broker.blocked) onBlocked()
    broker.amqp.on('blocked', onBlocked)
    broker.amqp.on('unblocked', () => {
      blocks.stop()
      logger.info('RabbitMQ accepts messages again', { host })
    })
    broker.closed.addEventListener('abort', blocks.stop)
    live.open(broker)
    // Shut before any promise runs: a channel supervisor that lost its channel with this connection must not get it again.
    broker.closed.addEventListener('abort', live.shut)
    const reason = await aborted(broker.closed, stopping.signal)
    if (stopping.signal.aborted) await broker.close()
    else logger.warn('lost the connection to RabbitMQ', { host, reason: errorMessage(reason) })
  }

  return {
    name: `connection ${name}`,
    /** Its name, as a label of metrics. */
    label: name,
    /** Begins to connect and resolves at once. `whenReady` waits for the broker. */
    async start(): Promise<void> {
      running ??= keepConnected()
    },
    async stop(): Promise<void> {
      if (!stopping.signal.aborted) stopping.abort(new Error('the connection to RabbitMQ was stopped'))
      await running
    },
    get ready(): boolean {
      return live.value !== undefined && !stopping.signal.aborted
    },
    /** True while the broker blocks publishers because of an alarm. */
    get blocked(): boolean {
      return live.value?.blocked ?? false
    },
    /** Time in which the broker has blocked publishers so far, in milliseconds. */
    get blockedMs(): number {
      return blocks.elapsedMs
    },
    /** Number of connections after the first one. */
    get reconnects(): number {
      return Math.max(0, connects - 1)
    },
    /** @throws the signal's reason, or an error when the connection is stopped */
    async whenReady(signal?: AbortSignal): Promise<void> {
      await live.wait(signal)
    },
    /** Resolves with the live connection, and waits until there is one. */
    broker: (signal?: AbortSignal): Promise<BrokerConnection> => live.wait(signal),
  }
}

/** The connection as a component of a process. Its start waits for a broker, and rejects when `signal` aborts. */
export function connectionComponent(connection: ConnectionSupervisor) {
  return {
    name: connection.name,
    async start(signal: AbortSignal): Promise<void> {
      await connection.start()
      await connection.whenReady(signal)
    },
    stop: () => connection.stop(),
  }
}

/** Adds up the times between start and stop. */
function createStopwatch() {
  let since: number | undefined
  let addedMs = 0
  const runningMs = () => (since === undefined ? 0 : performance.now() - since)
  return {
    start(): void {
      since ??= performance.now()
    },
    stop(): void {
      addedMs += runningMs()
      since = undefined
    },
    get elapsedMs(): number {
      return addedMs + runningMs()
    },
  }
}

/**
 * Logs an outage when it begins, and again every ten seconds. Where only an operator can end it, it is an error, once a
 * minute.
 */
function createOutageLog(logger: Logger) {
  let since: number | undefined
  let nextAt = Number.NEGATIVE_INFINITY
  return {
    log(host: string, error: unknown): void {
      const now = performance.now()
      since ??= now
      if (now < nextAt) return
      const { settings, ...found } = explain(error)
      nextAt = now + (settings === undefined ? REMINDER_MS : OPERATORS_REMINDER_MS)
      const facts = { host, ...found, waited_ms: Math.round(now - since) }
      if (settings === undefined) logger.warn('waiting for RabbitMQ', facts)
      else logger.error('waiting for RabbitMQ', { ...facts, settings })
    },
    end(): { waited_ms?: number } {
      if (since === undefined) return {}
      const waited = Math.round(performance.now() - since)
      since = undefined
      nextAt = Number.NEGATIVE_INFINITY
      return { waited_ms: waited }
    },
  }
}

/** The settings to correct are given where no time ends the outage. */
function explain(error: unknown): { reason: string; settings?: string } {
  const fault = tlsFault(error)
  if (fault) return { reason: fault.reason, settings: TLS_SETTINGS[fault.kind] }
  const reason = errorMessage(error)
  if (!isLoginRefused(error)) return { reason }
  return { reason, settings: isVhostMissing(error) ? VHOST_SETTINGS : LOGIN_SETTINGS }
}
