import { randomUUID } from 'node:crypto'
import type { OutboundMessage } from '../src/index.ts'

export function message(changes: Partial<OutboundMessage> = {}): OutboundMessage {
  return {
    messageId: randomUUID(),
    key: randomUUID(),
    topic: 'payment.created',
    body: '{"payment_id":"0199b6a0-0000-7000-8000-000000000000"}',
    headers: {},
    mandatory: true,
    createdAt: new Date('2026-01-02T03:04:05.678Z'),
    ...changes,
  }
}
