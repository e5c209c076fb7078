import { setTimeout as sleep } from 'node:timers/promises'
import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, PATIENTLY, type RelayRig } from './relay-rig.ts'

describe('relay process that gets a stop signal', () => {
  let rig: RelayRig
  let proxy: TcpProxy
  beforeEach(async () => {
    rig = await createRelayRig()
    proxy = await startTcpProxy(rig.database.url)
  })
  afterEach(async () => {
    await proxy.stop()
    await rig.stop()
  })

  // The time of the signal decides which query waits for an answer: of a pass, the backlog watch or the listener.
  // Promise 24
  for (const silentMs of [200, 3_000, 6_000])
    it(`relay: ends cleanly when PostgreSQL has been silent for ${silentMs} ms`, async () => {
      const relay = rig.start({ DATABASE_URL: proxy.url })
      await relay.logged('ready', PATIENTLY)
      proxy.holdAnswers()
      await sleep(silentMs)
      const code = await relay.stop()
      expect(relay.logs.map(({ message }) => message)).to.not.include('stopping took too long')
      expect(code).to.equal(0)
    }).timeout(120_000)
})
