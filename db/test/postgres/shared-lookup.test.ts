import dns from 'node:dns'
import { expect } from 'chai'
import { ask, errorOf, NOWHERE, startHostRig } from './host-rig.ts'

const UNANSWERED = 'unanswered.example'

describe('shared look-up of host names', () => {
  const { lookup } = dns
  afterEach(() => {
    dns.lookup = lookup
  })

  // Promise 56
  it('db: looks a silent name up once at a time, so that the names of other hosts are found', async () => {
    let asked = 0
    // Takes the place of a name server that does not answer.
    dns.lookup = ((name: string, ...others: unknown[]) => {
      if (name === UNANSWERED) asked += 1
      else Reflect.apply(lookup, dns, [name, ...others])
    }) as typeof lookup
    const rig = await startHostRig()
    const other = `localhost:${rig.host.split(':').at(-1)}`
    const db = rig.open([UNANSWERED, other], { poolMax: 3 })
    await Promise.all([1, 2, 3].map(() => ask(db)))
    expect(asked).to.equal(1)
    const unreachable = rig.open([UNANSWERED, NOWHERE], { poolMax: 3 })
    await Promise.all([1, 2, 3].map(() => errorOf(unreachable)))
    expect(asked).to.equal(2)
    await rig.stop()
  }).timeout(30_000)

  it('db: looks a name up again after an answer', async () => {
    let asked = 0
    dns.lookup = ((name: string, ...others: unknown[]) => {
      asked += 1
      Reflect.apply(lookup, dns, [name, ...others])
    }) as typeof lookup
    const rig = await startHostRig()
    const db = rig.open([`localhost:${rig.host.split(':').at(-1)}`])
    await ask(db)
    const before = asked
    await ask(rig.open([`localhost:${rig.host.split(':').at(-1)}`]))
    expect(asked).to.be.above(before)
    await rig.stop()
  })
})
