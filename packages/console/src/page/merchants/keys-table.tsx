import type { KeyAnswer } from '../../answers.ts'
import { Pill } from '../parts/pill.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'

interface KeysTableProps {
  readonly keys: readonly KeyAnswer[]
  readonly canRotate: boolean
  readonly act: (act: 'rotate' | 'revoke', key: KeyAnswer) => void
}

export function KeysTable({ keys, canRotate, act }: KeysTableProps) {
  return (
    <table class={mayOperate() ? 'list keys can-act' : 'list keys'}>
      <caption class="visually-hidden">Keys of the merchant, the oldest first</caption>
      <thead>
        <tr>
          <th scope="col">Key</th>
          <th scope="col">Status</th>
          <th scope="col">Scopes</th>
          <th scope="col" class="number">
            Created
          </th>
          <th scope="col" class="number">
            Expires
          </th>
          <th scope="col" class="number">
            Last used
          </th>
          {mayOperate() && <td />}
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <Row key={key.id} of={key} canRotate={canRotate} act={act} />
        ))}
      </tbody>
    </table>
  )
}

const STATUSES = {
  active: { tone: 'ok', name: 'Active' },
  expired: { tone: 'quiet', name: 'Expired' },
  revoked: { tone: 'quiet', name: 'Revoked' },
} as const

interface RowProps extends Omit<KeysTableProps, 'keys'> {
  readonly of: KeyAnswer
}

function Row({ of: key, canRotate, act }: RowProps) {
  const { id, name, status, scopes, created_at, expires_at, revoked_at, last_used_at, replaced_by } = key
  const button = (what: 'rotate' | 'revoke', text: string) => (
    <button type="button" class="small" aria-label={`${text} ${name}`} onClick={() => act(what, key)}>
      {text}
    </button>
  )
  return (
    <tr>
      <th scope="row" class="wrap main-cell">
        <Chosen text={name} />
        <code class="key-id">{id}</code>
      </th>
      <td>
        <Pill tone={STATUSES[status].tone}>{STATUSES[status].name}</Pill>
        {replaced_by !== null && <span class="key-id">Replaced by {replaced_by}</span>}
      </td>
      <td class="wrap scopes-cell">{scopes.join(', ')}</td>
      <Moment name="Created" at={created_at} none="" />
      {revoked_at === null ? (
        <Moment name={status === 'expired' ? 'Expired' : 'Expires'} at={expires_at} none="never" />
      ) : (
        <Moment name="Revoked" at={revoked_at} none="" />
      )}
      <Moment name="Last used" at={last_used_at} none="never" />
      {mayOperate() && (
        <td class="acts-cell">
          {status === 'active' && (
            <>
              {canRotate && button('rotate', 'Rotate…')}
              {button('revoke', 'Revoke…')}
            </>
          )}
        </td>
      )}
    </tr>
  )
}

/** A time, with its name where the head of the table is not seen. */
function Moment({ name, at, none }: { readonly name: string; readonly at: string | null; readonly none: string }) {
  return (
    <td class="number">
      <span class={name === 'Revoked' ? undefined : 'narrow-only'}>{name} </span>
      {at === null ? none : <Ago at={at} />}
    </td>
  )
}
