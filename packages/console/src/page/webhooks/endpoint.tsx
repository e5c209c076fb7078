import type { EndpointAnswer } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { Loaded } from '../parts/states.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { usePolled } from '../polled.ts'
import { route } from '../router.ts'
import { mayOperate } from '../session.ts'
import { CheckReport } from './check-report.tsx'
import { Deliveries } from './deliveries.tsx'
import { EndpointActs } from './endpoint-acts.tsx'
import { EndpointFacts } from './endpoint-facts.tsx'
import { EndpointState } from './endpoint-state.tsx'

export function EndpointView({ id }: { readonly id: string }) {
  const polled = usePolled<EndpointAnswer>(`/api/webhooks/endpoints/${encodeURIComponent(id)}`)
  return (
    <>
      <p class="up">
        <Link href="/webhooks">Webhooks</Link>
      </p>
      {polled.data === undefined && <h1>Webhook endpoint</h1>}
      <Loaded polled={polled}>{(endpoint) => <Endpoint endpoint={endpoint} again={polled.again} />}</Loaded>
    </>
  )
}

interface EndpointProps {
  readonly endpoint: EndpointAnswer
  readonly again: () => void
}

function Endpoint({ endpoint, again }: EndpointProps) {
  const { query } = route.value
  const { id, url, last_failure } = endpoint
  const check = query.get('check')
  return (
    <>
      <div class="title">
        <h1>
          <Chosen text={url} />
        </h1>
        <Copy text={url} what="URL" />
        <p>
          <EndpointState endpoint={endpoint} />
        </p>
        {mayOperate() && <EndpointActs endpoint={endpoint} again={again} />}
      </div>
      {endpoint.state !== 'enabled' && last_failure !== null && (
        <section class="findings" aria-labelledby="failure">
          <h2 id="failure">The last failure</h2>
          <p>
            <Chosen text={last_failure} />
          </p>
        </section>
      )}
      {check !== null && <CheckReport key={check} endpointId={id} id={check} />}
      <EndpointFacts endpoint={endpoint} />
      <Deliveries endpoint={endpoint} query={query} />
    </>
  )
}
