import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Payment } from '@cashflow/domain'
import { aPayment, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { workerConfig } from '../../src/config.ts'
import { openChargesFile } from '../../src/provider/charges-file.ts'
import { createProvider } from '../../src/provider/create-provider.ts'

describe('charges of the simulated provider', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cashflow-charges-'))
  const file = join(folder, 'charges.jsonl')
  const written = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  const settings = { kind: 'simulated', delayMs: 0, successRate: 0.5 } as const
  const deadline = { signal: new AbortController().signal, passed: () => false }
  const charge = async (payment: Payment, noteCharge = openChargesFile(file)) => {
    const provider = createProvider(settings, nullLogger, undefined, noteCharge)
    return (await provider.charge(payment, deadline, { attempts: 0, pending: false })).outcome
  }

  after(() => rmSync(folder, { recursive: true }))

  it('simulated provider appends each charge to the file before it answers, and gives a payment one outcome', async () => {
    const payments = Array.from({ length: 40 }, () => aPayment().payment)
    const first = await Promise.all(payments.map((payment) => charge(payment)))
    expect(await Promise.all(payments.map((payment) => charge(payment)))).to.deep.equal(first)
    expect(new Set(first)).to.deep.equal(new Set(['approved', 'declined']))
    expect(written().map(({ at, ...facts }) => facts)).to.deep.equal(
      [...payments, ...payments].map(({ id }, index) => ({ key: id, payment_id: id, outcome: first[index % 40] })),
    )
    expect(statSync(file).mode & 0o777).to.equal(0o600)
  })

  it('simulated provider goes on at the beginning of a file of charges that was emptied', async () => {
    const note = openChargesFile(file)
    await charge(aPayment().payment, note)
    truncateSync(file)
    const { payment } = aPayment()
    await charge(payment, note)
    expect(written().map(({ key }) => key)).to.deep.equal([payment.id])
  })

  it('worker refuses PROVIDER_CHARGES_LOG unless its provider is simulated and it is in a sandbox', () => {
    const PROVIDER_CHARGES_LOG = file
    expect(workerConfig({ PROVIDER_CHARGES_LOG }).provider).to.include({ kind: 'simulated', chargesFile: file })
    const http = { PROVIDER: 'http', PROVIDER_URL: 'https://pay.internal/' }
    for (const env of [http, { ...http, SANDBOX: 'no' }])
      expect(() => workerConfig({ PROVIDER_CHARGES_LOG, ...env })).to.throw(
        'PROVIDER_CHARGES_LOG: is for PROVIDER=simulated in a sandbox only',
      )
  })
})
