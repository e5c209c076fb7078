import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  createTestDatabase,
  eventually,
  openSocket,
  type ServiceProcess,
  startService,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createTestCertificates } from './test-certificates.ts'

const CONNECTIONS = 300
const HEAP_MB_MAX = 128
const GROWTH_MB_MAX = 300

for (const scheme of ['http', 'https'] as const)
  describe(`api: memory, over ${scheme.toUpperCase()}`, () => memoryTests(scheme))

function memoryTests(scheme: 'http' | 'https'): void {
  const tls = createTestCertificates()
  let database: TestDatabase
  let api: ServiceProcess
  let url: URL
  let clients: Socket[]
  let idleMb: number
  beforeEach(async () => {
    clients = []
    database = await createTestDatabase()
    api = startService('api', {
      DATABASE_URL: database.url,
      PORT: '0',
      ...(scheme === 'https' && { API_TLS_CERT: tls.files.cert, API_TLS_KEY: tls.files.key }),
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB_MAX}`,
    })
    url = new URL(String((await api.logged('listening')).url))
    for (let i = 0; i < 20; i++) await expectAnswer()
    idleMb = await memoryMb('VmRSS')
  })
  afterEach(async () => {
    for (const client of clients) client.destroy()
    api.kill('SIGKILL')
    await api.exited
    await eventually(() => database.drop()) // Its sessions end later than the process.
  })

  async function memoryMb(what: 'VmRSS' | 'VmHWM'): Promise<number> {
    const status = await readFile(`/proc/${api.pid}/status`, 'utf8')
    return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024
  }

  /** Asserts that another client gets an answer. */
  const expectAnswer = () =>
    eventually(async () => {
      const socket = openSocket(url.href)
      socket.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      expect(await text(socket)).to.match(/^HTTP\/1\.1 200 /)
    })

  /** Sends the same bytes on many connections, and never reads an answer. */
  async function flood(bytes: Buffer): Promise<void> {
    clients = Array.from({ length: CONNECTIONS }, () => openSocket(url.href).pause())
    for (const client of clients) client.write(bytes)
    await Promise.all(clients.map((client) => client.connecting && once(client, 'connect')))
    await expectAnswer()
  }

  /** Resolves when the API has closed the connections of the flood. */
  const allCut = () =>
    eventually(async () => expect((await readdir(`/proc/${api.pid}/fd`)).length).to.be.below(CONNECTIONS), {
      timeoutMs: 60_000,
    })

  async function expectLittleGrowth(): Promise<void> {
    await expectAnswer()
    const growth = (await memoryMb('VmHWM')) - idleMb
    console.log(`      ${idleMb.toFixed(0)} MB idle, ${growth.toFixed(0)} MB more at the peak`)
    expect(growth).to.be.below(GROWTH_MB_MAX)
  }

  // Promise 28
  it('api uses bounded memory when clients pipeline requests and read no answers', async () => {
    await flood(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2_300)))
    await allCut()
    await expectLittleGrowth()
  })

  // Promise 28
  it('api uses bounded memory when bodies arrive byte by byte and never end', async () => {
    const head =
      'POST /payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    await flood(Buffer.from(head + '1\r\nx\r\n'.repeat(16_000)))
    await allCut()
    await expectLittleGrowth()
  })
}
