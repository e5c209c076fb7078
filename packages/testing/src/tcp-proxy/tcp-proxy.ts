import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { createAnswers } from './answers.ts'
import { BOTH, createNetwork } from './network.ts'
import { cutAfter, delay, hold, limit, swallow } from './toxic.ts'

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>

/**
 * Starts a proxy between clients and their server that simulates network faults. Faults add up, and apply to new
 * connections too, until `restore`. Bytes keep their order. A side that has ended its half may go on receiving, and a
 * reset arrives as a reset.
 */
export async function startTcpProxy(serverUrl: string) {
  let target = new URL(serverUrl)
  let refuses = false
  let taken = 0
  const answers = createAnswers()
  const network = createNetwork({ onRequest: answers.onRequest, onCut: answers.onCut })
  const allowHalfOpen = true
  const listener = createServer({ allowHalfOpen }, (client) => {
    if (refuses) return client.destroy()
    taken += 1
    const server = network.has('toServer', 'swallow')
      ? new Socket({ allowHalfOpen }) // It never connects.
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
    /** Accepted connections, without those that `cut` refused. */
    get taken() {
      return taken
    },
    get open() {
      return network.size
    },
    /** Requests whose answers `holdAnswerTo` has held. */
    get held() {
      return answers.held
    },
    /** Answers that `loseAnswerTo` has lost. */
    get lost() {
      return answers.lost
    },
    /** Simulates a stopped server: connections end, and new ones are ended at once. */
    cut() {
      refuses = true
      network.end()
    },
    /** Resets every connection on both sides. New ones are accepted. */
    reset: network.reset,
    /**
     * Simulates a network that drops everything: connections stay, nothing passes, and no side notices that the other
     * has ended. New connections are accepted and never reach the server. `restore` ends all of them, since bytes are
     * missing.
     */
    freeze: () => network.afflict(BOTH, 'swallow', swallow),
    /** Freezes as `freeze` does, but only for the server's bytes: the clients' bytes arrive. */
    mute: () => network.afflict(['toClient'], 'swallow', swallow),
    /** Delays all bytes by `latencyMs` in each direction, and each piece by up to `jitterMs` more. */
    delay: (latencyMs: number, jitterMs?: number) => network.afflict(BOTH, 'delay', delay(latencyMs, jitterMs)),
    /** Simulates a slow link: each connection passes `bytesPerSecond` in each direction, and its senders have to wait. */
    limit: (bytesPerSecond: number) => network.afflict(BOTH, 'limit', limit(bytesPerSecond)),
    /** Ends each connection once it has passed `count` bytes from the server since it was made. */
    cutAfterBytes: (count: number) => network.afflict(['toClient'], 'cut', cutAfter(count)),
    /** Simulates a slow server: its bytes arrive only after `restore`. */
    holdAnswers: () => network.afflict(['toClient'], 'hold', hold),
    /** Passes the next request that contains this text to the server, and holds its connection's answers until `restore`. */
    holdAnswerTo: answers.holdTo,
    /**
     * Passes the next `times` requests that contain this text to the server, 1 by default. The connection of each ends
     * as soon as the server answers, and the client does not get the answer.
     */
    loseAnswerTo: (text: string, { times = 1 } = {}) => answers.loseTo(text, times),
    /** Ends all of the above faults. Held bytes pass at once. */
    restore() {
      refuses = false
      answers.forget()
      if (network.has('toClient', 'swallow')) network.end()
      network.heal()
    },
    /** Simulates a name that now points to another server: connections end, and new ones go there. */
    redirect(serverUrl: string) {
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
