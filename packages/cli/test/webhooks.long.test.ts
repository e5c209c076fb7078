import { createDatabase, rotateSecret, type Tables } from '@cashflow/db'
import { createMerchant } from '@cashflow/db/operator'
import { DEFAULT_MERCHANT_ID, eventId } from '@cashflow/domain'
import { createTestDatabase, nullLogger, OPERATOR, openClient, type TestDatabase } from '@cashflow/testing'
import { createSecretBox, newSecret, parseSealingKeys } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { runCashflow } from './run-cashflow.ts'
import { doctor } from './run-doctor.ts'
import { attempt, SECRETS_KEY, storeDelivered, storeEndpoint } from './webhook-store.ts'

const NEW_KEY = 'n'.repeat(32)
const REASON = ['--reason', 'asked by the shop']

describe('cashflow webhooks', function () {
  // Each command starts a process.
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  beforeEach(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 5, logger: nullLogger })
  })
  afterEach(async () => {
    await db.destroy()
    await database.drop()
  })

  const run = (args: readonly string[], key = SECRETS_KEY) =>
    runCashflow([...args, '--actor', 'ann@ops'], {
      DATABASE_URL: database.url,
      ...(key !== '' && { SECRETS_KEY: key }),
    })
  async function json(...args: string[]) {
    const { code, stdout, stderr } = await run(['webhooks', ...args, '--json'])
    expect([code, stderr], args.join(' ')).to.deep.equal([0, ''])
    return stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
  const acts = () => db.selectFrom('operator_actions').selectAll().orderBy('id').execute()
  const failed = { kind: 'failed', delayMs: 60_000, holdMs: 0 } as const

  it('webhooks list: shows endpoints of all merchants with their state and backlog, and finds those that fail', async () => {
    const made = await createMerchant(db, { name: 'Acme', by: OPERATOR })
    const merchantId = made.done ? made.merchant.id : ''
    const [good, bad] = [await storeEndpoint(db), await storeEndpoint(db, { merchantId })]
    await storeDelivered(db, merchantId)
    await attempt(db, failed, 503)
    const listed = await json('list')
    expect(listed.map(({ id }) => id)).to.have.members([good.id, bad.id])
    expect(listed.find(({ id }) => id === good.id)).to.include({ state: 'enabled', pending: 0, oldest_due: null })
    const [failing, ...others] = await json('list', '--failing')
    expect(others).to.deep.equal([])
    expect(failing).to.include({ id: bad.id, merchant: 'Acme', state: 'failing', pending: 1, failures: 1 })
    expect(failing.last_failure).to.equal('HTTP 503')
    expect((await run(['webhooks', 'show', bad.id])).stdout).to.match(/^last_failure +HTTP 503$/m)
    expect(Date.parse(failing.oldest_due)).to.be.closeTo(Date.now() + 60_000, 30_000)
    for (const name of ['Acme', merchantId, merchantId.toUpperCase()])
      expect((await json('list', '--merchant', name)).map(({ id }) => id)).to.deep.equal([bad.id])
    expect(await json('list', '--disabled')).to.deep.equal([])
    const { stdout, stderr } = await run(['webhooks', 'list', '--limit', '1'])
    expect(stdout).to.match(/^id +merchant +url +state +failing_since +pending +oldest_due\n/)
    expect(stderr).to.match(/^More: --after [0-9a-f-]{36}\n$/)
    const unknown = await run(['webhooks', 'list', '--merchant', 'Unknown'])
    expect([unknown.code, unknown.stderr]).to.deep.equal([1, 'No merchant has this name.\n'])
  })

  it('webhooks disable, enable and show: change an endpoint once, and record who did it', async () => {
    const { id, secret } = await storeEndpoint(db)
    expect(await json('disable', id, ...REASON)).to.deep.equal([{ id, state: 'disabled' }])
    const again = await run(['webhooks', 'disable', id, ...REASON])
    expect([again.code, again.stderr]).to.deep.equal([1, 'The endpoint is disabled already: requested.\n'])
    const [shown] = await json('show', id)
    expect(shown).to.include({ id, state: 'disabled: requested', ordering: 'payment' })
    expect(shown.missed_since).to.be.a('string')
    expect(shown.acts[0]).to.include({ action: 'webhooks disable', actor: 'ann@ops', reason: 'asked by the shop' })
    expect(JSON.stringify(shown)).to.not.include(secret)
    expect(await json('enable', id, ...REASON)).to.deep.equal([{ id, state: 'enabled' }])
    expect((await run(['webhooks', 'enable', id, ...REASON])).stderr).to.equal('The endpoint is enabled already.\n')
    expect((await acts()).map(({ action, target }) => [action, target])).to.deep.equal([
      ['webhooks disable', id],
      ['webhooks enable', id],
    ])
  })

  it('webhooks redeliver: makes the deliveries of an event due again, and deliveries shows them', async () => {
    const { id } = await storeEndpoint(db)
    const payment = await storeDelivered(db)
    await attempt(db, { kind: 'succeeded' }, 204)
    const event = eventId(payment, 1)
    expect((await json('deliveries', '--event', event))[0]).to.include({ status: 'succeeded', last_status: 204 })
    expect(await json('deliveries', '--status', 'expired')).to.deep.equal([])
    const [again] = await json('redeliver', event, '--endpoint', id, ...REASON)
    expect(again).to.include({ endpoint_id: id, event_id: event, status: 'pending', replay: true, attempts: 0 })
    for (const filter of [['--endpoint', id], ['--payment', payment], ['--status', 'pending'], []])
      expect(
        (await json('deliveries', ...filter)).map((delivery) => delivery.id),
        filter.join(' '),
      ).to.deep.equal([again.id])
    const unknown = await run(['webhooks', 'redeliver', eventId(payment, 9), ...REASON])
    expect([unknown.code, unknown.stderr]).to.deep.equal([1, 'No event has this id.\n'])
    expect((await acts()).map(({ action, target }) => [action, target])).to.deep.equal([
      ['webhooks redeliver', payment],
    ])
  })

  it('webhooks replay: starts one replay at a time, from a time, an event, or what was missed', async () => {
    const { id } = await storeEndpoint(db)
    const event = eventId(await storeDelivered(db), 1)
    const nothing = await run(['webhooks', 'replay', id, ...REASON])
    expect([nothing.code, nothing.stderr]).to.deep.equal([
      1,
      'The endpoint has missed no event. Give --after with an event or a time.\n',
    ])
    const types = ['--types', 'payment.failed,payment.created']
    const [replay] = await json('replay', id, '--after', event, ...types, ...REASON)
    expect(replay.types).to.deep.equal(['payment.failed', 'payment.created'])
    const [shown] = await json('show', id)
    expect(shown.replay).to.include({ id: replay.id, replayed: 0 })
    const second = await run(['webhooks', 'replay', id, '--after', '2026-01-01', ...REASON])
    expect([second.code, second.stderr]).to.deep.equal([1, 'A replay to this endpoint is not finished.\n'])
    expect((await acts()).map(({ after }) => after)).to.deep.equal([
      { replay: replay.id, types: ['payment.failed', 'payment.created'], from: 'event', event },
    ])
  })

  const secretsOf = (id: string) =>
    db
      .selectFrom('webhook_endpoints')
      .select(['secret as sealed', 'secret_key_id as keyId', 'former_secret', 'former_secret_key_id'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
  const [oldBox, newBox] = [SECRETS_KEY, NEW_KEY].map((key) => createSecretBox(parseSealingKeys(key)))

  // Promise 128
  it('webhooks rekey: seals current and former secrets with the first key, and names those that it cannot open', async () => {
    const [one, two, lost] = [
      await storeEndpoint(db),
      await storeEndpoint(db),
      await storeEndpoint(db, { secretsKey: 'x'.repeat(32) }),
    ]
    const rotated = newSecret()
    const secret = oldBox?.seal(rotated, one.id)
    if (secret) await rotateSecret(db, { merchantId: DEFAULT_MERCHANT_ID, id: one.id, secret, overlapMs: 3_600_000 })
    const rekeyed = await run(['webhooks', 'rekey', '--json'], `${NEW_KEY},${SECRETS_KEY}`)
    expect(rekeyed.code).to.equal(1)
    expect(rekeyed.stderr).to.match(
      new RegExp(
        `^endpoint ${lost.id}: the secret is sealed with key [0-9a-f]{12}, which is not in SECRETS_KEY\n1 endpoints were not rekeyed\\.`,
      ),
    )
    expect(JSON.parse(rekeyed.stdout)).to.deep.equal({ key: newBox?.currentKeyId, rekeyed: 2, refused: 1 })
    const first = await secretsOf(one.id)
    expect(newBox?.open(first, one.id)).to.equal(rotated)
    const former = { sealed: first.former_secret ?? Buffer.of(), keyId: first.former_secret_key_id ?? '' }
    expect(newBox?.open(former, one.id)).to.equal(one.secret)
    expect(newBox?.open(await secretsOf(two.id), two.id)).to.equal(two.secret)
    await db.deleteFrom('webhook_queues').where('endpoint_id', '=', lost.id).execute()
    await db.deleteFrom('webhook_endpoints').where('id', '=', lost.id).execute()
    const repeated = await run(['webhooks', 'rekey', '--json'], NEW_KEY)
    expect([repeated.code, JSON.parse(repeated.stdout).rekeyed]).to.deep.equal([0, 0])
    const actions = (await acts()).filter(({ action }) => action === 'webhooks rekey')
    expect(actions.map(({ target }) => target)).to.have.members([one.id, two.id])
    const without = await run(['webhooks', 'rekey'], '')
    expect([without.code, without.stderr]).to.match(/^1,SECRETS_KEY is not set\./)
  })

  // Promise 128
  it('webhooks rekey: an endpoint that another session has locked is named, and the next run seals it', async () => {
    const [locked, free] = [await storeEndpoint(db), await storeEndpoint(db)]
    const other = await openClient(database.url)
    await other.query(`begin; select from webhook_endpoints where id = '${locked.id}' for update`)
    const keys = `${NEW_KEY},${SECRETS_KEY}`
    const first = await run(['webhooks', 'rekey', '--json'], keys)
    await other.end()
    expect([first.code, JSON.parse(first.stdout).rekeyed]).to.deep.equal([1, 1])
    expect(first.stderr).to.include(`endpoint ${locked.id}: Another session has locked it`)
    expect((await secretsOf(free.id)).keyId).to.equal(newBox?.currentKeyId)
    const second = await run(['webhooks', 'rekey', '--json'], keys)
    expect([second.code, JSON.parse(second.stdout).rekeyed]).to.deep.equal([0, 1])
    expect(newBox?.open(await secretsOf(locked.id), locked.id)).to.equal(locked.secret)
  })

  it('payments show: has each attempt of a webhook, and what its deliveries wait for', async () => {
    await storeEndpoint(db)
    const payment = await storeDelivered(db)
    await attempt(db, failed, 503)
    const shown = await run(['payments', 'show', payment])
    expect(shown.stdout).to.match(
      /\n\S+Z +\+\S+ +webhook failed +shop\.example +sequence=1 .*status=503 duration_ms=12\n/,
    )
    expect(shown.stdout).to.match(
      /\nWebhooks that are not delivered:\n {2}webhook of event 1 to shop\.example: next attempt \S+ \(in \S+\), after 1 failed attempts\n$/,
    )
    expect(shown.stdout, 'a URL may contain a secret').to.not.include('token')
    const { deliveries } = JSON.parse((await run(['payments', 'show', payment, '--json'])).stdout)
    expect(deliveries[0]).to.include({ host: 'shop.example', status: 'pending', attempts: 1, last_status: 503 })
  })

  it('doctor: checks keys of secrets, queues that sleep, and endpoints that fail, once an endpoint exists', async () => {
    const env = { DATABASE_URL: database.url }
    expect((await doctor(env)).detail('secrets of webhooks')).to.equal(undefined)
    const { id } = await storeEndpoint(db)
    await storeDelivered(db)
    const good = await doctor({ ...env, SECRETS_KEY })
    expect(good.detail('secrets of webhooks')).to.match(/^sealed: 1 with key [0-9a-f]{12}$/)
    expect(good.detail('queues of webhooks')).to.equal('each is looked at when its first delivery is due')
    expect(good.detail('fan-out of webhooks')).to.equal('each event has its deliveries')
    expect(good.detail('setting SECRETS_KEY')).to.equal('*** (environment)')
    const strange = await doctor({ ...env, SECRETS_KEY: NEW_KEY })
    expect(strange.wrong).to.include('secrets of webhooks')
    await attempt(db, failed, 503)
    await sql`update webhook_queues set due_at = 'infinity'`.execute(db)
    await sql`update webhook_endpoints set secret = set_byte(secret, 20, 255 - get_byte(secret, 20))`.execute(db)
    const bad = await doctor({ ...env, SECRETS_KEY })
    expect(bad.detail('queues of webhooks')).to.match(
      new RegExp(`^1 sleep, such as that of endpoint ${id}: .* never\\.`),
    )
    expect(bad.detail('secrets of webhooks')).to.include(`1 were changed in the database, such as of ${id}`)
    expect(bad.warnings).to.include('webhook endpoints')
  })
})
