import { randomUUID } from 'node:crypto'
import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { createMerchant } from '@cashflow/db/operator'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { aPayment, createTestDatabase, nullLogger, OPERATOR, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { runCashflow } from './run-cashflow.ts'

describe('cashflow payments show', function () {
  this.timeout(120_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  const show = (...args: string[]) => runCashflow(['payments', 'show', ...args], { DATABASE_URL: database.url })
  async function store(reference: string, merchantId = DEFAULT_MERCHANT_ID): Promise<string> {
    const { payment, event } = aPayment({ reference, merchantId })
    const insert = { payment, event, requestId: 'r-1', messages: [] }
    await db.transaction().execute((tx) => insertPayments(tx, [insert], { redriveAfterMs: 60_000 }))
    return payment.id
  }

  it('prints the timeline by id and by reference, and what the payment waits for', async () => {
    const id = await store('REF 1')
    for (const name of [id, id.toUpperCase(), 'REF 1']) {
      const { code, stdout, stderr } = await show(name)
      expect([code, stderr], name).to.deep.equal([0, ''])
      expect(stdout).to.match(new RegExp(`^id +${id}\nreference +REF 1\n`))
      expect(stdout).to.match(
        /\n\S+Z +payment\.created +api +sequence=1 amount=1\.00 currency=USD reference="REF 1" request_id=r-1\n/,
      )
      expect(stdout).to.match(/\nIt waits for its first worker\.\n {2}next action .* \(in \d+s\)\n/)
      expect(stdout).to.not.include('\u001b')
    }
  })

  it('prints a time without a date, which only a change by hand stores', async () => {
    const id = await store('REF 9')
    await sql`update payments set created_at = 'infinity', redrive_at = 'infinity' where id = ${id}`.execute(db)
    await sql`update payment_events set created_at = 'infinity' where payment_id = ${id}`.execute(db)
    await sql`insert into payment_attempts (payment_id, kind, actor, data) values (${id}, 'parked', 'worker', '{}')`.execute(
      db,
    )
    const shown = await show(id)
    expect([shown.code, shown.stderr]).to.deep.equal([0, ''])
    expect(shown.stdout).to.match(/\nInfinity +payment\.created /)
    const { created_at, timeline } = JSON.parse((await show(id, '--json')).stdout)
    expect([created_at, timeline.at(-1).at, timeline.at(-1).after_ms]).to.deep.equal(['Infinity', 'Infinity', null])
  })

  it('says that the row and the events of a changed payment do not agree', async () => {
    const id = await store('REF 6')
    expect((await show(id)).stdout).to.not.include('do not agree')
    expect(JSON.parse((await show(id, '--json')).stdout).findings).to.deep.equal([])
    await sql`update payments set amount_minor = 9999 where id = ${id}`.execute(db)
    const { code, stdout } = await show(id)
    expect(code).to.equal(0)
    expect(stdout).to.include(`\nRow, events and hashes do not agree: amount. Run: cashflow verify ${id}\n`)
    expect(JSON.parse((await show(id, '--json')).stdout).findings).to.deep.equal([
      { what: 'amount', expected: '1.00', found: '99.99' },
    ])
  })

  it('prints the same as JSON', async () => {
    const id = await store('REF 2')
    const shown = JSON.parse((await show(id, '--json')).stdout)
    expect(shown).to.deep.include({ id, reference: 'REF 2', status: 'PENDING', waiting_for: 'queue', not_recorded: [] })
    expect(shown.timeline).to.have.length(1)
    expect(shown.timeline[0]).to.deep.include({ what: 'payment.created', by: 'api', after_ms: null })
    expect(Date.parse(shown.next_action_at)).to.be.greaterThan(Date.parse(shown.read_at))
  })

  it('lists the payments of a reference that several merchants have, with exit code 1, and shows the chosen one', async () => {
    const merchant = await createMerchant(db, { name: 'Second', by: OPERATOR })
    if (!merchant.done) throw new Error(merchant.why)
    const other = merchant.merchant.id
    const [first, second] = [await store('REF 3'), await store('REF 3', other)]
    const listed = await show('REF 3', '--json')
    expect([listed.code, listed.stderr]).to.deep.equal([
      1,
      'Several merchants have a payment with this reference. Choose one with --merchant.\n',
    ])
    const lines = listed.stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).id)).to.have.members([first, second])
    expect(JSON.parse((await show('REF 3', '--merchant', other, '--json')).stdout).id).to.equal(second)
    expect(await show(first, '--merchant', other)).to.include({ code: 1, stdout: '' })
  })

  it('writes control characters of clients and operators as escapes', async () => {
    const id = await store('REF 4')
    const letter = {
      messageId: randomUUID(),
      key: id,
      topic: 'payment.retry',
      payload: {},
      source: 'worker',
      attempts: 1,
    }
    const reason = `\u001b[2Jgone\u0007 \u202e${'x'.repeat(1_000)}`
    await db.transaction().execute((tx) => buryMessage(tx, { ...letter, reason }))
    const { stdout } = await show(id)
    expect(stdout).to.include('\\u001b[2Jgone\\u0007 \\u202exxx').and.to.include('x…')
    for (const hidden of ['\u001b', '\u0007', '\u202e']) expect(stdout).to.not.include(hidden)
    const json = (await show(id, '--json')).stdout
    for (const hidden of ['\u001b', '\u0007', '\u202e']) expect(json).to.not.include(hidden)
    expect(JSON.parse(json).timeline[1].facts.reason).to.equal(reason)
  })

  it('says that a payment was pruned', async () => {
    const id = randomUUID()
    await sql`insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      values (${DEFAULT_MERCHANT_ID}, 'REF 5', ${id}, 10050, 'USD')`.execute(db)
    for (const name of [id, 'REF 5']) {
      const { code, stdout } = await show(name)
      expect(code).to.equal(0)
      expect(stdout)
        .to.match(new RegExp(`^id +${id}\n`))
        .and.to.match(/\namount +100\.50 USD\nstatus +pruned\n/)
    }
  })

  it('exits with 1 for an unknown name, and with 2 for one that no payment can have', async () => {
    for (const name of [randomUUID(), 'unknown'])
      expect(await show(name)).to.include({ code: 1, stdout: '', stderr: 'No payment has this id or reference.\n' })
    for (const name of ['', 'a\u0007b', 'x'.repeat(256)]) expect((await show(name)).code, name).to.equal(2)
  })
})
