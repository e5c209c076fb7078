import type { PassResult } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'

const REFUSALS_EVERY_MS = 1_000

/** Logs what became of the messages of each pass. */
export function createReport(logger: Logger): (result: PassResult) => void {
  const refusedTopics = new Set<string>()
  let refused = 0
  let refusedSaidAt = Number.NEGATIVE_INFINITY

  return ({ settlements, changes }) => {
    for (const { message, action } of settlements) {
      const fields = {
        message_id: message.messageId,
        key: message.key,
        topic: message.topic,
        request_id: message.headers['x-request-id'],
      }
      if (action.action === 'delete') logger.debug('message published', fields)
      else if (action.action === 'delay')
        logger.warn('message unroutable, tried again later', { ...fields, delay_ms: action.delayMs })
      else if (action.action === 'bury')
        logger.error('message not publishable, now a dead letter', { ...fields, reason: action.reason })
    }
    for (const change of changes) {
      const { topic } = change
      if (change.change === 'refused') {
        refusedTopics.add(topic)
        logger.warn('topic refused', { topic, messages: change.messages })
      } else {
        refusedTopics.delete(topic)
        logger.warn('topic accepted again', { topic, refused_ms: change.refusedMs })
      }
    }
    // A broker that is full refuses many at once, and again and again. Of a topic that makes way, `topic refused` has told.
    refused += settlements.filter(({ message, action }) =>
      action.action === 'move' ? !refusedTopics.has(message.topic) : isLeft(action, 'refused'),
    ).length
    if (refused > 0 && performance.now() - refusedSaidAt >= REFUSALS_EVERY_MS) {
      logger.warn('messages refused, tried again later', { messages: refused })
      refused = 0
      refusedSaidAt = performance.now()
    }
    const unanswered = settlements.filter(({ action }) => isLeft(action, 'unanswered')).length
    if (unanswered > 0) logger.warn('messages not confirmed, they stay in the outbox', { messages: unanswered })
  }
}

type Action = PassResult['settlements'][number]['action']

export function isLeft(action: Action, reason: 'refused' | 'unanswered'): boolean {
  return action.action === 'leave' && action.reason === reason
}
