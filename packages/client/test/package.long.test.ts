import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { defined } from '@cashflow/async'
import { answer, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { build } from 'esbuild'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { installPacked, machineNode, run } from './packed.ts'

const PAYMENT = '{"id":"1","amount":100.50,"amount_minor":10050,"currency":"USD","reference":"R","status":"PENDING"}'

const USE = `
import { createClient, NoAnswerError, verifyWebhook } from '@cashflow/client'
const { payments } = createClient({ url: process.env.URL, attemptTimeoutMs: 5_000 })
const created = await payments.create({ amount: '100.50', currency: 'USD', reference: 'R' })
const stop = new AbortController()
const waiting = payments.waitFor(created.id, { signal: stop.signal }).catch((error) => error.message)
setTimeout(() => stop.abort(new Error('stopped')), 10)
const away = createClient({ url: 'http://127.0.0.1:1', timeoutMs: 10 })
const error = await away.payments.get('1').catch((error) => error)
let refused
try {
  verifyWebhook('{}', {}, 'whsec_' + 'A'.repeat(32))
} catch ({ code }) {
  refused = code
}
console.log(JSON.stringify([created.amount, await waiting, error instanceof NoAnswerError, refused]))
`

describe('@cashflow/client: the package', function () {
  this.timeout(120_000)
  let packed: Awaited<ReturnType<typeof installPacked>>
  let server: ScriptedServer
  before(async () => {
    packed = await installPacked()
    server = await startScriptedServer()
    server.script = (request, response) => {
      if (request.method === 'POST') answer(201, PAYMENT)(request, response)
    }
  })
  after(() => Promise.all([packed.remove(), server.close()]))

  it('client: publint and attw find nothing wrong in the package', async () => {
    const pkg = JSON.parse(await readFile(join(packed.installed, 'package.json'), 'utf8'))
    const { buffer, byteOffset, byteLength } = packed.tarball
    const tarball = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
    const { messages } = await publint({ pack: { tarball }, strict: true })
    expect(messages.map((message) => String(formatMessage(message, pkg) ?? message.code))).to.deep.equal([])
    const checked = await checkPackage(createPackageFromTarballData(packed.tarball))
    // It is an ES module only: `require` gets it from Node 22 on, and TypeScript says so before.
    const isRequired = (problem: object) =>
      'resolutionKind' in problem && ['node10', 'node16-cjs'].includes(String(problem.resolutionKind))
    if (!checked.types) expect.fail('the package has no types')
    expect(checked.problems.filter((problem) => !isRequired(problem))).to.deep.equal([])
    expect(pkg.dependencies).to.deep.equal({})
  })

  it('client: runs on the machine’s own Node', async () => {
    await writeFile(join(packed.dir, 'use.mjs'), USE)
    const env = { URL: new URL('/', server.url).href }
    const { stdout } = await run(machineNode(), [join(packed.dir, 'use.mjs')], { env })
    expect(JSON.parse(stdout)).to.deep.equal(['100.50', 'stopped', true, 'missing-header'])
  })

  it('client: has types for a program without Node’s and with strict rules', async () => {
    const program = `
      import { type ApiError, createClient, type Payment, verifyWebhook, webhookMiddleware } from '@cashflow/client'
      const event = verifyWebhook(new Uint8Array(), new Headers(), ['whsec_'])
      if (event.type === 'payment.failed') event.data.failure_code?.length
      webhookMiddleware({ secrets: async () => ['whsec_'], onRefused: ({ code }) => code === 'stale' })
      const { payments, events } = createClient({ url: 'http://localhost' })
      const payment: Payment = await payments.get('1', { signal: new AbortController().signal })
      // @ts-expect-error: an amount is text.
      await payments.create({ amount: 100.5, currency: 'USD', reference: 'R' })
      for await (const page of events({ follow: true })) for (const event of page.data) event.payment?.amount.length
      export type Code = ApiError['code'] | typeof payment.amount
    `
    await writeFile(join(packed.dir, 'use.ts'), program)
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--types', '']
    const how = ['--noEmit', '--target', 'es2022', '--lib', 'es2022,dom', ...strict]
    for (const module of [
      ['--module', 'nodenext'],
      ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ]) {
      await writeFile(join(packed.dir, 'package.json'), '{"type":"module"}')
      const { stdout } = await run('tsc', [...how, ...module, 'use.ts'], { cwd: packed.dir }).catch((error) => error)
      expect(stdout).to.equal('')
    }
  })

  it('client: in a bundle for browsers createClient throws the reason', async () => {
    const stdin = { contents: USE, resolveDir: packed.dir }
    const bundled = await build({
      stdin,
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
    })
    const text = defined(bundled.outputFiles[0], 'bundle').text
    await writeFile(join(packed.dir, 'bundle.mjs'), text)
    const { stderr } = await run(machineNode(), [join(packed.dir, 'bundle.mjs')]).catch((error) => error)
    expect(stderr).to.include('does not run in a browser: everyone who opens the page could read the API key')
    expect(text).to.not.include('idempotency-key').and.not.include('node:crypto')
  })
})
