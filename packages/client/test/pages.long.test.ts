import { spawn } from 'node:child_process'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { defined } from '@cashflow/async'
import { createTestDatabase, type Pipeline, REPOSITORY, startPipeline } from '@cashflow/testing'
import { expect } from 'chai'
import { transform } from 'esbuild'
import { installPacked, machineNode, run } from './packed.ts'

/** The code blocks of a page in one language, each with the block of output after it. */
function blocksOf(page: string, language: string): { code: string; output: string | undefined }[] {
  const blocks = page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`\n(?:\n\`\`\`\n(.*?)^\`\`\`\n)?`, 'gms'))
  return [...blocks].map(([, code = '', output]) => ({ code, output }))
}

/** What a program prints according to its comments: those of lines that call console.log, and those on lines after one. */
function printedBy(code: string): string[] {
  const lines = code.split('\n')
  return lines.flatMap((line, index) => {
    const [, same] = /console\.log\(.*\) \/\/ (.*)$/.exec(line) ?? []
    const isAfter = /console\.log\([^/]*\)$|^\/\/ /.test(lines[index - 1] ?? '')
    const [, own] = (isAfter && /^\/\/ (.*)$/.exec(line)) || []
    return same ?? own ?? []
  })
}

/** A pattern for text in which `…` stands for anything. */
function patternOf(text: string): RegExp {
  const parts = text.trim().split('…')
  return new RegExp(`^${parts.map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('.*?')}$`, 's')
}

describe('@cashflow/client: the pages for integrators', function () {
  this.timeout(180_000)
  let pipeline: Pipeline
  let packed: Awaited<ReturnType<typeof installPacked>>
  let env: Record<string, string>
  before(async () => {
    const settings = { AUTH: 'api-key', ALLOW_UNAUTHENTICATED: 'no', KEY_PEPPER: 'p'.repeat(32) }
    const database = await createTestDatabase()
    const sizes = { api: 1, relay: 1, worker: 1, webhooks: 1 }
    pipeline = await startPipeline(sizes, { ...settings, WEBHOOK_ALLOW_PRIVATE: 'yes' }, { database })
    packed = await installPacked()
    for (const [owner, name] of [
      ['.', '@types'],
      ['services/api', 'express'],
    ] as const)
      await symlink(join(REPOSITORY, owner, 'node_modules', name), join(packed.dir, 'node_modules', name))
    const listening = await defined(pipeline.processes.api[0], 'api').logged('listening')
    env = { CASHFLOW_URL: String(listening.url), CASHFLOW_KEY: await newKey(database.url, settings.KEY_PEPPER) }
  })
  after(() => Promise.all([pipeline.stop(), packed.remove()]))

  /** A key of the first merchant, made as docs/keys.md says. */
  async function newKey(url: string, pepper: string): Promise<string> {
    const { rows } = await pipeline.db.query('select id from merchants')
    const main = join(REPOSITORY, 'packages/cli/src/main.ts')
    const args = [main, 'keys', 'create', '--merchant', rows[0].id, '--json']
    const created = await run(process.execPath, args, {
      env: { DATABASE_URL: url, SANDBOX: 'yes', KEY_PEPPER: pepper },
    })
    return JSON.parse(created.stdout).secret
  }

  /** Checks the page's program with strict rules, runs it compiled and as it is, and expects what its comments say. */
  async function expectProgram(page: string): Promise<void> {
    const code = blocksOf(page, 'ts')
      .map((block) => block.code)
      .join('\n')
    await writeFile(join(packed.dir, 'package.json'), '{"type":"module"}')
    await writeFile(join(packed.dir, 'page.ts'), code)
    const how = ['--strict', '--noEmit', '--target', 'es2024', '--module', 'nodenext', '--types', 'node', 'page.ts']
    const compiled = await run('tsc', how, { cwd: packed.dir }).catch((error) => error)
    expect(compiled.stdout).to.equal('')
    await writeFile(join(packed.dir, 'page.mjs'), (await transform(code, { loader: 'ts', format: 'esm' })).code)
    const expected = printedBy(code)
    expect(expected).to.not.deep.equal([])
    // The oldest Node runs it compiled, and the Node of this test runs it as it is.
    for (const [node, file] of [
      [machineNode(), 'page.mjs'],
      [process.execPath, 'page.ts'],
    ] as const) {
      const { stdout } = await run(node, [file], { cwd: packed.dir, env, timeout: 120_000 })
      const printed = stdout.trim().split('\n')
      for (const [index, line] of expected.entries()) expect(printed[index], file).to.match(patternOf(line))
    }
  }

  it('the program of the README of @cashflow/client prints what it says', async () => {
    await expectProgram(await readFile(join(REPOSITORY, 'packages/client/README.md'), 'utf8'))
  })

  it('the commands of docs/integrating.md print what the page says', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/integrating.md'), 'utf8')
    const blocks = blocksOf(page, 'sh')
    expect(blocks.length).to.be.at.least(6)
    const own = (code: string) => code.replaceAll(/^export CASHFLOW_.*$/gm, '')
    const script = blocks.map(({ code }) => `${own(code)}\nprintf '\\0'`).join('\n')
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
      env: { PATH: process.env.PATH, ...env },
    })
    const printed = stdout.split('\0')
    for (const [index, { output, code }] of blocks.entries())
      if (output !== undefined) expect(printed[index]?.trim(), `${code}\n${printed[index]}`).to.match(patternOf(output))
  })

  it('the receiver of docs/integrating.md verifies webhooks, and prints what the page says', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/integrating.md'), 'utf8')
    const [expected] = /^payment\.created ORDER-1002.*?(?=\n```)/ms.exec(page) ?? []
    const ask = async (method: string, path: string, body: object) => {
      const headers = { authorization: `Bearer ${env.CASHFLOW_KEY}`, 'content-type': 'application/json' }
      const answer = await fetch(`${env.CASHFLOW_URL}/api/v1${path}`, { method, headers, body: JSON.stringify(body) })
      expect(answer.ok, path).to.equal(true)
      return (await answer.json()) as { id: string; secret: string }
    }
    const { id, secret } = await ask('POST', '/webhook-endpoints', { url: 'http://127.0.0.1:1/cashflow' })
    const code = defined(blocksOf(page, 'js')[0], 'receiver').code
    // The page's own port may be taken.
    const listening = 'const server = app.listen(0, () => console.log(server.address().port))'
    await writeFile(join(packed.dir, 'receiver.mjs'), code.replace("app.listen(Number(PORT), '127.0.0.1')", listening))
    const receiver = spawn(process.execPath, ['receiver.mjs'], {
      cwd: packed.dir,
      env: { CASHFLOW_WEBHOOK_SECRETS: secret },
      stdio: ['ignore', 'pipe', 'ignore'], // A warning that node:sqlite is new.
    })
    try {
      const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]()
      const url = `http://127.0.0.1:${(await lines.next()).value}/cashflow`
      await ask('PATCH', `/webhook-endpoints/${id}`, { url })
      const forged = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
      expect(forged.status).to.equal(400)
      const metadata = { simulate: 'success' }
      await ask('POST', '/payments', { amount: '5', currency: 'USD', reference: 'ORDER-1002', metadata })
      expect(`${(await lines.next()).value}\n${(await lines.next()).value}`).to.equal(expected)
    } finally {
      receiver.kill()
    }
  })

  it('the program of docs/integrating.md prints what it says', async () => {
    await expectProgram(await readFile(join(REPOSITORY, 'docs/integrating.md'), 'utf8'))
  })
})
