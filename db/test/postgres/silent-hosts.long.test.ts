import { defined } from '@cashflow/async'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { isAway, isTransient } from '../../src/index.ts'
import { ask, errorOf, type HostRig, hostOf, NOWHERE, startHostRig } from './host-rig.ts'

describe('pool of silent hosts', () => {
  let rig: HostRig
  beforeEach(async () => {
    rig = await startHostRig()
  })
  afterEach(() => rig.stop())

  // Promise 56
  it('db: waits one second for each silent host, and throws an error with the reason for each host', async () => {
    const [mute, other] = [await rig.silent(), await rig.silent()]
    const from = performance.now()
    const error = await errorOf(rig.open([mute.host, NOWHERE, other.host]))
    expect(performance.now() - from).to.be.within(1_200, 4_500)
    expect(error?.message).to.match(/^No database host can be used: /)
    expect(error?.message).to.include(`${NOWHERE}: connect ECONNREFUSED`).and.include(`${mute.host}: timeout expired`)
    expect(error?.message).not.to.include(':postgres@')
    expect(isTransient(error)).to.equal(true)
    expect(isAway(error)).to.equal(true)
  })

  it('db: waits one second for the whole start of a session, not only for the connection', async () => {
    const halfway = await rig.proxy()
    halfway.holdAnswerTo('set lock_timeout')
    const from = performance.now()
    const error = await errorOf(rig.open([NOWHERE, hostOf(halfway.url)]))
    expect(error?.message).to.include(`${hostOf(halfway.url)}: timeout expired`)
    expect(performance.now() - from).to.be.within(950, 4_500)
    expect(halfway.held).to.equal(1)
  })

  it('db: tries a host last after a statement there was not answered in time', async () => {
    const proxies = [await rig.proxy(), await rig.proxy()]
    const db = rig.open(
      proxies.map(({ url }) => hostOf(url)),
      { statementMs: 500 },
    )
    await ask(db)
    // On a busy machine the second host may answer before the first one.
    const [inUse] = rig.logged('database host in use')
    const used = defined(
      proxies.find(({ url }) => hostOf(url) === inUse?.host),
      'host in use',
    )
    used.holdAnswers()
    expect(await errorOf(db)).to.have.property('message', 'Query read timeout')
    await ask(db)
    expect(rig.logged('database host changed')).to.have.length(1)
    expect(rig.logged('database host changed')[0]).to.include({ host_before: hostOf(used.url) })
  })

  it('db: watches a silent host with one connection at a time', async () => {
    const mute = await rig.silent()
    const db = rig.open([rig.host, mute.host])
    await ask(db)
    // On a busy machine the first session may dial this host as well. If connections piled up, the count would only grow.
    await eventually(() => expect(mute.open.slice(-4)).to.deep.equal([1, 1, 1, 1]))
    const { rows } = await sql<{ count: string }>`
      select count(*) from pg_stat_activity where application_name = 'test-watch'`.execute(db)
    expect(rows).to.deep.equal([{ count: '1' }])
  })

  it('db: logs a silent host once, and again when it answers', async () => {
    const other = await rig.proxy()
    const db = rig.open([rig.host, hostOf(other.url)])
    await ask(db)
    other.cut()
    const expectLogged = (message: string) =>
      eventually(() => expect(rig.logged(message).map(({ host }) => host)).to.deep.equal([hostOf(other.url)]))
    await expectLogged('database host cannot be watched')
    other.restore()
    await expectLogged('database host is watched again')
  })
})
