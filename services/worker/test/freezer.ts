import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Freezes this very process, as SIGSTOP does while its events wait. */
export interface Freezer {
  /** When this is read: what else has arrived by then is handled next, and only then the timers. */
  freezeNext(): void
  stop(): void
}

export async function createFreezer(frozenMs: number): Promise<Freezer> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const bystander = connect((listener.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(listener, 'connection')) as [Socket]
  socket.once('data', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, frozenMs))
  listener.close()
  return {
    freezeNext: () => void bystander.write('now'),
    stop: () => void bystander.destroy(),
  }
}
