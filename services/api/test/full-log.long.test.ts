import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, eventually, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from './requests.ts'

const LOG_BYTES_MAX = 16_384

describe('api whose log cannot be written', () => {
  // Promise 59
  it('stores payments while the disk of its log is full, and logs again when there is room', async () => {
    const database = await createTestDatabase()
    const dir = await mkdtemp(join(tmpdir(), 'cashflow-full-log-'))
    const file = join(dir, 'api.log')
    // A file that cannot grow acts as a full disk.
    const command = `ulimit -f ${LOG_BYTES_MAX / 1_024}; exec "$0" "$@" >> api.log`
    const provider = { SANDBOX: 'yes', PROVIDER: 'simulated' }
    const settings = { APP_ENV: 'production', ...provider, AUTH: 'none', ALLOW_UNAUTHENTICATED: 'yes' }
    const env = { PATH: process.env.PATH, ...settings, DATABASE_URL: database.url, PORT: '0' }
    const program = [process.execPath, join(REPOSITORY, 'services/api/src/main.ts')]
    const api = spawn('bash', ['-c', command, ...program], { cwd: dir, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    api.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    const log = () => readFile(file, 'utf8')
    try {
      const url = await eventually(async () => {
        const line = (await log()).split('\n').find((text) => text.includes('"listening"'))
        return JSON.parse(line ?? '').url as string
      })
      const headers = { 'Content-Type': 'application/json' }
      const post = async () => {
        const response = await fetch(`${url}/payments`, { method: 'POST', headers, body: bodyWith() })
        expect(response.status).to.equal(201)
        await response.text()
      }
      await eventually(async () => {
        await post()
        expect((await log()).length).to.equal(LOG_BYTES_MAX)
      })
      for (let more = 0; more < 20; more++) await post()
      expect(stderr).to.match(/^api: the log cannot be written: EFBIG: [^\n]*; going on\n$/)
      await truncate(file)
      await eventually(async () => {
        await post()
        expect(await log()).to.match(/"message":"log lines were lost","lines_since_start":\d+,"reason":"EFBIG/)
      })
      const closed = once(api, 'close')
      api.kill('SIGTERM')
      expect(await closed).to.deep.equal([0, null])
      expect(await log()).to.contain('"message":"stopped"')
    } finally {
      if (api.exitCode === null) api.kill('SIGKILL')
      await rm(dir, { recursive: true })
      await eventually(() => database.drop()) // Its sessions end later than the process.
    }
  })
})
