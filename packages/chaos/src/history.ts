import type { Facts } from './facts.ts'
import { idOf } from './wish.ts'

/** All that is known of one payment, in the order of time. */
export function historyOf(facts: Facts, paymentId: string): string {
  const row = facts.payments.find(({ id }) => id === paymentId)
  const wish = facts.wishes.find((one) => idOf(one) === paymentId || one.reference === row?.reference)
  const lines: [at: number, what: string][] = [
    ...(wish?.answers ?? []).map(({ at, status }): [number, string] => [at, `its client was answered with ${status}`]),
    ...(wish?.views ?? []).map(({ at, status, payment }): [number, string] => [
      at,
      `its client saw ${payment?.status ?? status}`,
    ]),
    ...facts.events
      .filter((event) => event.paymentId === paymentId)
      .map(({ committedAt, sequence, type }): [number, string] => [committedAt ?? 0, `event ${sequence}, ${type}`]),
    ...facts.requests
      .filter(({ key, method }) => key === paymentId && method === 'GET')
      .map(({ beganAt }): [number, string] => [beganAt, 'the provider was asked whether it is charged']),
    ...facts.letters
      .filter(({ key }) => key === paymentId)
      .map(({ diedAt, topic, source, reason, resolved }): [number, string] => [
        diedAt,
        `dead letter of the ${source}, ${topic}: ${reason}${resolved ? ' (resolved)' : ''}`,
      ]),
    ...facts.charges
      .filter(({ key }) => key === paymentId)
      .map(({ beganAt, amountMinor, currency, moved }): [number, string] => [
        beganAt,
        `asked to charge ${amountMinor} ${currency}, ${moved ? 'charged' : 'not charged'}`,
      ]),
    ...facts.sightings
      .filter((sighting) => sighting.paymentId === paymentId)
      .map(({ at, topic, messageId }): [number, string] => [at, `seen ${topic}, message ${messageId}`]),
  ]
  const state = row
    ? `${row.status}${row.parked ? ', parked' : ''}, ${row.attempts} attempts, reference ${row.reference}`
    : 'no such payment'
  const told = facts.told.filter(({ key }) => key === paymentId).map(({ verdict }) => verdict)
  return [
    `  now: ${state}; the provider said: ${told.join(', ') || 'nothing'}`,
    ...lines.toSorted(([one], [other]) => one - other).map(([at, what]) => `  ${new Date(at).toISOString()}  ${what}`),
  ].join('\n')
}
