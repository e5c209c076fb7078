import { differsFrom } from './clients.ts'
import { merchantIdsOf, type Rule } from './rule.ts'

/** Rules about the lists of payments at the end. */
export const LIST_RULES: readonly Rule[] = [
  {
    name: 'at the end, each API lists the payments of each merchant once, newest first',
    harm: 'lost',
    *check({ payments, lists, apis }) {
      for (const merchantId of merchantIdsOf({ payments })) {
        const stored = payments.filter((payment) => payment.merchantId === merchantId)
        const whole = lists.filter((list) => list.merchantId === merchantId && list.isWhole)
        if (whole.length < apis) yield `merchant ${merchantId} was listed by ${whole.length} APIs of ${apis}`
        for (const { payments: listed } of whole) {
          const place = stored.findIndex(({ id }, index) => listed[index]?.id !== id)
          const wrong = stored[place]
          if (wrong) yield [wrong.id, `is missing, the list has ${listed[place]?.id ?? 'its end'} in its place`]
          else if (listed.length > stored.length) yield `a list has ${listed.length} payments of ${stored.length}`
        }
      }
    },
  },
  {
    name: 'a list shows stored payments of its merchant',
    harm: 'other',
    *check({ lists, byId }) {
      for (const { merchantId, payments } of lists)
        for (const payment of payments) {
          const row = byId.get(String(payment.id))
          if (row?.merchantId !== merchantId || differsFrom(row, payment))
            yield [String(payment.id), `was listed for merchant ${merchantId} as ${JSON.stringify(payment)}`]
        }
    },
  },
]
