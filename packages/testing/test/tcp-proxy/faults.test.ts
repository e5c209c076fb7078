import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { eventually, type TcpProxy } from '../../src/index.ts'
import { createPlainRig, type PlainRig } from './plain-rig.ts'
import { expectGone, expectSeen, expectText, type Side } from './plain-sockets.ts'

describe('TCP proxy', () => {
  let rig: PlainRig
  let proxy: TcpProxy
  let client: Side
  let server: Side
  beforeEach(async () => {
    rig = await createPlainRig()
    proxy = rig.proxy
    ;[client, server] = await rig.pair()
  })
  afterEach(() => rig.stop())

  /** Expects that a new connection, and the given one, pass everything immediately. */
  async function expectRestored(...pairs: [Side, Side][]): Promise<void> {
    for (const [ours, theirs] of [...pairs, await rig.pair()]) {
      const [sent, answered] = [theirs.text, ours.text]
      ours.socket.write('ping')
      await expectText(theirs, `${sent}ping`)
      theirs.socket.write('pong')
      await expectText(ours, `${answered}pong`)
    }
  }

  it('cut: ends every connection, and refuses new ones', async () => {
    proxy.cut()
    await expectSeen(client, 'end')
    await expectSeen(server, 'end')
    await expectSeen(await rig.connect(), 'end')
    expect(proxy.taken).to.equal(1)
    proxy.restore()
    await expectRestored()
    expect(rig.server.sides).to.have.length(2)
  })

  it('reset: resets both sides, and accepts new connections', async () => {
    proxy.reset()
    await expectSeen(client, 'reset', 'close')
    await expectSeen(server, 'reset', 'close')
    await expectRestored()
    expect(proxy.taken).to.equal(2)
  })

  it('freeze: passes nothing, hides each side’s end from the other, and ends its connections when restored', async () => {
    const [leaving, left] = await rig.pair()
    const [reset, remaining] = await rig.pair()
    proxy.freeze()
    client.socket.write('lost')
    server.socket.write('lost')
    leaving.socket.end('lost')
    remaining.socket.resetAndDestroy()
    const late = await rig.connect()
    late.socket.write('lost')
    await rig.turns()
    for (const { seen } of [client, server, leaving, left, reset, late]) expect(seen).to.deep.equal([])
    expect(proxy.taken).to.equal(4)
    proxy.restore()
    for (const side of [client, server, leaving, left, reset, late]) {
      await expectGone(side)
      expect(side.text).to.equal('')
    }
    await expectRestored()
    expect(rig.server.sides).to.have.length(4)
  })

  it('mute: passes the clients’ bytes and ends, and nothing of the server', async () => {
    proxy.mute()
    const [late, itsServer] = await rig.pair()
    for (const [ours, theirs] of [
      [client, server],
      [late, itsServer],
    ] as const) {
      ours.socket.write('request')
      await expectText(theirs, 'request')
      theirs.socket.end('answer')
    }
    client.socket.end()
    await expectSeen(server, 'end', 'close')
    await rig.turns()
    for (const { seen } of [client, late]) expect(seen).to.deep.equal([])
    proxy.restore()
    for (const side of [client, late]) {
      await expectGone(side)
      expect(side.text).to.equal('')
    }
    await expectRestored()
  })

  it('delay: delays everything in both directions, in order and with its end', async () => {
    const numbers = Array.from({ length: 50 }, (_, number) => `${number},`)
    const startedAt = performance.now()
    proxy.delay(50, 100)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      for (const number of numbers) {
        from.socket.write(number)
        await setImmediate()
      }
      from.socket.end()
      await eventually(() => expect(to.seen).to.include('end'))
      expect(to.text).to.equal(numbers.join(''))
    }
    expect(performance.now() - startedAt).to.be.at.least(2 * 50)
  })

  it('delay: passes delayed bytes immediately once restored', async () => {
    proxy.delay(3_600_000)
    client.socket.write('question')
    server.socket.write('answer')
    const [late, itsServer] = await rig.pair()
    late.socket.end('question')
    await rig.turns()
    for (const { text, seen } of [client, server, itsServer]) expect([text, seen]).to.deep.equal(['', []])
    proxy.restore()
    await expectText(server, 'question')
    await expectText(client, 'answer')
    await expectSeen(itsServer, 'end')
    expect(itsServer.text).to.equal('question')
    await expectRestored([client, server])
  })

  it('limit: passes the given bytes per second in both directions', async () => {
    const text = 'x'.repeat(20_000)
    proxy.limit(100_000)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const startedAt = performance.now()
      from.socket.end(text)
      await eventually(() => expect(to.seen).to.include('end'))
      expect(to.text).to.equal(text)
      // The first twentieth of a second passes without delay.
      expect(performance.now() - startedAt).to.be.at.least(150)
    }
    proxy.limit(1)
    const late = await rig.pair()
    late[0].socket.write('a whole word')
    proxy.restore()
    await expectText(late[1], 'a whole word')
    await expectRestored(late)
  })

  it('cutAfterBytes: passes exactly these bytes, and then ends the connection', async () => {
    proxy.cutAfterBytes(5)
    const [late, itsServer] = await rig.pair()
    for (const [ours, theirs, rest] of [
      [client, server, 'llo world'],
      [late, itsServer, 'llo'],
    ] as const) {
      theirs.socket.write('he')
      await expectText(ours, 'he')
      theirs.socket.write(rest)
      await eventually(() => expect(ours.seen).to.include('end'))
      expect(ours.text).to.equal('hello')
      await eventually(() => expect(theirs.seen).to.include('end'))
    }
    proxy.restore()
    await expectRestored()
  })
})
