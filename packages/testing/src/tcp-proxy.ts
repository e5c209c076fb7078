import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  /** The server's URL, by way of the proxy. */
  readonly url: string
  /** As if the server were not running: connections end, new ones are ended at once. */
  cut(): void
  /** As if the network swallowed everything: connections stay, nothing passes. */
  freeze(): void
  /** As if the server had become slow, for whoever connects now as well: what it sends arrives only once restored. */
  holdAnswers(): void
  /** Passes the next message that holds this text to the server, then holds what that answers, until restored. */
  holdAnswerTo(text: string): void
  /** How many messages it passed whose answers it held. */
  readonly held: number
  /** Passes the next message that holds this text to the server, then ends its connection before the answer. */
  loseAnswerTo(text: string): void
  /** How many answers it lost. */
  readonly lost: number
  restore(): void
  /** As if the server's name led to another server from now on: connections end, new ones go there. */
  redirect(serverUrl: string): void
  stop(): Promise<void>
}

/** Between a client and its server, for the faults of a network. */
export async function startTcpProxy(serverUrl: string): Promise<TcpProxy> {
  let target = new URL(serverUrl)
  const sockets = new Set<Socket>()
  const servers = new Set<Socket>()
  let slow = false
  let mode: 'pass' | 'cut' | 'freeze' = 'pass'
  let losing: string | undefined
  let holding: string | undefined
  let lost = 0
  let held = 0

  const proxy = createServer((client) => {
    if (mode === 'cut') return client.destroy()
    const server = connect(Number(target.port), target.hostname)
    servers.add(server)
    if (slow) server.pause()
    let loses = false
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        servers.delete(from)
        to.destroy()
      })
      from.on('data', (data) => {
        if (holding !== undefined && from === client && data.includes(holding)) {
          holding = undefined
          held += 1
          server.pause()
        }
        if (losing !== undefined && from === client && data.includes(losing)) {
          losing = undefined
          loses = true
        }
        if (loses && from === server) {
          lost += 1
          client.destroy()
        } else if (mode === 'pass') to.write(data)
      })
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String((proxy.address() as AddressInfo).port)

  const end = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    get lost() {
      return lost
    },
    get held() {
      return held
    },
    cut() {
      mode = 'cut'
      end()
    },
    freeze() {
      mode = 'freeze'
    },
    holdAnswers() {
      slow = true
      for (const server of servers) server.pause()
    },
    holdAnswerTo(text) {
      holding = text
    },
    loseAnswerTo(text) {
      losing = text
    },
    restore() {
      if (mode === 'freeze') end()
      mode = 'pass'
      slow = false
      for (const server of servers) server.resume()
    },
    redirect(serverUrl) {
      target = new URL(serverUrl)
      end()
    },
    async stop() {
      const closed = once(proxy, 'close')
      proxy.close()
      end()
      await closed
    },
  }
}
