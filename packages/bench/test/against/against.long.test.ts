import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import type { Comparison } from '../../src/against/against.ts'
import { checkOut, git } from '../../src/against/checkout.ts'

/** A quick round of `post` and `relay` runs each of these files once in each tree. */
const RUN_ONCE = ['db/src/migrate-main.ts', 'services/api/src/main.ts', 'services/relay/src/main.ts']
const RUN = [...RUN_ONCE, 'packages/outbox/src/index.ts']
const TREES = '.cashflow/bench'
const LEFT_OUT = ['node_modules', '.git', '.cashflow', '.turbo']

describe('npm run bench -- --against', () => {
  let dir: string
  let repository: string
  let marks: string
  const { signal } = new AbortController()
  const checkOutCommit = (commit: string, own = signal) =>
    checkOut({ repository, commit, dir: join(repository, TREES), say: () => {}, signal: own })

  before(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), 'cashflow-test-')))
    repository = join(dir, 'repository')
    marks = join(dir, 'marks')
    await cp(REPOSITORY, repository, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) })
    await git(repository, 'init', '--quiet', '--initial-branch=main')
    await commitAll('as it is')
    for (const file of RUN) {
      const path = join(repository, file)
      const text = await readFile(path, 'utf8')
      // A `#!` has to stay on the first line.
      await writeFile(
        path,
        text.replace(/^(#!.*\n)?/, (first) => first + marking(file, marks)),
      )
    }
    await commitAll('each file that is run says so')
    await git(repository, 'tag', 'marked')
    await git(repository, 'reset', '--quiet', '--hard', 'HEAD~1')
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function commitAll(message: string): Promise<void> {
    await git(repository, 'add', '--all')
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false']
    await git(repository, ...author, 'commit', '--quiet', '--message', message)
  }

  it('runs the files of the commit in turn with those of its own tree, and reports the CPU time of both', async () => {
    const { product } = await checkOutCommit('main')
    const main = join(product.root, 'packages/bench/src/main.ts')
    const args = [main, 'post', 'relay', '--quick', '--against', 'marked']
    const { stdout } = await promisify(execFile)(product.node, args)
    for (const name of ['post', 'relay']) {
      const file = join(product.root, '.cashflow/bench', `${name}-against.json`)
      const { ours, theirs, commit } = JSON.parse(await readFile(file, 'utf8')) as Comparison
      expect(commit).to.equal(await git(repository, 'rev-parse', 'marked'))
      expect([ours.length, theirs.length]).to.deep.equal([1, 1])
      for (const measured of [...ours, ...theirs]) {
        expect(measured.rate, name).to.be.above(0)
        // A quick round of the relay may take less CPU time than one tick of the clock.
        expect(measured.cpuUs, name).to.be.above(name === 'post' ? 0 : -1)
      }
      expect(stdout).to.include(`${name} is not judged: the figures of --quick mean nothing`)
    }
    expect(stdout)
      .to.match(/^this tree: CPU per item +[\d,.]+ +µs/m)
      .and.match(/^marked \([0-9a-f]{7}\): CPU per item +[\d,.]+ +µs/m)
      .and.match(/^CPU per item +\d+\.\d{3} +\(\d+\.\d{3} – \d+\.\d{3}\)$/m)
    const marked = (await readFile(marks, 'utf8')).split('\n')
    expect(marked.filter((file) => RUN_ONCE.includes(file)).toSorted()).to.deep.equal(RUN_ONCE)
    expect(marked).to.include.members(RUN)
  }).timeout(300_000)

  it('keeps a checkout for the next run, replaces a changed one, and does not change the checkout of its user', async () => {
    await writeFile(join(repository, 'README.md'), 'under way')
    const { product, commit } = await checkOutCommit('main')
    expect(commit).to.equal(await git(repository, 'rev-parse', 'HEAD'))
    expect(product.root).to.equal(join(repository, TREES, commit))
    const kept = join(product.root, 'node_modules/kept')
    await writeFile(kept, '')
    await checkOutCommit(commit)
    expect(await readFile(kept, 'utf8')).to.equal('')
    for (const damage of [
      () => writeFile(join(product.root, 'services/api/src/main.ts'), ''),
      () => rm(join(product.root, '.git')),
    ]) {
      await damage()
      await checkOutCommit(commit)
      expect(await git(product.root, 'rev-parse', '--show-toplevel')).to.equal(product.root)
      expect(await git(product.root, 'status', '--porcelain')).to.equal('')
    }
    expect(await git(repository, 'status', '--porcelain')).to.equal('M README.md')
    expect(await git(repository, 'branch', '--show-current')).to.equal('main')
    await git(repository, 'checkout', '--quiet', '--', 'README.md')
  }).timeout(300_000)

  it('refuses a name that is no commit, and a commit that lacks a file that it runs', async () => {
    const tree = await git(repository, 'rev-parse', 'HEAD:db')
    for (const name of ['nonsense', '', '--all', tree]) expect(await failureOf(name)).to.be.an.instanceOf(UsageError)
    await rm(join(repository, 'services/relay/src/main.ts'))
    await commitAll('without a relay')
    const failure = await failureOf('HEAD')
    await git(repository, 'reset', '--quiet', '--hard', 'HEAD~1')
    expect(failure).to.be.an.instanceOf(UsageError)
    expect(failure).to.have.property('message').that.includes('it has no services/relay/src/main.ts')
  })

  it('shows the end of the output of pnpm when the packages of a commit cannot be installed', async () => {
    await writeFile(join(repository, 'pnpm-lock.yaml'), 'nonsense: [')
    await commitAll('a broken lockfile')
    const failure = await failureOf('HEAD')
    await git(repository, 'reset', '--quiet', '--hard', 'HEAD~1')
    expect(failure)
      .to.have.property('message')
      .that.matches(/^pnpm install ended by code \d+ .*pnpm-lock/s)
  }).timeout(300_000)

  it('ends the installation of packages when the user stops it', async () => {
    const stopping = new AbortController()
    const say = (line: string) => {
      if (line.startsWith('installing')) queueMicrotask(() => stopping.abort(new Error('stopped')))
    }
    const own = { repository, commit: 'main', dir: join(dir, 'stopped'), say, signal: stopping.signal }
    const failure = await checkOut(own).catch((error) => error)
    expect(failure).to.have.property('message', 'stopped')
    const root = join(own.dir, await git(repository, 'rev-parse', 'main'))
    expect(existsSync(root)).to.equal(true)
    // The file that pnpm writes last.
    expect(existsSync(join(root, 'node_modules/.modules.yaml'))).to.equal(false)
  }).timeout(300_000)

  const failureOf = (commit: string): Promise<unknown> =>
    checkOutCommit(commit).then(
      () => undefined,
      (error: unknown) => error,
    )
})

/** Returns a line of TypeScript that adds the file's name to the list of files that ran. */
function marking(file: string, marks: string): string {
  return `(await import('node:fs')).appendFileSync(${JSON.stringify(marks)}, '${file}\\n')\n`
}
