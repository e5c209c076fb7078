import { defined } from '@cashflow/async'
import { OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { listActions } from '../../src/operator.ts'
import { sealPayments } from '../../src/verify/seal.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { verifiedPayments } from './verified.ts'

const UNSEAL = 'update payment_events set hash = null'

describe('verify --seal', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2)
  })
  afterEach(() => store.drop())

  const { change, verified, settled, heads } = verifiedPayments(() => store)

  /** Payments whose events were written by an earlier version. */
  async function unsealed(count: number): Promise<string[]> {
    const ids: string[] = []
    while (ids.length < count) ids.push(await settled())
    await change(UNSEAL)
    await change('update payments set last_hash = null')
    return ids
  }

  it('seals events of earlier versions once, and the hashes are those that an export had before', async () => {
    await unsealed(3)
    const exported = await heads()
    expect((await verified()).counts).to.include({ unsealed: 3, findings: 0 })
    expect((await verified({ isSealed: true })).what).to.have.length(6)
    expect((await verified({ sealsAs: OPERATOR })).counts).to.include({ sealed: 3, unsealed: 0, findings: 0 })
    const [action] = await listActions(store.db, { limit: 10 })
    expect(action).to.deep.include({ action: 'verify --seal', actor: OPERATOR.actor })
    expect(action?.after).to.deep.include({ payments: 3 })
    expect((await verified({ sealsAs: OPERATOR })).counts).to.include({ sealed: 0, unsealed: 0, findings: 0 })
    expect((await verified({ isSealed: true })).findings).to.deep.equal([])
    expect((await heads()).map(({ hash }) => hash)).to.deep.equal(exported.map(({ hash }) => hash))
  })

  it('seals the end that a worker of an earlier version wrote behind a sealed beginning', async () => {
    const id = await settled()
    await change(`${UNSEAL}, trace = null where sequence = 2`)
    await change(
      'update payments set last_hash = e.hash from payment_events e where e.payment_id = payments.id and e.sequence = 1',
    )
    expect((await verified()).counts).to.include({ unsealed: 1, unsealedEnds: 1, findings: 0 })
    const listed: string[] = []
    const sealing = { sealsAs: OPERATOR, onUnsealedEnd: async (id: string) => void listed.push(id) }
    expect((await verified(sealing)).counts).to.include({ sealed: 1, unsealedEnds: 0, findings: 0 })
    expect(listed).to.deep.equal([id])
    expect((await verified({ isSealed: true })).findings).to.deep.equal([])
  })

  it('seals no end whose hash was removed, unless a service of an earlier version may have written it', async () => {
    const [end, last, renamed] = [await settled(), await settled(), await store.insert()]
    await change(`${UNSEAL}, trace = null where sequence = 2`)
    await change(
      'update payments set last_hash = e.hash from payment_events e where e.payment_id = payments.id and e.sequence = 1',
    )
    await change(`update payment_events set trace = '{}' where payment_id = $1 and sequence = 2`, end)
    await change('update payments set last_hash = null where id = $1', last)
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
        select id, merchant_id, 3, 'payment.reference_changed',
          jsonb_build_object('reference', reference, 'reference_before', reference), 'worker' from payments where id = $1`,
      renamed.id,
    )
    const { counts, what } = await verified({ sealsAs: OPERATOR })
    expect(what).to.have.members(['hash of event 2', 'last_hash', 'hash of event 3'])
    expect(counts).to.include({ sealed: 0, unsealed: 3 })
  })

  // Promise 108
  it('seals no payment that has a finding', async () => {
    const [first, second] = await unsealed(2)
    await change('update payments set amount_minor = 1 where id = $1', first)
    await verified({ sealsAs: OPERATOR })
    await change(`update payment_events set actor = 'x', hash = null where payment_id = $1 and sequence = 1`, second)
    const { counts, what } = await verified({ sealsAs: OPERATOR })
    expect(what).to.deep.equal(['amount of row and event 1', 'hash of event 1', 'hash of event 2'])
    expect(counts).to.include({ sealed: 0, unsealed: 2 })
  })

  it('skips payments that another session has locked or a worker has claimed, and seals them later', async () => {
    const [locked, free] = await unsealed(2)
    const { id: claimed } = await store.insert()
    await change(UNSEAL)
    await change(`update payments set claim_token = gen_random_uuid(), last_hash = null where id = $1`, claimed)
    const other = await openClient(store.database.url)
    await other.query(`begin; select from payments where id = '${locked}' for update`)
    expect((await verified({ sealsAs: OPERATOR })).counts).to.include({ sealed: 1, unsealed: 2, findings: 0 })
    await other.end()
    await change('update payments set claim_token = null where id = $1', claimed)
    expect((await verified({ sealsAs: OPERATOR })).counts).to.include({ sealed: 2, unsealed: 0 })
    expect(free).to.be.a('string')
  })

  it('seals all of a transaction or nothing, so a run after a kill seals the rest', async () => {
    const ids = (await unsealed(3)).toSorted()
    await change(
      `create function fails() returns trigger language plpgsql as $$ begin raise exception 'killed'; end $$;`,
    )
    await change(
      `create trigger fails before update of last_hash on payments for each row when (new.id = '${ids[1]}') execute function fails()`,
    )
    expect(await sealPayments(store.db, [defined(ids[0], 'id')], OPERATOR)).to.deep.equal(new Set(ids.slice(0, 1)))
    expect(await sealPayments(store.db, ids.slice(1), OPERATOR).catch(({ message }) => message)).to.equal('killed')
    expect((await verified()).counts).to.include({ unsealed: 2, findings: 0 })
    await change('drop trigger fails on payments')
    expect((await verified({ sealsAs: OPERATOR })).counts).to.include({ sealed: 2, unsealed: 0, findings: 0 })
  })
})
