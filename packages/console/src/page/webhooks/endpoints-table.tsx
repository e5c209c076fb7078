import type { EndpointAnswer } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { Chosen } from '../parts/text.tsx'
import { Backlog, EndpointState, Successes } from './endpoint-state.tsx'

export function EndpointsTable({ endpoints }: { readonly endpoints: readonly EndpointAnswer[] }) {
  return (
    <table class="list endpoints">
      <caption class="visually-hidden">Endpoints of webhooks</caption>
      <thead>
        <tr>
          <th scope="col">URL</th>
          <th scope="col">State</th>
          <th scope="col">Merchant</th>
          <th scope="col" class="number">
            Successful attempts
          </th>
          <th scope="col" class="number">
            Pending
          </th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map((endpoint) => (
          <Row key={endpoint.id} endpoint={endpoint} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ endpoint }: { readonly endpoint: EndpointAnswer }) {
  const { id, url, merchant, merchant_id, recent } = endpoint
  return (
    <tr>
      <th scope="row" class="cut main-cell">
        <Link href={`/webhooks/${id}`}>
          <Chosen text={url} />
        </Link>
      </th>
      <td>
        <EndpointState endpoint={endpoint} />
      </td>
      <td class="cut">
        <Chosen text={merchant ?? merchant_id} />
      </td>
      <td class="number">
        <Successes of={recent} />
        {recent.attempts > 0 && <span class="narrow-only"> successful</span>}
      </td>
      <td class="number pending-cell">
        <span class="narrow-only">Pending: </span>
        <Backlog endpoint={endpoint} />
      </td>
    </tr>
  )
}
