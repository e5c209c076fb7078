import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { createAnswers } from './answers.ts'
import { BOTH, createNetwork } from './network.ts'
import { cutAfter, delay, hold, limit, swallow } from './toxic.ts'

/**
 * Faults add up, and hold for connections to come as well, until `restore`. Each connection passes its bytes in their
 * order, and then how it ended: a side that has ended its half may go on receiving, and a reset arrives as a reset.
 */
export interface TcpProxy {
  /** The server's URL, by way of the proxy. */
  readonly url: string
  /** How many connections it has taken; not those that it ended at once. */
  readonly taken: number
  /** How many connections it has. */
  readonly open: number
  /** As if the server were not running: connections end, new ones are ended at once. */
  cut(): void
  /** Resets every connection, for both sides; new ones are taken. */
  reset(): void
  /**
   * As if the network swallowed everything: connections stay, nothing passes, and no side hears that the other has
   * ended. New ones are accepted, and the server never hears of them. Restoring ends them all: they have holes.
   */
  freeze(): void
  /** As `freeze`, but only for what the server sends: what clients send arrives. */
  mute(): void
  /** Everything arrives so much later, in both directions and in order, each piece by up to `jitterMs` more. */
  delay(latencyMs: number, jitterMs?: number): void
  /** A slow link: each connection passes so much in each direction, and its senders have to wait. */
  limit(bytesPerSecond: number): void
  /** Ends each connection as soon as it has passed so many bytes from the server since it was made. */
  cutAfterBytes(count: number): void
  /** As if the server had become slow: what it sends arrives only once restored. */
  holdAnswers(): void
  /** Passes the next message that holds this text to the server, then holds what comes back, until restored. */
  holdAnswerTo(text: string): void
  /** How many messages it passed whose answers it held. */
  readonly held: number
  /**
   * Passes the next messages that hold this text to the server, as many as `times`, 1 by default. Each one's connection
   * ends as soon as the server sends anything after it, which the client does not get.
   */
  loseAnswerTo(text: string, options?: { times?: number }): void
  /** How many answers it lost. */
  readonly lost: number
  /** Ends all of the above: what waits passes at once, and what was to be held or lost later no longer is. */
  restore(): void
  /** As if the server's name led to another server from now on: connections end, new ones go there. */
  redirect(serverUrl: string): void
  stop(): Promise<void>
}

/** Between clients and their server, for the faults of a network. */
export async function startTcpProxy(serverUrl: string, { random = Math.random } = {}): Promise<TcpProxy> {
  let target = new URL(serverUrl)
  let refuses = false
  let taken = 0
  const answers = createAnswers()
  const network = createNetwork({ onRequest: answers.onRequest, onCut: answers.onCut, random })
  const allowHalfOpen = true
  const listener = createServer({ allowHalfOpen }, (client) => {
    if (refuses) return client.destroy()
    taken += 1
    const server = network.has('toServer', 'swallow')
      ? new Socket({ allowHalfOpen }) // Never connected.
      : connect({ port: Number(target.port), host: target.hostname, allowHalfOpen })
    network.add(client, server)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String((listener.address() as AddressInfo).port)

  return {
    url: url.href,
    get taken() {
      return taken
    },
    get open() {
      return network.size
    },
    get held() {
      return answers.held
    },
    get lost() {
      return answers.lost
    },
    cut() {
      refuses = true
      network.end()
    },
    reset: network.reset,
    freeze: () => network.afflict(BOTH, 'swallow', swallow),
    mute: () => network.afflict(['toClient'], 'swallow', swallow),
    delay: (latencyMs, jitterMs) => network.afflict(BOTH, 'delay', delay(latencyMs, jitterMs)),
    limit: (bytesPerSecond) => network.afflict(BOTH, 'limit', limit(bytesPerSecond)),
    cutAfterBytes: (count) => network.afflict(['toClient'], 'cut', cutAfter(count)),
    holdAnswers: () => network.afflict(['toClient'], 'hold', hold),
    holdAnswerTo: answers.holdTo,
    loseAnswerTo: (text, { times = 1 } = {}) => answers.loseTo(text, times),
    restore() {
      refuses = false
      answers.forget()
      if (network.has('toClient', 'swallow')) network.end()
      network.heal()
    },
    redirect(serverUrl) {
      target = new URL(serverUrl)
      network.end()
    },
    async stop() {
      network.end()
      listener.close()
      await once(listener, 'close')
    },
  }
}
