import { hkdfSync } from 'node:crypto'
import { defined } from '@cashflow/async'
import { rotateSecret } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually, startDebianPostgres } from '@cashflow/testing'
import { createSecretBox, newSecret, parseSealingKeys, type SecretBox, SecretKeyError } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, SECRETS, SECRETS_KEY, startRig } from './rig.ts'

const WRONG_KEY = 'another-key-for-tests-of-32-bytes-and-more'

describe('a dump of the database', function () {
  this.timeout(120_000)
  let rig: Rig
  let receiver: Receiver
  let dump: () => Promise<string>

  before(async () => {
    const postgres = await startDebianPostgres()
    dump = postgres.dump
    rig = await startRig({ name: 'payments', url: postgres.url, drop: postgres.stop })
    receiver = await startReceiver()
  })
  after(async () => {
    await rig?.stop()
    await receiver?.stop()
  })

  const endpoints = () => rig.db.selectFrom('webhook_endpoints').selectAll().execute()

  /** A box with another key, which the database names as the one that has sealed. */
  function boxWithNameOf(keyId: string): SecretBox {
    const [wrong] = parseSealingKeys(WRONG_KEY)
    return createSecretBox([{ ...wrong, id: keyId }])
  }

  // Promise 120
  it('webhooks: a dump of the database has no secret and no key, and another key opens none of its secrets', async () => {
    const { id, secret: former } = await rig.endpoint(receiver.url)
    const current = newSecret()
    await rotateSecret(rig.db, {
      ...{ merchantId: DEFAULT_MERCHANT_ID, id, overlapMs: 3_600_000 },
      secret: SECRETS.seal(current, id),
    })
    const process = await rig.start()
    const payment = await rig.pay()
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(payment)]))
    await rig.delivered()
    await process.stop()

    const text = await dump()
    const [endpoint] = await endpoints()
    const { secret, former_secret, secret_key_id } = defined(endpoint, 'endpoint')
    const sealed = [secret, defined(former_secret ?? undefined, 'former secret')]
    for (const bytes of sealed) expect(text).to.include(bytes.toString('hex'))
    expect(text).to.include(created(payment).slice(4, 40))
    const signatures = String(receiver.received[0]?.headers['webhook-signature']).split(' ')
    expect(signatures).to.have.lengthOf(2)
    const derived = Buffer.from(hkdfSync('sha256', SECRETS_KEY, '', 'cashflow webhook secrets', 32))
    const hidden = [
      ...[current, former].flatMap((each) => [each, each.slice('whsec_'.length), Buffer.from(each.slice(6), 'base64')]),
      ...[SECRETS_KEY, derived, ...signatures.map((each) => each.slice('v1,'.length))],
    ]
    for (const each of hidden)
      for (const form of formsOf(each)) expect(text.toLowerCase().includes(form.toLowerCase()), form).to.equal(false)

    for (const bytes of sealed) {
      const stored = { sealed: bytes, keyId: secret_key_id }
      expect(() => createSecretBox(parseSealingKeys(WRONG_KEY)).open(stored, id)).to.throw(SecretKeyError)
      expect(() => boxWithNameOf(secret_key_id).open(stored, id)).to.throw(SecretKeyError)
    }
    expect(sealed.map((bytes) => SECRETS.open({ sealed: bytes, keyId: secret_key_id }, id))).to.deep.equal([
      current,
      former,
    ])
  })

  // Promise 120
  it('webhooks: a process with another key sends nothing for a copied database', async () => {
    const sent = receiver.received.length
    const [endpoint] = await endpoints()
    for (const secrets of [
      createSecretBox(parseSealingKeys(WRONG_KEY)),
      boxWithNameOf(defined(endpoint, 'endpoint').secret_key_id),
    ]) {
      const process = await rig.start({ secrets })
      await rig.pay()
      rig.wake()
      const message = 'the secret of a webhook endpoint cannot be opened, its deliveries wait'
      await eventually(() => expect(process.log.linesOf(message)).to.have.lengthOf(1))
      await process.stop()
    }
    expect(receiver.received).to.have.lengthOf(sent)
  })
})

/** How a dump would show a text, or bytes. */
function formsOf(value: string | Buffer): string[] {
  const bytes = Buffer.from(value)
  const forms = [bytes.toString('hex'), bytes.toString('base64').replaceAll('=', '')]
  return typeof value === 'string' ? [value, ...forms] : forms
}
