import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { aPayment } from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../../src/provider/http-provider.ts'
import { attemptCharge } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'

const DOCUMENT = new URL('../../../../docs/provider.md', import.meta.url)

describe('adapter in docs/provider.md', () => {
  let folder: string
  let adapter: ChildProcess
  let url: string

  before(async () => {
    const [, code] = /```js\n(.+?)```/s.exec(await readFile(DOCUMENT, 'utf8')) ?? []
    folder = await mkdtemp(join(tmpdir(), 'adapter-'))
    const file = join(folder, 'adapter.mjs')
    await writeFile(file, code ?? '')
    adapter = spawn(process.execPath, [file], {
      env: { PATH: process.env.PATH, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (!adapter.stdout) throw new Error('the adapter has no output')
    for await (const line of createInterface({ input: adapter.stdout })) {
      url = `http://localhost:${/^listening on (\d+)$/.exec(line)?.[1]}/charges`
      break
    }
  })
  after(async () => {
    adapter.kill('SIGKILL')
    await rm(folder, { recursive: true })
  })

  const paymentOf = (amountMinor: bigint) =>
    aPayment({ reference: 'REF-1', money: { amountMinor, currency: 'USD' } }).payment

  for (const [amountMinor, expected] of [
    [10_050n, { outcome: 'approved' }],
    [10_051n, { outcome: 'declined', failureCode: 'odd_amount' }],
  ] as const) {
    it(`answers ${expected.outcome} for ${amountMinor}, at the first attempt and at later ones`, async () => {
      const payment = paymentOf(amountMinor)
      for (const attempts of [1, 0, 1]) {
        const leaseEnd = createTimeLimit(60_000)
        const charge = attemptCharge(createHttpProvider({ url }), payment, {
          attempts,
          pending: false,
          deadlineMs: 5_000,
          leaseEnd,
        })
        expect(await charge).to.deep.equal(expected)
      }
    })
  }
})
