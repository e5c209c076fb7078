import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { eventually, type TcpProxy } from '../../src/index.ts'
import { createPlainRig, type PlainRig } from './plain-rig.ts'
import { expectGone, expectSeen, expectText, startPlainServer } from './plain-sockets.ts'

describe('TCP proxy', () => {
  let rig: PlainRig
  let proxy: TcpProxy
  beforeEach(async () => {
    rig = await createPlainRig()
    proxy = rig.proxy
  })
  afterEach(() => rig.stop())

  it('passes bytes in both directions, and the end of one direction while the other continues', async () => {
    const [client, server] = await rig.pair()
    client.socket.end('question')
    await expectSeen(server, 'end')
    expect(server.text).to.equal('question')
    server.socket.write('an')
    await expectText(client, 'an')
    server.socket.end('swer')
    await expectSeen(client, 'end', 'close')
    expect(client.text).to.equal('answer')
    await expectSeen(server, 'end', 'close')
  })

  it('passes a reset of one side, after the bytes that it had sent', async () => {
    const [client, server] = await rig.pair()
    proxy.delay(20)
    server.socket.write('last words')
    await rig.turns()
    server.socket.resetAndDestroy()
    await expectSeen(client, 'reset', 'close')
    expect(client.text).to.equal('last words')
    const [another, itsServer] = await rig.pair()
    another.socket.resetAndDestroy()
    await expectSeen(itsServer, 'reset', 'close')
  })

  it('ends connections whose server does not listen', async () => {
    proxy.redirect('tcp://127.0.0.1:1')
    await expectGone(await rig.connect())
  })

  it('connects new clients to another server once redirected, and ends the other connections', async () => {
    const other = await startPlainServer()
    try {
      const [client, server] = await rig.pair()
      proxy.redirect(other.url)
      await expectSeen(client, 'end')
      await expectSeen(server, 'end')
      const again = await rig.connect()
      again.socket.write('hello')
      await expectText(await other.next(), 'hello')
      expect(proxy.taken).to.equal(2)
    } finally {
      await other.stop()
    }
  })

  it('TCP proxy can stop twice while it holds bytes, and leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length
    const [idle] = await rig.pair()
    const before = timers()
    const [delayed, server] = await rig.pair()
    proxy.delay(3_600_000)
    delayed.socket.write('waits')
    server.socket.end('as well')
    await eventually(() => expect(timers()).to.be.at.least(before + 2))
    await Promise.all([proxy.stop(), proxy.stop()])
    await proxy.stop()
    for (const side of [idle, delayed, server]) await expectGone(side)
    await eventually(async () => {
      await setImmediate() // Lets the timer of this wait end first.
      expect(timers()).to.be.at.most(before)
    })
  })
})
