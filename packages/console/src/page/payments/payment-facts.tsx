import type { PaymentPageAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Fact } from '../parts/fact.tsx'
import { Link } from '../parts/link.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { At } from '../parts/time.tsx'
import { countText } from '../text/digits.ts'

export function PaymentFacts({ answer }: { readonly answer: PaymentPageAnswer }) {
  const { payment, attempts, refusals, redrives, dead_letter } = answer
  const { id, merchant, merchant_id, failure_code, idempotency_key, created_at, settled_at, metadata } = payment
  const entries = Object.entries(metadata ?? {})
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts">
        <Fact name="Id">
          <code>{id}</code> <Copy text={id} what="id" />
        </Fact>
        <Fact name="Merchant">
          <Link href={pathOf('/payments', { merchant: merchant_id })}>
            <Chosen text={merchant ?? merchant_id} />
          </Link>{' '}
          <Copy text={merchant_id} what="id of the merchant" />
        </Fact>
        {failure_code !== null && (
          <Fact name="Failure">
            <Chosen text={failure_code} />
          </Fact>
        )}
        {idempotency_key !== null && (
          <Fact name="Idempotency key">
            <Chosen text={idempotency_key} /> <Copy text={idempotency_key} what="idempotency key" />
          </Fact>
        )}
        <Fact name="Created">{created_at === null ? 'Not stored' : <At at={created_at} />}</Fact>
        {settled_at !== null && (
          <Fact name="Settled">
            <At at={settled_at} />
          </Fact>
        )}
        {attempts > 0 && <Fact name="Attempts">{countText(attempts)}</Fact>}
        {refusals > 0 && <Fact name="Refusals">{countText(refusals)}</Fact>}
        {redrives > 0 && <Fact name="Redrives">{countText(redrives)}</Fact>}
        {dead_letter !== null && (
          <Fact name="Dead letter">
            <Link href={`/dead-letters/${dead_letter}`}>{dead_letter}</Link>
          </Fact>
        )}
      </dl>
      {entries.length > 0 && (
        <>
          <h3>Metadata</h3>
          <dl class="facts">
            {entries.map(([name, value]) => (
              <Fact key={name} name={<Chosen text={name} />}>
                <Chosen text={value} />
              </Fact>
            ))}
          </dl>
        </>
      )}
    </section>
  )
}
