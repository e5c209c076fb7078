import type { RabbitmqCluster } from '@cashflow/dev-stack'

export interface QueueState {
  readonly name: string
  /** Waiting or being handled. */
  readonly messages: number
  readonly consumers: number
}

/** All queues as they are now: the management API's numbers would be up to five seconds old. */
export async function listQueues({ nodes }: RabbitmqCluster): Promise<QueueState[]> {
  const node = nodes.find(({ isRunning }) => isRunning)
  if (!node) throw new Error('no broker runs')
  const columns = ['name', 'messages', 'consumers']
  return JSON.parse(await node.ctl('list_queues', '--quiet', '--formatter', 'json', ...columns))
}
