import { useRef } from 'preact/hooks'
import type { MerchantAnswer, NewMerchantBody } from '../../answers.ts'
import { post } from '../api.ts'
import { FormDialog } from '../parts/dialog.tsx'
import { navigate } from '../router.ts'

/** Creates a merchant, and shows its page. */
export function NewMerchantDialog({ close }: { readonly close: () => void }) {
  const made = useRef<MerchantAnswer | null>(null)
  const submit = async (fields: FormData) => {
    const body: NewMerchantBody = { name: String(fields.get('name')).trim() }
    made.current = await post<MerchantAnswer>('/api/merchants', body)
    return 'The merchant was created.'
  }
  // The new page takes the focus, which it can when the dialog is closed.
  const end = () => {
    close()
    if (made.current) navigate(`/merchants/${made.current.id}`)
  }
  return (
    <FormDialog title="New merchant" act="Create the merchant" submit={submit} close={end}>
      <label class="field">
        <span>Name</span>
        <input name="name" required maxLength={255} autoComplete="off" spellcheck={false} />
      </label>
      <p class="hint">A merchant sees its own payments only. Each name is taken once.</p>
    </FormDialog>
  )
}
