import type { ActAnswer } from '../../answers.ts'
import { Json } from '../parts/json.tsx'
import { Link } from '../parts/link.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'

export function ActsTable({ acts }: { readonly acts: readonly ActAnswer[] }) {
  return (
    <table class="list audit">
      <caption class="visually-hidden">Acts of operators, the newest first</caption>
      <thead>
        <tr>
          <th scope="col">Action</th>
          <th scope="col">Target</th>
          <th scope="col">Operator</th>
          <th scope="col">Reason and change</th>
          <th scope="col" class="number">
            When
          </th>
        </tr>
      </thead>
      <tbody>
        {acts.map((act) => (
          <Row key={act.id} act={act} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ act }: { readonly act: ActAnswer }) {
  const { id, at, actor, via, action, reason, before, after } = act
  const hasChange = before !== null || after !== null
  return (
    <tr>
      <th scope="row" class="wrap main-cell">
        <Chosen text={action} />
      </th>
      <td class="wrap">
        <Target act={act} />
      </td>
      <td class="wrap">
        <Chosen text={actor} />{' '}
        <span class="muted via">
          <Chosen text={via} />
        </span>
      </td>
      <td class="wrap">
        {reason !== null && (
          <p>
            <Chosen text={reason} />
          </p>
        )}
        {hasChange && (
          <details>
            <summary>
              Before and after<span class="visually-hidden"> of act {id}</span>
            </summary>
            <Json value={{ before, after }} label={`Before and after act ${id}`} />
          </details>
        )}
      </td>
      <td class="number">
        <Ago at={at} />
      </td>
    </tr>
  )
}

const PAYMENT_ACTS = ['payments settle', 'redrive', 'dead requeue', 'dead discard']
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function Target({ act: { action, target } }: { readonly act: ActAnswer }) {
  const isPayment = PAYMENT_ACTS.includes(action) && UUID.test(target)
  return isPayment ? <Link href={`/payments/${target}`}>{target}</Link> : <Chosen text={target} />
}
