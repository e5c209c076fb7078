import type { RabbitmqCluster } from '@cashflow/testing'

export const WORK_QUEUE = 'payments'
export const DEAD_QUEUE = 'payments.dead'
/** The queue from which the harness reads each message. */
export const OBSERVING_QUEUE = 'chaos.observed'
export const QUEUES = [WORK_QUEUE, DEAD_QUEUE, OBSERVING_QUEUE]

export interface QueueState {
  readonly name: string
  /** Messages that wait in the queue or are being handled. */
  readonly messages: number
  readonly consumers: number
}

// The leaders are asked because `list_queues` and the management API are up to five seconds old for a quorum queue, and
// report zero for a queue without a leader.
const ASK_LEADERS = `
  [begin
    Ask = fun(Query) -> {ok, Answer, _} = ra:consistent_query(amqqueue:get_pid(Queue), Query), Answer end,
    [element(4, amqqueue:get_name(Queue)), Ask(fun rabbit_fifo:query_messages_total/1),
      Ask(fun rabbit_fifo:query_consumer_count/1)]
  end || Queue <- rabbit_amqqueue:list()].`

/**
 * Lists all queues with their present state, as their leaders report it.
 *
 * @throws Error when no node runs, or when a queue has no leader that answers
 */
export async function listQueues({ nodes }: RabbitmqCluster): Promise<QueueState[]> {
  const node = nodes.find(({ isRunning }) => isRunning)
  if (!node) throw new Error('no broker runs')
  const { value } = JSON.parse(await node.ctl('eval', '--formatter', 'json', ASK_LEADERS))
  return (value as [string, number, number][]).map(([name, messages, consumers]) => ({ name, messages, consumers }))
}
