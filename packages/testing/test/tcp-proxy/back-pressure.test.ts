import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { createPlainRig, type PlainRig } from './plain-rig.ts'

// Several times the buffers of four sockets.
const FLOOD_BYTES = 32 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, 'x')

async function flood(socket: Socket): Promise<void> {
  for (let sent = 0; sent < FLOOD_BYTES; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await once(socket, 'drain')
  }
  socket.end()
}

describe('sender that floods a TCP proxy', () => {
  let rig: PlainRig
  beforeEach(async () => {
    rig = await createPlainRig()
  })
  afterEach(() => rig.stop())

  /** Resolves with the bytes that have left the socket, once their number stays the same. */
  async function standstill(socket: Socket): Promise<number> {
    const gone = () => socket.bytesWritten - socket.writableLength
    for (;;) {
      const before = gone()
      await rig.turns()
      if (before > 0 && gone() === before) return before
    }
  }

  for (const [what, receiver, stop, go] of [
    ['a client that does not read', 'client', (socket: Socket) => socket.pause(), (socket: Socket) => socket.resume()],
    ['a server that does not read', 'server', (socket: Socket) => socket.pause(), (socket: Socket) => socket.resume()],
    ['answers that are held', 'client', () => rig.proxy.holdAnswers(), () => rig.proxy.restore()],
    ['a slow link', 'client', () => rig.proxy.limit(1_000), () => rig.proxy.restore()],
    ['a long way', 'client', () => rig.proxy.delay(3_600_000), () => rig.proxy.restore()],
  ] as const) {
    it(`sender that floods a TCP proxy has to wait for ${what}, and all its bytes arrive`, async () => {
      const [client, server] = await rig.pair()
      const [to, from] = receiver === 'client' ? [client.socket, server.socket] : [server.socket, client.socket]
      let received = 0
      to.removeAllListeners('data')
      to.on('data', ({ length }) => {
        received += length
      })
      stop(to)
      const flooded = flood(from)
      expect(await standstill(from)).to.be.below(FLOOD_BYTES)
      go(to)
      await flooded
      await once(to, 'end')
      expect(received).to.equal(FLOOD_BYTES)
    })
  }
})
