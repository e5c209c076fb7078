import { expect } from 'chai'
import { eventually, type TcpProxy } from '../../src/index.ts'
import { createPlainRig, type PlainRig } from './plain-rig.ts'
import { expectText, type Side } from './plain-sockets.ts'

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

  /** Sends pieces that arrive one by one, and lets the server answer all of them together. */
  async function ask([ours, theirs]: readonly [Side, Side], ...pieces: string[]): Promise<void> {
    const before = theirs.text
    let sent = ''
    for (const piece of pieces) {
      ours.socket.write(piece)
      sent += piece
      await expectText(theirs, before + sent)
    }
    theirs.socket.write(`[${sent}]`)
  }

  it('holds answers until restored, also on new connections', async () => {
    proxy.holdAnswers()
    const late = await rig.pair()
    for (const pair of [[client, server] as const, late]) await ask(pair, 'request')
    await rig.turns()
    expect([client.text, late[0].text]).to.deep.equal(['', ''])
    proxy.restore()
    for (const ours of [client, late[0]]) await expectText(ours, '[request]')
    expect(proxy.held).to.equal(0)
  })

  it('holds the answer to the next request with a text, also if the text is split, and no other answer', async () => {
    const other = await rig.pair()
    proxy.holdAnswerTo('commit')
    await ask([client, server], 'comm')
    await expectText(client, '[comm]')
    await ask([client, server], 'i', 't')
    expect(proxy.held).to.equal(1)
    await ask(other, 'commit')
    await expectText(other[0], '[commit]')
    expect(client.text).to.equal('[comm]')
    proxy.restore()
    await expectText(client, '[comm][it]')
    await ask([client, server], 'commit')
    await expectText(client, '[comm][it][commit]')
    expect(proxy.held).to.equal(1)
  })

  it('loses the answers to a number of requests with a text, also if the text is split', async () => {
    proxy.loseAnswerTo('commit', { times: 2 })
    await ask([client, server], 'begin')
    await expectText(client, '[begin]')
    for (const pair of [[client, server] as const, await rig.pair()]) {
      const lost = proxy.lost
      await ask(pair, 'com', 'mit')
      for (const side of pair) await eventually(() => expect(side.seen).to.include('end'))
      expect(pair[0].text).to.be.oneOf(['', '[begin]'])
      expect(proxy.lost).to.equal(lost + 1)
    }
    const third = await rig.pair()
    await ask(third, 'commit')
    await expectText(third[0], '[commit]')
    expect(proxy.lost).to.equal(2)
  })

  it('loses one answer by default, also on a connection with earlier traffic', async () => {
    proxy.loseAnswerTo('commit')
    await ask([client, server], 'commit commit')
    await eventually(() => expect(client.seen).to.include('end'))
    const next = await rig.pair()
    await ask(next, 'commit')
    await expectText(next[0], '[commit]')
    expect([client.text, proxy.lost]).to.deep.equal(['', 1])
  })

  it('loses no further answer once restored', async () => {
    proxy.loseAnswerTo('commit', { times: 2 })
    client.socket.write('commit')
    await expectText(server, 'commit')
    proxy.restore()
    server.socket.write('[commit]')
    await expectText(client, '[commit]')
    const next = await rig.pair()
    await ask(next, 'commit')
    await expectText(next[0], '[commit]')
    expect(proxy.lost).to.equal(0)
  })
})
