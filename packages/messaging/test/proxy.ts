import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { onCleanUp } from './cleanup.ts'

/** In front of the broker. Cleaned up after the test. */
export async function createProxy(url: string): Promise<TcpProxy> {
  const proxy = await startTcpProxy(url)
  onCleanUp(() => proxy.stop())
  return proxy
}
