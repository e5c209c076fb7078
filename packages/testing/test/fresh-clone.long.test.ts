import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, relative } from 'node:path'
import { expect } from 'chai'
import { createTestDatabase, createTestVhost, eventually, REPOSITORY } from '../src/index.ts'

/** Folders of a checkout that are not part of a clone. */
const NOT_CLONED = new Set(['.git', 'node_modules', '.cashflow', '.turbo', 'dist'])
const INSTALL_MS = 120_000

describe('fresh clone whose npm and pnpm run no install scripts', function () {
  this.timeout(2 * INSTALL_MS)
  let folder: string
  let clone: string
  const running = new Set<ChildProcess>()

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    clone = join(folder, 'clone')
    const isCloned = (path: string) =>
      !relative(REPOSITORY, path)
        .split('/')
        .some((name) => NOT_CLONED.has(name))
    await cp(REPOSITORY, clone, { recursive: true, filter: isCloned })
  })
  after(async () => {
    for (const child of running) child.kill('SIGTERM')
    await Promise.all([...running].map((child) => once(child, 'close')))
    // Root keeps a copy of PostgreSQL's programs for each checkout.
    const kept = createHash('sha256').update(clone).digest('hex').slice(0, 12)
    for (const path of [folder, `/var/tmp/cashflow-${kept}`]) await rm(path, { recursive: true, force: true })
  })

  /** Runs the npm and Node of the machine, which a newcomer has, instead of those of this checkout. */
  function npm(args: readonly string[], env: Record<string, string> = {}) {
    const path = (process.env.PATH ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules'))
    const child = spawn('npm', args, {
      cwd: clone,
      env: {
        HOME: process.env.HOME,
        PATH: path.join(delimiter),
        npm_config_ignore_scripts: 'true',
        pnpm_config_ignore_scripts: 'true',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
    const exited = once(child, 'close').then(([code, signal]) => {
      running.delete(child)
      return (code ?? signal) as number | NodeJS.Signals
    })
    return { output: () => output, exited, kill: (signal: NodeJS.Signals) => void child.kill(signal) }
  }

  it('runs the system with npm start, and stops all of it on SIGTERM', async () => {
    const [database, vhost] = [await createTestDatabase(), await createTestVhost()]
    try {
      const start = npm(['start'], { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url })
      const running = eventually(() => expect(start.output()).to.include('Cashflow is running'), {
        timeoutMs: INSTALL_MS,
      })
      await Promise.race([running, start.exited.then((exit) => expect.fail(`ended with ${exit}:\n${start.output()}`))])
      const file = join(clone, '.cashflow/stack.json')
      const { processes } = JSON.parse(await readFile(file, 'utf8')) as { processes: Record<string, number[]> }
      const pids = Object.values(processes).flat()
      expect(pids).to.have.length.greaterThan(2)
      start.kill('SIGTERM')
      await start.exited
      await eventually(() => expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).to.eql([]), { timeoutMs: 30_000 })
      expect(existsSync(file)).to.equal(false)
    } finally {
      await vhost.drop()
      await database.drop()
    }
  })

  it('passes tests with npm test', async () => {
    const test = npm(['test', '--', '--filter=@cashflow/domain'])
    expect(await test.exited, test.output()).to.equal(0)
    expect(test.output()).to.match(/[1-9]\d* tests passed, 0 failed/)
  })
})
