import type { ServerResponse } from 'node:http'
import { answer, type ScriptedServer } from '@cashflow/testing'
import type { Charge, ProviderRequest, ProviderResponse, Verdict } from '../../src/provider.ts'

/** A provider that records its charges, and answers when the test lets it. It never deduplicates. */
export interface ScriptedProvider {
  readonly requests: readonly ProviderRequest[]
  readonly charges: readonly Charge[]
  readonly responses: readonly ProviderResponse[]
  /** Approves each following charge at once. */
  approve(): void
  /** Holds each following charge. Returns them in the order of arrival. */
  hold(): Held[]
}

export interface Held {
  readonly response: ServerResponse
  say(verdict: Verdict): void
}

export function createScriptedProvider(server: ScriptedServer): ScriptedProvider {
  const requests: ProviderRequest[] = []
  const charges: Charge[] = []
  const responses: ProviderResponse[] = []

  function serve(onCharge: (held: Held) => void): void {
    server.script = (request, response) => {
      const beganAt = Date.now()
      if (request.method === 'GET') {
        requests.push({ method: 'GET', key: request.path.slice(request.path.lastIndexOf('/') + 1), beganAt })
        return answer(404)(request, response)
      }
      const key = String(request.headers['idempotency-key'])
      requests.push({ method: 'POST', key, beganAt })
      const { payment_id: paymentId, amount_minor: amountMinor, currency } = JSON.parse(request.body)
      charges.push({ key, paymentId, amountMinor, currency, beganAt, moved: true, known: false })
      const say = (verdict: Verdict) => {
        responses.push({ key, verdict })
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
    responses,
    approve,
    hold() {
      const held: Held[] = []
      serve((charge) => held.push(charge))
      return held
    },
  }
}
