import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { createTestDatabase, eventually, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from './requests.ts'

const FILES_MAX = 200
const MAIN = new URL('../src/main.ts', import.meta.url).pathname

describe('api that may open few files', () => {
  // Promise 28
  it('serves clients and reaches PostgreSQL when clients open more connections than it may open files', async () => {
    const database = await createTestDatabase()
    const provider = { SANDBOX: 'yes', PROVIDER: 'simulated' }
    const settings = { APP_ENV: 'production', ...provider, AUTH: 'none', ALLOW_UNAUTHENTICATED: 'yes' }
    const env = { PATH: process.env.PATH, ...settings, DATABASE_URL: database.url, PORT: '0' }
    const command = `ulimit -n ${FILES_MAX}; exec "$0" "$@"`
    const api = spawn('sh', ['-c', command, process.execPath, MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const sockets: Socket[] = []
    try {
      const lines = createInterface({ input: api.stdout })
      const { promise, resolve } = Promise.withResolvers<string>()
      lines.on('line', (line) => line.includes('"listening"') && resolve(JSON.parse(line).url))
      const url = await promise
      for (let i = 0; i < 2 * FILES_MAX; i++) {
        const socket = openSocket(url)
        sockets.push(socket)
        await once(socket, 'connect')
      }
      const bodies = Array.from({ length: 20 }, () => bodyWith())
      const headers = { 'Content-Type': 'application/json', Connection: 'close' }
      const post = (body: string) => fetch(`${url}/payments`, { method: 'POST', headers, body })
      const responses = await Promise.all(bodies.map(post))
      expect(responses.map(({ status }) => status)).to.deep.equal(bodies.map(() => 201))
    } finally {
      for (const socket of sockets) socket.destroy()
      api.kill('SIGKILL')
      await once(api, 'close')
      await eventually(() => database.drop()) // Its sessions end later than the process.
    }
  })
})
