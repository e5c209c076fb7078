import { useRef } from 'preact/hooks'
import {
  type KeyAnswer,
  type MerchantAnswer,
  type NewKeyAnswer,
  type NewKeyBody,
  type RotateBody,
  SCOPES,
} from '../../answers.ts'
import { post } from '../api.ts'
import { FormDialog } from '../parts/dialog.tsx'
import { Chosen } from '../parts/text.tsx'

/** Is given the new key when the dialog has closed, or null without one. */
type CloseMade = (made: NewKeyAnswer | null) => void

interface NewKeyProps {
  readonly merchant: MerchantAnswer
  readonly close: CloseMade
}

export function NewKeyDialog({ merchant, close }: NewKeyProps) {
  const made = useRef<NewKeyAnswer | null>(null)
  const submit = async (fields: FormData) => {
    const scopes = SCOPES.filter((scope) => fields.getAll('scopes').includes(scope))
    if (scopes.length === 0) throw new Error('Choose at least one scope.')
    const days = Number(fields.get('expires_in_days'))
    const body: NewKeyBody = {
      ...{ name: String(fields.get('name')).trim(), scopes },
      ...(days > 0 && { expires_in_days: days }),
    }
    made.current = await post<NewKeyAnswer>(`/api/merchants/${merchant.id}/keys`, body)
    return 'The key was created.'
  }
  return (
    <FormDialog title="New key" act="Create the key" submit={submit} close={() => close(made.current)}>
      <p>
        For <Chosen text={merchant.name} />
      </p>
      <label class="field">
        <span>Name</span>
        <input name="name" required maxLength={255} placeholder="Shop, production" autoComplete="off" />
      </label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        {SCOPES.map((scope) => (
          <label key={scope}>
            <input type="checkbox" name="scopes" value={scope} defaultChecked={scope !== 'webhooks:manage'} />
            <code>{scope}</code>
          </label>
        ))}
      </fieldset>
      <label class="field">
        <span>Expires after, in days (optional)</span>
        <input type="number" name="expires_in_days" min={1} max={3650} placeholder="Never" />
      </label>
    </FormDialog>
  )
}

interface OldKeyProps<Close> {
  readonly old: KeyAnswer
  readonly close: Close
}

/** Makes a key with the same name and scopes, after which the old one expires. */
export function RotateDialog({ old, close }: OldKeyProps<CloseMade>) {
  const made = useRef<NewKeyAnswer | null>(null)
  const submit = async (fields: FormData) => {
    const body: RotateBody = { overlap_hours: Number(fields.get('overlap_hours')) }
    made.current = await post<NewKeyAnswer>(`/api/keys/${old.id}/rotate`, body)
    return 'The key was rotated.'
  }
  return (
    <FormDialog title="Rotate the key" act="Rotate" submit={submit} close={() => close(made.current)}>
      <KeyName of={old} />
      <label class="field">
        <span>Hours for which both keys are valid</span>
        <input type="number" name="overlap_hours" required min={0} max={2160} step="any" defaultValue={24} />
      </label>
      <p class="hint">A new key with the same name and scopes is made. The old one expires after this time.</p>
    </FormDialog>
  )
}

export function RevokeDialog({ old, close }: OldKeyProps<() => void>) {
  const submit = async () => {
    await post(`/api/keys/${old.id}/revoke`, {})
    return 'The key was revoked.'
  }
  return (
    <FormDialog title="Revoke the key?" act="Revoke forever" isDangerous submit={submit} close={close}>
      <KeyName of={old} />
      <p class="warning">
        Requests with this key are refused from now on. It is forever: a revoked key cannot be made valid again.
      </p>
    </FormDialog>
  )
}

function KeyName({ of: { name, id } }: { readonly of: KeyAnswer }) {
  return (
    <p>
      <Chosen text={name} />, <code>{id}</code>
    </p>
  )
}
