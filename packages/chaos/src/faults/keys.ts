import type { Fault } from '../fault.ts'

/** The key of a merchant is revoked while its clients send it. They get a fresh one, and repeat what was refused. */
export const KEY_REVOKED: Fault = {
  name: 'key-revoked',
  // An operator's command fails while PostgreSQL is away.
  disturbs: ['postgres'],
  // Longer than a revoked key may be accepted.
  lastsMs: [7_000, 10_000],
  recoveryMs: 5_000,
  async run({ merchants }, { random, untilEnd }) {
    const merchant = random.pick(merchants.all)
    const { key } = merchant
    await merchants.revoke(merchant)
    await untilEnd()
    await merchants.replaceKey(merchant)
    return key.uses.some(({ status }) => status === 401) ? undefined : 'no effect'
  },
}
