import type { EndpointAnswer } from '../../answers.ts'
import { Fact } from '../parts/fact.tsx'
import { Link } from '../parts/link.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { Ago, At } from '../parts/time.tsx'
import { countText } from '../text/digits.ts'
import { Backlog, Successes } from './endpoint-state.tsx'

export function EndpointFacts({ endpoint }: { readonly endpoint: EndpointAnswer }) {
  const { id, merchant, merchant_id, description, types, ordering, recent, failures, replay } = endpoint
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts wide-facts">
        <Fact name="Id">
          <code>{id}</code> <Copy text={id} what="id" />
        </Fact>
        <Fact name="Merchant">
          <Link href={`/merchants/${merchant_id}`}>
            <Chosen text={merchant ?? merchant_id} />
          </Link>
        </Fact>
        {description !== null && (
          <Fact name="Description">
            <Chosen text={description} />
          </Fact>
        )}
        <Fact name="Types">{types === null ? 'All' : types.join(', ')}</Fact>
        <Fact name="Order">{ordering === 'payment' ? 'Events of a payment in their order' : 'None'}</Fact>
        <Fact name="Recent attempts">
          <Successes of={recent} />
          {recent.attempts > 0 && ' successful'}
        </Fact>
        <Fact name="Pending">
          <Backlog endpoint={endpoint} />
        </Fact>
        {failures > 0 && <Fact name="Failures">{countText(failures)} since the last success</Fact>}
        {replay !== null && (
          <Fact name="Replay">
            {countText(replay.replayed)} replayed so far, up to <At at={replay.reached_at} />
          </Fact>
        )}
        <Moments endpoint={endpoint} />
      </dl>
    </section>
  )
}

const MOMENTS = [
  ['succeeded_at', 'Last success'],
  ['failing_since', 'Failing since'],
  ['disabled_at', 'Disabled'],
  ['missed_since', 'Missed since'],
  ['held_until', 'Held until'],
  ['created_at', 'Created'],
] as const

function Moments({ endpoint }: { readonly endpoint: EndpointAnswer }) {
  return MOMENTS.map(([member, name]) => {
    const at = endpoint[member]
    if (at === null) return null
    return (
      <Fact key={member} name={name}>
        <At at={at} />{' '}
        <span class="muted">
          (<Ago at={at} />)
        </span>
      </Fact>
    )
  })
}
