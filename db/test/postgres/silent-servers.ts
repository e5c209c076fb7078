import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { eventually } from '@cashflow/testing'

/** Starts a server that accepts connections and never answers. */
export async function startSilentServer() {
  const sockets = new Set<Socket>()
  const open: number[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    open.push(sockets.size)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The number of open connections after each new one. */
    open,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const LISTEN = `
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
const CONNECTED_WITHIN_MS = 300

/** Starts an address whose packets are dropped: the process that listens is stopped, and its backlog is full. */
export async function startDroppingServer() {
  const child = spawn(process.execPath, ['-e', LISTEN], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  const port = Number(String(line))
  child.kill('SIGSTOP')
  const fillers: Socket[] = []
  await eventually(async () => {
    const filler = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(filler)
    const signal = AbortSignal.timeout(CONNECTED_WITHIN_MS)
    if (
      await once(filler, 'connect', { signal }).then(
        () => true,
        () => false,
      )
    )
      throw new Error('the backlog is not full')
  })
  return {
    host: `127.0.0.1:${port}`,
    async stop() {
      for (const filler of fillers) filler.destroy()
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}
