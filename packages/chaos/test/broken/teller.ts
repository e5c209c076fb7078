import type { ServerResponse } from 'node:http'
import { answer, type ScriptedServer } from '@cashflow/testing'
import type { Charge, ProviderRequest, Told, Verdict } from '../../src/provider.ts'

/** A provider that keeps books, and answers when it is told to. It has no memory: each charge is another one. */
export interface Teller {
  readonly requests: readonly ProviderRequest[]
  readonly charges: readonly Charge[]
  readonly told: readonly Told[]
  /** From now on each charge is approved at once. */
  approve(): void
  /** From now on charges wait, in the order of their arrival. */
  hold(): Held[]
}

export interface Held {
  readonly response: ServerResponse
  say(verdict: Verdict): void
}

export function createTeller(server: ScriptedServer): Teller {
  const requests: ProviderRequest[] = []
  const charges: Charge[] = []
  const told: Told[] = []

  function serve(onCharge: (held: Held) => void): void {
    server.script = (request, response) => {
      const beganAt = Date.now()
      if (request.method === 'GET') {
        requests.push({ method: 'GET', key: request.path.split('/').at(-1) ?? '', beganAt })
        return answer(404)(request, response)
      }
      const key = String(request.headers['idempotency-key'])
      requests.push({ method: 'POST', key, beganAt })
      const { payment_id: paymentId, amount_minor: amountMinor, currency } = JSON.parse(request.body)
      charges.push({ key, paymentId, amountMinor, currency, beganAt, moved: true, known: false })
      const say = (verdict: Verdict) => {
        told.push({ key, verdict })
        answer(200, { status: verdict })(request, response)
      }
      onCharge({ response, say })
    }
  }

  const approve = () => serve(({ say }) => say('approved'))
  approve()
  return {
    requests,
    charges,
    told,
    approve,
    hold() {
      const held: Held[] = []
      serve((charge) => held.push(charge))
      return held
    },
  }
}
